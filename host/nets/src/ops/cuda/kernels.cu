// The kernels of the operations that cuDNN does not do, for maps of `N x C x H x W`.
//
// T is float or __nv_bfloat16; sums, statistics and parameters are float. Every sum is made in one
// order, without atomics, so that a step gives the same bits each time. "Planes" are the N C maps.
// Places are counted in 32 bits, which the callers see to.

#include <cuda_bf16.h>

typedef __nv_bfloat16 bf16;

__device__ inline float up(float x) { return x; }
__device__ inline float up(bf16 x) { return __bfloat162float(x); }
__device__ inline void down(float x, float *to) { *to = x; }
__device__ inline void down(float x, bf16 *to) { *to = __float2bfloat16(x); }

// Threads of every block; a power of two.
#ifndef THREADS
#define THREADS 256
#endif

__device__ inline unsigned place() { return blockIdx.x * blockDim.x + threadIdx.x; }

// The sum of `x` over the block, in all threads.
__device__ inline float block_sum(float x) {
  __shared__ float parts[THREADS];
  __syncthreads();
  parts[threadIdx.x] = x;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    __syncthreads();
  }
  return parts[0];
}

// Activations, by number: 0 identity, 1 ReLU, 2 SiLU.

__device__ inline float activate(int activation, float z) {
  if (activation == 1) return z < 0.0f ? 0.0f : z;  // not-a-number stays
  if (activation == 2) return z / (1.0f + expf(-z));
  return z;
}

__device__ inline float derivative(int activation, float z) {
  if (activation == 1) return z > 0.0f ? 1.0f : 0.0f;
  if (activation == 2) {
    float s = 1.0f / (1.0f + expf(-z));
    return s * (1.0f + z * (1.0f - s));
  }
  return 1.0f;
}

// Batch norm. The elements of channel c, `films * map` of them, are cut into gridDim.y spans. The
// films of what is normalised begin `step` elements apart, as others' channels may lie between them.

struct Span {
  unsigned start, end;
};

__device__ inline Span span_of(unsigned count) {
  unsigned length = (count + gridDim.y - 1) / gridDim.y;
  unsigned start = blockIdx.y * length;
  unsigned end = start + length < count ? start + length : count;
  Span span = {start < count ? start : count, end};
  return span;
}

// Where element `at` of channel blockIdx.x lies.
__device__ inline unsigned element(unsigned at, unsigned step, int map) {
  return at / map * step + blockIdx.x * map + at % map;
}

// Where the element lies that is the `at`th, films of `film` elements being counted.
__device__ inline unsigned stepped(unsigned at, unsigned film, unsigned step) {
  return at / film * step + at % film;
}

// The mean of each span, and the sum of squares around it: channels x spans each.
template <typename T>
__device__ void span_moments(const T *x, float *means, float *squares, int films, int channels, int map) {
  Span span = span_of((unsigned)films * map);
  float sum = 0.0f;
  for (unsigned at = span.start + threadIdx.x; at < span.end; at += THREADS) sum += up(x[element(at, channels * map, map)]);
  float mean = block_sum(sum) / (float)(span.end > span.start ? span.end - span.start : 1);
  float square = 0.0f;
  for (unsigned at = span.start + threadIdx.x; at < span.end; at += THREADS) {
    float centred = up(x[element(at, channels * map, map)]) - mean;
    square += centred * centred;
  }
  square = block_sum(square);
  if (threadIdx.x == 0) {
    means[blockIdx.x * gridDim.y + blockIdx.y] = mean;
    squares[blockIdx.x * gridDim.y + blockIdx.y] = square;
  }
}

// Mean and biased variance of each channel from its spans (Chan et al., 1983): `statistics` is
// 2 x channels.
extern "C" __global__ void joined_moments(const float *means, const float *squares, float *statistics, int channels, int spans, int films, int map) {
  int c = place();
  if (c >= channels) return;
  unsigned count = (unsigned)films * map, length = (count + spans - 1) / spans;
  double mean = 0.0, square = 0.0, seen = 0.0;
  for (int s = 0; s < spans; s++) {
    unsigned start = s * length;
    if (start >= count) break;
    double size = (double)(start + length < count ? length : count - start);
    double apart = means[c * spans + s] - mean;
    square += squares[c * spans + s] + apart * apart * seen * size / (seen + size);
    mean += apart * size / (seen + size);
    seen += size;
  }
  statistics[c] = (float)mean;
  statistics[channels + c] = (float)(square / seen);
}

