//! The task that owns the panel and the link.

use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_time::{Instant, Timer};
use embedded_io_async::{Read, Write};
use plumbline_panel_drivers::buzzer::Buzzer;
use plumbline_panel_drivers::lamps::LampRow;
use plumbline_panel_logic::linked::{LinkNews, LinkedPanel};
use plumbline_panel_logic::time::{MILLISECOND, Micros};
use plumbline_wire::frame::{BODY, FRAME};

use crate::inputs::{ACTIVE_LOW, INPUTS, Input};
use crate::keeper::{KEEP, KEPT};
use crate::log::Logs;
use crate::sensors::READING;
use crate::{WAKE, board, now};

/// The watchdog is fed at least this often.
const FEED: Micros = 50 * MILLISECOND;

/// What waits for the line. The panel's task never waits for it itself.
static LINE: Pipe<CriticalSectionRawMutex, { 2 * FRAME }> = Pipe::new();

/// Sends what waits for the line.
#[embassy_executor::task]
pub async fn send(mut transmitter: board::Transmitter) {
    let mut bytes = [0; 64];
    loop {
        let length = LINE.read(&mut bytes).await;
        // embassy-rp's transmitter cannot fail, only says that it might.
        let _ = transmitter.write_all(&bytes[..length]).await;
        WAKE.signal(());
    }
}

/// Feeds the panel with what happens and with time, and sets lamps and buzzer.
#[embassy_executor::task]
pub async fn run(
    linked: &'static mut LinkedPanel,
    lamps: [board::LampOutput; 6],
    buzzer: board::BuzzerOutput,
    mut receiver: board::Receiver,
    mut watchdog: board::Watchdog,
) {
    let mut lamps = LampRow::new(lamps);
    let mut buzzer = Buzzer::new(buzzer);
    let mut logs = Logs::default();
    let mut active_low = None;
    let mut bytes = [0; 128];
    loop {
        take_inputs(linked);
        let settings = *linked.panel.settings();
        if active_low != Some(settings.exposure_active_low) {
            active_low = Some(settings.exposure_active_low);
            ACTIVE_LOW.signal(settings.exposure_active_low);
        }
        if let Some(settings) = linked.panel.keep() {
            KEEP.signal(settings);
        }
        let output = linked.advance(now(), board::lost_bytes());
        // Outputs fail only for duties beyond their range, which drivers do not ask for; and they
        // are set again in the next turn.
        let _ = lamps.show(output.lamps, output.brightness);
        let _ = buzzer.sound(output.volume);
        let wake = transmit(linked, &mut logs);
        watchdog.feed();

        let timer = Timer::at(Instant::from_micros(wake.min(now() + FEED)));
        let happens = select3(receiver.read(&mut bytes), WAKE.wait(), timer);
        if let Either3::First(received) = happens.await {
            // What a damaged byte costs is found by the link.
            let length = received.unwrap_or(0);
            linked.receive(now(), &bytes[..length], tell);
        }
    }
}

/// Gives the panel what other tasks have for it.
fn take_inputs(linked: &mut LinkedPanel) {
    while let Ok(input) = INPUTS.try_receive() {
        match input {
            Input::Contact(at, down) => linked.panel.contact(at, down),
            Input::Exposure(at) => linked.panel.exposed(at),
        }
    }
    if let Some(reading) = READING.try_take() {
        linked.panel.measured(reading);
    }
    if let Some((settings, kept)) = KEPT.try_take() {
        linked.panel.kept(settings, kept);
    }
}

/// Gives the line what it has room for, and says when there is more to be done.
fn transmit(linked: &mut LinkedPanel, logs: &mut Logs) -> Micros {
    let mut frame = [0; FRAME];
    loop {
        if linked.log_room() {
            let mut frames = [0; BODY];
            let (frames, lost) = logs.take(&mut frames);
            if !frames.is_empty() || lost > 0 {
                linked.log(frames, lost);
            }
        }
        if LINE.free_capacity() < FRAME {
            // The line's task wakes this one when it has sent some.
            return linked.panel.wake();
        }
        let Some(frame) = linked.transmit(now(), &mut frame) else {
            return linked.wake();
        };
        // There is room for all of it, if not always in one piece.
        let mut rest = frame;
        while !rest.is_empty()
            && let Ok(taken) = LINE.try_write(rest)
        {
            rest = &rest[taken..];
        }
    }
}

/// Logs what happens to the link.
fn tell(news: LinkNews) {
    match news {
        LinkNews::Opened(station) => defmt::info!(
            "the station is there: {=u16}.{=u16}.{=u16}",
            station.version.major,
            station.version.minor,
            station.version.patch
        ),
        LinkNews::Refused(station, why) => defmt::error!(
            "no session with a station of protocol {=u16}: {}",
            station.protocol,
            defmt::Display2Format(&why)
        ),
        LinkNews::Foreign(length) => {
            defmt::warn!("a message of {=usize} bytes that is none of ours", length)
        }
    }
}
