//! The devices that networks are computed on.

mod aborted;
mod device_thread;
mod error;
mod host_all_reduce;
#[cfg(feature = "cuda")]
mod libraries;
mod name;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(feature = "cuda")]
mod pool;
mod ranks;

pub use device_thread::DeviceThread;
pub use error::DeviceError;
pub use name::DeviceName;
pub use ranks::Rank;