// y = activation(x scale + shift).
template <typename T>
__device__ void normalise(const T *x, T *y, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, int channels, int map, unsigned step, unsigned count) {
  unsigned at = place();
  if (at >= count) return;
  int c = at / map % channels;
  float scale = gamma[c] / sqrtf(variance[c] + epsilon);
  float shift = beta[c] - mean[c] * scale;
  down(activate(activation, up(x[stepped(at, channels * map, step)]) * scale + shift), y + at);
}

// For each span the sum of the gradients before the activation, and of their products with the
// centred input.
template <typename T>
__device__ void span_gradients(const T *x, const T *dy, float *sums, float *products, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, int films, int channels, int map, unsigned step) {
  int c = blockIdx.x;
  float scale = gamma[c] / sqrtf(variance[c] + epsilon);
  float shift = beta[c] - mean[c] * scale;
  Span span = span_of((unsigned)films * map);
  float sum = 0.0f, product = 0.0f;
  for (unsigned at = span.start + threadIdx.x; at < span.end; at += THREADS) {
    float value = up(x[element(at, step, map)]);
    float dz = up(dy[element(at, channels * map, map)]) * derivative(activation, value * scale + shift);
    sum += dz;
    product += dz * (value - mean[c]);
  }
  sum = block_sum(sum);
  product = block_sum(product);
  if (threadIdx.x == 0) {
    sums[c * gridDim.y + blockIdx.y] = sum;
    products[c * gridDim.y + blockIdx.y] = product;
  }
}

// The gradients of gamma and beta from the spans': `gradients` is 2 x channels.
extern "C" __global__ void joined_gradients(const float *sums, const float *products, float *gradients, const float *variance, float epsilon, int channels, int spans) {
  int c = place();
  if (c >= channels) return;
  double sum = 0.0, product = 0.0;
  for (int s = 0; s < spans; s++) {
    sum += sums[c * spans + s];
    product += products[c * spans + s];
  }
  gradients[c] = (float)(product / sqrt((double)variance[c] + epsilon));
  gradients[channels + c] = (float)sum;
}

// The gradient of the input. `share` is one over the elements of a channel, or 0 where the
// statistics are held constant.
template <typename T>
__device__ void input_gradient(const T *x, const T *dy, T *dx, const float *gradients, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, float share, int channels, int map, unsigned step, unsigned count) {
  unsigned at = place();
  if (at >= count) return;
  int c = at / map % channels;
  float inverse = 1.0f / sqrtf(variance[c] + epsilon);
  float scale = gamma[c] * inverse;
  float value = up(x[stepped(at, channels * map, step)]), centred = (value - mean[c]) * inverse;
  float dz = up(dy[at]) * derivative(activation, centred * gamma[c] + beta[c]);
  down(scale * (dz - share * (gradients[channels + c] + centred * gradients[c])), dx + at);
}

// Depthwise convolution: `weight` is channels x k x k; `top` and `left` zeros lie before the map.

template <typename T>
__device__ void depthwise(const T *x, const T *weight, T *y, int channels, int height, int width, int out_height, int out_width, int k, int stride, int top, int left, unsigned count) {
  unsigned at = place();
  if (at >= count) return;
  int column = at % out_width, row = at / out_width % out_height;
  unsigned plane = at / out_width / out_height;
  const T *map = x + plane * height * width, *taps = weight + plane % channels * k * k;
  float sum = 0.0f;
  for (int i = 0; i < k; i++) {
    int r = row * stride + i - top;
    if (r < 0 || r >= height) continue;
    for (int j = 0; j < k; j++) {
      int c = column * stride + j - left;
      if (c >= 0 && c < width) sum += up(map[r * width + c]) * up(taps[i * k + j]);
    }
  }
  down(sum, y + at);
}

template <typename T>
__device__ void depthwise_data(const T *dy, const T *weight, T *dx, int channels, int height, int width, int out_height, int out_width, int k, int stride, int top, int left, unsigned count) {
  unsigned at = place();
  if (at >= count) return;
  int column = at % width, row = at / width % height;
  unsigned plane = at / width / height;
  const T *map = dy + plane * out_height * out_width, *taps = weight + plane % channels * k * k;
  float sum = 0.0f;
  for (int i = 0; i < k; i++) {
    int r = row + top - i;
    if (r < 0 || r % stride || r / stride >= out_height) continue;
    for (int j = 0; j < k; j++) {
      int c = column + left - j;
      if (c < 0 || c % stride || c / stride >= out_width) continue;
      sum += up(map[r / stride * out_width + c / stride]) * up(taps[i * k + j]);
    }
  }
  down(sum, dx + at);
}

