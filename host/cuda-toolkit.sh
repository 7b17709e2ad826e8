#!/bin/sh
# Lays out enough of CUDA 13.0 to build plumbline-host with the feature `cuda` where no toolkit is
# installed: nvcc and its headers from NVIDIA's Python wheels (105 MB), and in place of the libraries
# stubs that the linker is content with; the program loads the real ones when it is asked for a GPU.
#
#   host/cuda-toolkit.sh FOLDER
#   . FOLDER/env.sh
#   cargo build --release --workspace --features plumbline-host/cuda
#
# Needs python3 with pip, a C compiler, and the sources that `cargo fetch` gets.
set -eu
mkdir -p "${1:?say into which folder}"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$folder/wheels" \
  nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
for wheel in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder"; done
toolkit=$folder/nvidia/cu13
chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
ln -sfn lib "$toolkit/lib64"
ln -sf libcudart.so.13 "$toolkit/lib/libcudart.so"

# The functions of each library are those that cudarc declares.
cargo fetch --quiet
cudarc=$(cargo metadata --format-version 1 --features plumbline-host/cuda --offline |
  python3 -c 'import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
mkdir -p "$toolkit/lib/stubs"
stub() {
  grep -ohE '^pub unsafe fn [A-Za-z0-9_]+' "$cudarc/src/$1/sys/mod.rs" |
    awk '!seen[$4]++ { print "void " $4 "(void) {}" }' > "$folder/$2.c"
  ${CC:-cc} -shared -fPIC -fno-builtin -w -Wl,-soname,"$3" \
    -o "$toolkit/lib/stubs/lib$2.so" "$folder/$2.c"
}
stub driver cuda libcuda.so.1
stub cublas cublas libcublas.so.13
stub cublaslt cublasLt libcublasLt.so.13
stub curand curand libcurand.so.10
stub nvrtc nvrtc libnvrtc.so.13
stub cudnn cudnn libcudnn.so.9
stub nccl nccl libnccl.so.2

# The kernels of Candle are compiled for one kind of GPU: 90 is Hopper, 80 an A100, 89 an RTX 40.
cat > "$folder/env.sh" <<END
export CUDA_HOME=$toolkit CUDA_PATH=$toolkit PATH=$toolkit/bin:\$PATH
export CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-90}
END
