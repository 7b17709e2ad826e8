//! The names of devices, and opening them.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use super::error::DeviceError;
#[cfg(feature = "cuda")]
use super::{libraries, pool};

/// A device as `--device` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// All cores of the processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number, from 0.
    Cuda(usize),
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Name(name.to_owned())),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// If there is none of this name, or the program was built without CUDA. No other device is ever
    /// opened instead.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => open_cuda(number),
        }
    }

    /// The largest number of bytes of a GPU's memory that tensors of this process used at once;
    /// none for the processor, or if CUDA does not tell.
    pub fn peak_memory(self) -> Option<u64> {
        match self {
            Self::Cpu => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => pool::peak(number).ok(),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => None,
        }
    }

    /// Opens devices that are to train together: one, several GPUs, or the processor several times,
    /// which is no faster but runs the same code.
    ///
    /// # Errors
    /// If they do not fit together, or as [`open`](Self::open).
    pub fn open_all(names: &[Self]) -> Result<Vec<Device>, DeviceError> {
        let gpus = names.iter().filter(|name| **name != Self::Cpu).count();
        let twice = |(at, name): (usize, &Self)| *name != Self::Cpu && names[..at].contains(name);
        if (gpus > 0 && gpus < names.len()) || names.iter().enumerate().any(twice) {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            return Err(DeviceError::Together(names.join(",")));
        }
        #[cfg(feature = "nccl")]
        if gpus > 1 {
            libraries::load_for_several()?;
        }
        names.iter().map(|name| name.open()).collect()
    }
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::WithoutCuda)
}

#[cfg(feature = "cuda")]
fn open_cuda(asked: usize) -> Result<Device, DeviceError> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;

    libraries::load()?;
    // The other lines of Candle's message are a backtrace.
    let driver = |why: String| DeviceError::Driver {
        asked,
        why: why.lines().next().unwrap_or_default().to_owned(),
    };
    let count = CudaContext::device_count().map_err(|error| driver(error.to_string()))?;
    let count = usize::try_from(count).unwrap_or(0);
    if asked >= count {
        return Err(DeviceError::NoSuch { asked, count });
    }
    let device = Device::new_cuda_with_stream(asked).map_err(|error| driver(error.to_string()))?;
    if let Device::Cuda(cuda) = &device {
        // SAFETY: everything on this device runs on its one stream, in order.
        unsafe { cuda.disable_event_tracking() };
        pool::keep(asked).map_err(|error| driver(error.to_string()))?;
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, name) in [
            ("cpu", DeviceName::Cpu),
            ("cuda:0", DeviceName::Cuda(0)),
            ("cuda:12", DeviceName::Cuda(12)),
        ] {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            let error = wrong.parse::<DeviceName>().unwrap_err();
            assert_eq!(error, DeviceError::Name(wrong.to_owned()));
        }
    }

    #[test]
    fn devices_that_do_not_fit_together_are_refused() {
        let open = |names: &str| {
            let names: Result<Vec<DeviceName>, _> = names.split(',').map(str::parse).collect();
            DeviceName::open_all(&names.unwrap()).map(|devices| devices.len())
        };
        assert_eq!(open("cpu").unwrap(), 1);
        assert_eq!(open("cpu,cpu").unwrap(), 2);
        for names in ["cpu,cuda:0", "cuda:1,cuda:0,cuda:1"] {
            assert_eq!(
                open(names).unwrap_err(),
                DeviceError::Together(names.into())
            );
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_is_never_replaced_by_the_cpu() {
        assert!(DeviceName::Cpu.open().unwrap().is_cpu());
        let error = DeviceName::Cuda(0).open().unwrap_err();
        assert_eq!(error, DeviceError::WithoutCuda);
    }
}