// For each channel and span of its outputs (films x out map) the gradient of each tap:
// channels x spans x k x k.
template <typename T>
__device__ void depthwise_taps(const T *x, const T *dy, float *parts, int films, int channels, int height, int width, int out_height, int out_width, int k, int stride, int top, int left) {
  int out_map = out_height * out_width;
  Span span = span_of((unsigned)films * out_map);
  float sums[25];
  for (int tap = 0; tap < 25; tap++) sums[tap] = 0.0f;
  for (unsigned at = span.start + threadIdx.x; at < span.end; at += THREADS) {
    unsigned plane = at / out_map * channels + blockIdx.x;
    int row = at % out_map / out_width, column = at % out_width;
    float gradient = up(dy[plane * out_map + at % out_map]);
    const T *map = x + plane * height * width;
#pragma unroll
    for (int tap = 0; tap < 25; tap++) {
      if (tap >= k * k) break;
      int r = row * stride + tap / k - top, c = column * stride + tap % k - left;
      if (r >= 0 && r < height && c >= 0 && c < width) sums[tap] += gradient * up(map[r * width + c]);
    }
  }
#pragma unroll
  for (int tap = 0; tap < 25; tap++) {
    if (tap >= k * k) break;
    float sum = block_sum(sums[tap]);
    if (threadIdx.x == 0) parts[(blockIdx.x * gridDim.y + blockIdx.y) * k * k + tap] = sum;
  }
}

template <typename T>
__device__ void joined_taps(const float *parts, T *gradient, int channels, int spans, int taps) {
  int at = place();
  if (at >= channels * taps) return;
  float sum = 0.0f;
  for (int s = 0; s < spans; s++) sum += parts[(at / taps * spans + s) * taps + at % taps];
  down(sum, gradient + at);
}

// Poolings.

// Where the first maximum of the 3 x 3 window of output (row, column) at stride 2 stands, or the last
// not-a-number.
template <typename T>
__device__ int window_maximum(const T *map, int height, int width, int row, int column) {
  int best = -1;
  for (int y = 2 * row - 1; y <= 2 * row + 1; y++) {
    if (y < 0 || y >= height) continue;
    for (int x = 2 * column - 1; x <= 2 * column + 1; x++) {
      if (x < 0 || x >= width) continue;
      int at = y * width + x;
      float value = up(map[at]);
      if (best < 0 || value > up(map[best]) || value != value) best = at;
    }
  }
  return best;
}

template <typename T>
__device__ void max_pool(const T *x, T *y, int height, int width, unsigned count) {
  int out_height = (height + 1) / 2, out_width = (width + 1) / 2;
  unsigned at = place();
  if (at >= count) return;
  const T *map = x + at / out_width / out_height * height * width;
  y[at] = map[window_maximum(map, height, width, at / out_width % out_height, at % out_width)];
}

template <typename T>
__device__ void max_pool_gradient(const T *x, const T *dy, T *dx, int height, int width, unsigned count) {
  int out_height = (height + 1) / 2, out_width = (width + 1) / 2;
  unsigned at = place();
  if (at >= count) return;
  int inside = at % ((unsigned)height * width), row = inside / width, column = inside % width;
  unsigned plane = at / width / height;
  const T *map = x + plane * height * width, *gradient = dy + plane * out_height * out_width;
  float sum = 0.0f;
  for (int r = row / 2; r <= (row + 1) / 2 && r < out_height; r++) {
    for (int c = column / 2; c <= (column + 1) / 2 && c < out_width; c++) {
      if (window_maximum(map, height, width, r, c) == inside) sum += up(gradient[r * out_width + c]);
    }
  }
  down(sum, dx + at);
}

template <typename T>
__device__ void average_pool(const T *x, T *y, int height, int width, unsigned count) {
  int out_height = height / 2, out_width = width / 2;
  unsigned at = place();
  if (at >= count) return;
  int row = at / out_width % out_height, column = at % out_width;
  const T *first = x + at / out_width / out_height * height * width + 2 * row * width + 2 * column;
  down(0.25f * (up(first[0]) + up(first[1]) + up(first[width]) + up(first[width + 1])), y + at);
}

