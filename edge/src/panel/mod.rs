//! The panel: lamps, buzzer, button and exposure input beside the station. A board on a serial line
//! has them, and shows what the store says of the films; what happens at the board is kept in the
//! store. The station works without it.

mod board_clock;
mod conversation;
mod line;
mod port;
mod shown;

pub use conversation::Board;
pub use line::{BoardState, PanelLine, PanelStatus};
