//! The panel: lamps, buzzer, button and exposure input beside the station. A board on a serial line
//! has them, or pins of this computer do. It shows what the store says of the films, and what happens
//! there is kept in the store. The station works without it.

mod board_clock;
mod conversation;
mod gpio;
mod line;
mod port;
mod shown;

pub use conversation::Board;
pub use gpio::Pins;
pub use line::{BoardState, PanelLine, PanelStatus, Place};