template <typename T>
__device__ void average_pool_gradient(const T *dy, T *dx, int height, int width, unsigned count) {
  int out_height = height / 2, out_width = width / 2;
  unsigned at = place();
  if (at >= count) return;
  int row = at / width % height / 2, column = at % width / 2;
  unsigned plane = at / width / height;
  float share = 0.0f;
  if (row < out_height && column < out_width) share = 0.25f * up(dy[(plane * out_height + row) * out_width + column]);
  down(share, dx + at);
}

// The mean of each plane, one block a plane.
template <typename T>
__device__ void plane_means(const T *x, float *means, int map) {
  const T *plane = x + blockIdx.x * map;
  float sum = 0.0f;
  for (int at = threadIdx.x; at < map; at += THREADS) sum += up(plane[at]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) means[blockIdx.x] = sum / map;
}

// Each value times `share` over a whole plane.
template <typename T>
__device__ void fill_planes(const float *values, T *y, float share, int map, unsigned count) {
  unsigned at = place();
  if (at < count) down(values[at / map] * share, y + at);
}

// Channels.

template <typename T>
__device__ void scale_planes(const T *x, const float *scale, T *y, int map, unsigned count) {
  unsigned at = place();
  if (at < count) down(up(x[at]) * scale[at / map], y + at);
}

