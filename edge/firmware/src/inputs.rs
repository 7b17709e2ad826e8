//! Button and exposure line: what happens at them goes to the panel's task with its time.

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use plumbline_panel_drivers::button::Contacts;
use plumbline_panel_drivers::exposure::{ExposureLine, Stamp};
use plumbline_panel_logic::time::Micros;

use crate::{WAKE, board, now};

/// What happened at an input.
#[derive(Clone, Copy)]
pub enum Input {
    /// The button's contacts closed (true) or opened.
    Contact(Micros, bool),
    /// The exposure line became active.
    Exposure(Micros),
}

/// What the panel's task has not taken yet. It takes them within a millisecond or so, and contacts
/// bounce at most every 100 microseconds.
pub static INPUTS: Channel<CriticalSectionRawMutex, Input, 16> = Channel::new();
/// Whether the exposure line is active while it is low, at start and at every change.
pub static ACTIVE_LOW: Signal<CriticalSectionRawMutex, bool> = Signal::new();

/// Waits for the button.
#[embassy_executor::task]
pub async fn button(pin: board::ButtonPin) {
    let mut contacts = Contacts::new(pin);
    loop {
        let Ok(down) = contacts.change().await;
        INPUTS.send(Input::Contact(now(), down)).await;
        WAKE.signal(());
    }
}

/// Waits for exposures.
#[embassy_executor::task]
pub async fn exposure(pin: board::ExposurePin) {
    static STAMP: Stamp = Stamp::new(now);
    let mut line = ExposureLine::new(pin, &STAMP);
    let mut active_low = ACTIVE_LOW.wait().await;
    loop {
        match select(line.edge(active_low), ACTIVE_LOW.wait()).await {
            Either::First(Ok(at)) => {
                INPUTS.send(Input::Exposure(at)).await;
                WAKE.signal(());
            }
            Either::Second(changed) => active_low = changed,
        }
    }
}
