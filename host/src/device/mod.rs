//! A station, asked over TCP and TLS in the messages of `plumbline-wire`.

mod address;
mod connection;
mod error;
mod film;
mod history;
mod station;

pub use address::Address;
pub use connection::Connection;
pub use error::DeviceError;
pub use film::{FilmFile, Told};
pub use station::Station;
