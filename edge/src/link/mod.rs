//! The link to the host: `plumbline device` asks the station how it is, sends films, and fetches
//! results and logs. Over TLS with certificates of both sides, in the messages of `plumbline-wire`.

mod about;
mod answer;
mod film;
mod listener;
mod session;

pub use about::{InstalledBundle, Station};
pub use listener::LinkListener;
