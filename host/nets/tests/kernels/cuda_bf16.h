// CUDA as far as kernels.cu uses it, on the CPU: the threads of a block are threads, and blocks run
// one after the other, so that a static variable serves as a block's shared memory.
#pragma once

#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static

struct Place {
  unsigned x = 0, y = 0, z = 0;
};
inline thread_local Place threadIdx, blockIdx;
inline Place blockDim, gridDim;
inline std::barrier<> *together;

inline void __syncthreads() { together->arrive_and_wait(); }

// The upper half of a float, rounded to nearest and ties to even.
struct __nv_bfloat16 {
  uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x) {
  uint32_t bits = (uint32_t)x.bits << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline __nv_bfloat16 __float2bfloat16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// Runs a kernel on across x down blocks of `threads` threads.
template <typename... Parameters, typename... Arguments>
void launch(unsigned across, unsigned down, unsigned threads, void (*kernel)(Parameters...), Arguments... arguments) {
  gridDim = {across, down, 1};
  blockDim = {threads, 1, 1};
  std::barrier<> barrier(threads);
  together = &barrier;
  std::vector<std::thread> block;
  for (unsigned thread = 0; thread < threads; thread++) {
    block.emplace_back([=] {
      threadIdx = {thread, 0, 0};
      for (unsigned y = 0; y < down; y++) {
        for (unsigned x = 0; x < across; x++) {
          blockIdx = {x, y, 0};
          kernel(arguments...);
          __syncthreads();
        }
      }
    });
  }
  for (std::thread &thread : block) thread.join();
}
