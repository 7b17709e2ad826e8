//! Battery and thermometer, read every few seconds.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Ticker, with_timeout};
use plumbline_panel_drivers::thermometer::Thermometer;
use plumbline_panel_logic::power::Reading;

use crate::{WAKE, board};

/// The newest reading that the panel's task has not taken yet.
pub static READING: Signal<CriticalSectionRawMutex, Reading> = Signal::new();

const EVERY: Duration = Duration::from_secs(2);
/// A thermometer that holds its bus does not answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reads the sensors.
#[embassy_executor::task]
pub async fn read(mut battery: board::Battery, bus: board::Bus) {
    let mut thermometer = Thermometer::new(bus);
    let mut ticker = Ticker::every(EVERY);
    loop {
        let battery = battery.millivolts().await;
        let temperature = with_timeout(PATIENCE, thermometer.decidegrees()).await;
        READING.signal(Reading {
            battery,
            temperature: temperature.ok().and_then(Result::ok),
        });
        WAKE.signal(());
        ticker.next().await;
    }
}
