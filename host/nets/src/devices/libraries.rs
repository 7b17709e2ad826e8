//! CUDA's libraries, loaded when a GPU is asked for.
//!
//! Candle has its program linked to them, which then would not even start where they are missing.
//! So the functions it calls are defined here, each as a jump to an address that [`load`] looks up;
//! the linker, finding them, leaves the libraries out. A function that a new version of Candle
//! calls beyond these brings its library back among those needed at the start: the test `libraries`
//! finds it, and its name is to be added.

use std::error::Error;
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

use super::error::DeviceError;

/// A library with its functions: each one's name, and the place for its address.
type Functions = (
    &'static str,
    &'static [(&'static CStr, &'static AtomicPtr<c_void>)],
);

macro_rules! on_demand {
    ($($library:literal: $($function:ident)+;)+) => {
        const LIBRARIES: &[Functions] = &[$(($library, &[$((
            // The name is an identifier, which holds no zero byte.
            match CStr::from_bytes_with_nul(concat!(stringify!($function), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            },
            &addresses::$function,
        )),+])),+];

        #[expect(non_upper_case_globals, reason = "named as the functions are")]
        mod addresses {
            use std::ffi::c_void;
            use std::ptr::null_mut;
            use std::sync::atomic::AtomicPtr;

            $($(pub static $function: AtomicPtr<c_void> = AtomicPtr::new(null_mut());)+)+
        }

        mod jumps {
            use crate::devices::libraries::addresses;
            $($(
                /// Jumps to the library's function; arguments and result pass through.
                ///
                /// # Safety
                /// The library must have been loaded, and the conditions of its function must hold.
                #[unsafe(naked)]
                // SAFETY: no other function of the program has the name of one of CUDA's.
                #[unsafe(no_mangle)]
                pub unsafe extern "C" fn $function() {
                    #[cfg(target_arch = "x86_64")]
                    core::arch::naked_asm!("jmp [rip + {}]", sym addresses::$function);
                    #[cfg(target_arch = "aarch64")]
                    core::arch::naked_asm!(
                        "adrp x16, {address}",
                        "ldr x16, [x16, :lo12:{address}]",
                        "br x16",
                        address = sym addresses::$function,
                    );
                }
            )+)+
        }
    };
}

on_demand! {
    "libcuda.so.1": cuCtxDestroy_v2 cuCtxGetCurrent cuCtxSetCurrent cuCtxSynchronize cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetDefaultMemPool cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxRetain cuEventCreate cuEventDestroy_v2 cuEventRecord cuGetErrorString cuInit cuLaunchKernel cuMemAllocAsync cuMemAlloc_v2 cuMemFreeAsync cuMemFree_v2 cuMemPoolGetAttribute cuMemPoolSetAttribute cuMemcpyDtoDAsync_v2 cuMemcpyDtoHAsync_v2 cuMemcpyHtoDAsync_v2 cuMemcpyPeerAsync cuMemsetD8Async cuModuleGetFunction cuModuleLoad cuModuleLoadData cuModuleUnload cuStreamCreate cuStreamDestroy_v2 cuStreamIsCapturing cuStreamSynchronize cuStreamWaitEvent;
    "libcublas.so.13": cublasCreate_v2 cublasDestroy_v2 cublasDgemmStridedBatched cublasGemmStridedBatchedEx cublasSetStream_v2;
    "libcurand.so.10": curandCreateGenerator curandDestroyGenerator curandGenerateUniform curandGenerateUniformDouble curandSetPseudoRandomGeneratorSeed curandSetStream;
    "libcudnn.so.9": cudnnConvolutionBackwardData cudnnConvolutionBackwardFilter cudnnConvolutionForward cudnnCreate cudnnCreateConvolutionDescriptor cudnnCreateFilterDescriptor cudnnCreateTensorDescriptor cudnnDestroy cudnnDestroyConvolutionDescriptor cudnnDestroyFilterDescriptor cudnnDestroyTensorDescriptor cudnnGetConvolutionBackwardDataAlgorithm_v7 cudnnGetConvolutionBackwardDataWorkspaceSize cudnnGetConvolutionBackwardFilterAlgorithm_v7 cudnnGetConvolutionBackwardFilterWorkspaceSize cudnnGetConvolutionForwardAlgorithm_v7 cudnnGetConvolutionForwardWorkspaceSize cudnnSetConvolution2dDescriptor cudnnSetConvolutionMathType cudnnSetFilter4dDescriptor cudnnSetStream cudnnSetTensor4dDescriptor cudnnSetTensor4dDescriptorEx;
    "libnccl.so.2": ncclAllReduce ncclCommAbort ncclCommInitAll;
}

/// The library that only several GPUs need.
const OF_SEVERAL: &str = "libnccl.so.2";

/// Stand-ins for the CUDA runtime, which Candle's quantised kernels are linked to and nothing here
/// calls.
///
/// Before the program begins, static initialisers register those kernels, and at its end they are
/// taken back: these functions have no error to return, and their handle is only passed on. All
/// others return an error, as they leave their out-parameters unwritten and set nothing.
mod runtime {
    /// `cudaErrorNotSupported`.
    const NOT_SUPPORTED: i32 = 801;

    macro_rules! registering {
        ($($function:ident)+) => {$(
            // SAFETY: no other function of the program has the name of one of CUDA's.
            #[unsafe(no_mangle)]
            extern "C" fn $function() -> usize {
                0
            }
        )+};
    }

    macro_rules! failing {
        ($($function:ident)+) => {$(
            // SAFETY: no other function of the program has the name of one of CUDA's.
            #[unsafe(no_mangle)]
            extern "C" fn $function() -> i32 {
                NOT_SUPPORTED
            }
        )+};
    }

    registering! {
        __cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaRegisterFunction
        __cudaRegisterVar __cudaUnregisterFatBinary
    }

    failing! {
        __cudaGetKernel __cudaLaunchKernel_ptsz __cudaPopCallConfiguration
        __cudaPushCallConfiguration cudaFuncSetAttribute cudaGetDevice
    }
}

/// Loads the libraries that one GPU needs and finds their functions.
///
/// # Errors
/// If one is not there or lacks a function.
pub fn load() -> Result<(), DeviceError> {
    load_those(|name| name != OF_SEVERAL)
}

/// Loads the library that several GPUs need besides.
///
/// # Errors
/// As [`load`].
#[cfg(feature = "nccl")]
pub fn load_for_several() -> Result<(), DeviceError> {
    load_those(|name| name == OF_SEVERAL)
}

fn load_those(wanted: impl Fn(&str) -> bool) -> Result<(), DeviceError> {
    for (name, functions) in LIBRARIES.iter().filter(|(name, _)| wanted(name)) {
        let failed = |error: libloading::Error| DeviceError::Library {
            name,
            why: error
                .source()
                .map_or(error.to_string(), ToString::to_string),
        };
        // SAFETY: these libraries do when they are loaded the same as at the start of a program
        // linked to them.
        let library =
            unsafe { Library::open(Some(*name), RTLD_LAZY | RTLD_LOCAL) }.map_err(failed)?;
        for (function, address) in *functions {
            // SAFETY: the address is only jumped to, by callers who declare the function rightly.
            let found = unsafe { library.get::<*mut c_void>(function.to_bytes()) };
            address.store(found.map_err(failed)?.into_raw(), Ordering::Release);
        }
        // Never unloaded: the addresses must last.
        std::mem::forget(library);
    }
    Ok(())
}