// The sum of products over each plane, one block a plane.
template <typename T>
__device__ void plane_products(const T *a, const T *b, float *sums, int map) {
  unsigned first = blockIdx.x * map;
  float sum = 0.0f;
  for (int at = threadIdx.x; at < map; at += THREADS) sum += up(a[first + at]) * up(b[first + at]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Films of `film` elements that begin `step` apart, one behind another.
template <typename T>
__device__ void contiguous(const T *x, T *y, unsigned film, unsigned step, unsigned count) {
  unsigned at = place();
  if (at < count) y[at] = x[stepped(at, film, step)];
}

// Planes of another size: element (row, column) is that of (row + down, column + right), or zero
// outside.
template <typename T>
__device__ void window(const T *x, T *y, int height, int width, int out_height, int out_width, int down_by, int right_by, unsigned count) {
  unsigned at = place();
  if (at >= count) return;
  int row = at / out_width % out_height + down_by, column = at % out_width + right_by;
  unsigned plane = at / out_width / out_height;
  bool inside = row >= 0 && row < height && column >= 0 && column < width;
  if (inside) y[at] = x[(plane * height + row) * width + column];
  else down(0.0f, y + at);
}

// Updates of the weights.

extern "C" __global__ void running_average(float *average, const float *x, float decay, float share, unsigned count) {
  unsigned at = place();
  if (at < count) average[at] = average[at] * decay + x[at] * share;
}

// A parameter with its gradient, and the averages of that and of its square if it has them.
struct ParameterUpdate {
  float *w;
  const float *g;
  float *mean, *square;
  long long count;
};

// A step of all parameters: a row of blocks for each. As `OptimiserStep` in `ops/update.rs`.
extern "C" __global__ void optimiser_step(const ParameterUpdate *all, float keep, float weight_decay, float mean_decay, float mean_share, float square_decay, float square_share, float rate, float root_scale, float epsilon) {
  ParameterUpdate update = all[blockIdx.y];
  for (long long at = place(); at < update.count; at += (long long)gridDim.x * blockDim.x) {
    float w = update.w[at], g = update.g[at] + weight_decay * w, direction = g, divisor = 1.0f;
    if (update.mean) direction = update.mean[at] = update.mean[at] * mean_decay + g * mean_share;
    if (update.square) {
      float square = update.square[at] = update.square[at] * square_decay + g * g * square_share;
      divisor = sqrtf(square) * root_scale + epsilon;
    }
    update.w[at] = w * keep - rate * direction / divisor;
  }
}

// The loss, in one block: the mean over the `count` logits whose labels are numbers, and the mean's
// slope at each. As `Loss::term` in `ops/loss.rs`.
extern "C" __global__ void loss(const float *logits, const float *labels, float *mean, float *slopes, float focal, float positive_weight, unsigned count) {
  float known = 0.0f, sum = 0.0f;
  for (unsigned at = threadIdx.x; at < count; at += THREADS) known += labels[at] == labels[at];
  known = fmaxf(block_sum(known), 1.0f);
  for (unsigned at = threadIdx.x; at < count; at += THREADS) {
    float label = labels[at];
    bool positive = label > 0.5f;
    double weight = positive ? positive_weight : 1.0, sign = positive ? 1.0 : -1.0, z = sign * logits[at];
    double entropy = (z < 0.0 ? -z : 0.0) + log1p(exp(-fabs(z)));
    double wrong = -expm1(-entropy), focus = focal == 0.0f ? 1.0 : pow(wrong, (double)focal);
    double slope = -focus * (wrong + focal * (1.0 - wrong) * entropy);
    bool counts = label == label;
    if (counts) sum += (float)(weight * focus * entropy);
    slopes[at] = counts ? (float)(weight * sign * slope / known) : 0.0f;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) mean[0] = sum / known;
}

// The names that are launched, for each type of elements.

#define BOTH(name, parameters, arguments)                                             \
  extern "C" __global__ void name##_f32 parameters(float) { name<float> arguments; }  \
  extern "C" __global__ void name##_bf16 parameters(bf16) { name<bf16> arguments; }

#define P(T) (const T *x, float *means, float *squares, int films, int channels, int map)
BOTH(span_moments, P, (x, means, squares, films, channels, map))
#undef P
#define P(T) (const T *x, T *y, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, int channels, int map, unsigned step, unsigned count)
BOTH(normalise, P, (x, y, gamma, beta, mean, variance, epsilon, activation, channels, map, step, count))
#undef P
#define P(T) (const T *x, const T *dy, float *sums, float *products, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, int films, int channels, int map, unsigned step)
BOTH(span_gradients, P, (x, dy, sums, products, gamma, beta, mean, variance, epsilon, activation, films, channels, map, step))
#undef P
#define P(T) (const T *x, const T *dy, T *dx, const float *gradients, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int activation, float share, int channels, int map, unsigned step, unsigned count)
BOTH(input_gradient, P, (x, dy, dx, gradients, gamma, beta, mean, variance, epsilon, activation, share, channels, map, step, count))
#undef P
#define P(T) (const T *x, const T *weight, T *y, int channels, int height, int width, int out_height, int out_width, int k, int stride, int top, int left, unsigned count)
BOTH(depthwise, P, (x, weight, y, channels, height, width, out_height, out_width, k, stride, top, left, count))
BOTH(depthwise_data, P, (x, weight, y, channels, height, width, out_height, out_width, k, stride, top, left, count))
#undef P
#define P(T) (const T *x, const T *dy, float *parts, int films, int channels, int height, int width, int out_height, int out_width, int k, int stride, int top, int left)
BOTH(depthwise_taps, P, (x, dy, parts, films, channels, height, width, out_height, out_width, k, stride, top, left))
#undef P
#define P(T) (const float *parts, T *gradient, int channels, int spans, int taps)
BOTH(joined_taps, P, (parts, gradient, channels, spans, taps))
#undef P
#define P(T) (const T *x, T *y, int height, int width, unsigned count)
BOTH(max_pool, P, (x, y, height, width, count))
BOTH(average_pool, P, (x, y, height, width, count))
BOTH(average_pool_gradient, P, (x, y, height, width, count))
#undef P
#define P(T) (const T *x, const T *dy, T *dx, int height, int width, unsigned count)
BOTH(max_pool_gradient, P, (x, dy, dx, height, width, count))
#undef P
#define P(T) (const T *x, float *means, int map)
BOTH(plane_means, P, (x, means, map))
#undef P
#define P(T) (const float *values, T *y, float share, int map, unsigned count)
BOTH(fill_planes, P, (values, y, share, map, count))
#undef P
#define P(T) (const T *x, const float *scale, T *y, int map, unsigned count)
BOTH(scale_planes, P, (x, scale, y, map, count))
#undef P
#define P(T) (const T *a, const T *b, float *sums, int map)
BOTH(plane_products, P, (a, b, sums, map))
#undef P
#define P(T) (const T *x, T *y, unsigned film, unsigned step, unsigned count)
BOTH(contiguous, P, (x, y, film, step, count))
#undef P
#define P(T) (const T *x, T *y, int height, int width, int out_height, int out_width, int down_by, int right_by, unsigned count)
BOTH(window, P, (x, y, height, width, out_height, out_width, down_by, right_by, count))
#undef P
