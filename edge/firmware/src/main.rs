//! The panel board's program: lamps, buzzer, acknowledge button and exposure line beside the X-ray
//! unit, on a serial line to the station.
//!
//! What the panel does is in `plumbline-panel-logic`; here it is fed from a board. One task, `run`,
//! owns the panel and the link; the others wait for one thing each and tell it.

#![no_std]
#![no_main]

mod board;
mod build_id;
mod inputs;
mod keeper;
mod log;
mod restart;
mod run;
mod sensors;

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Timer;
use plumbline_panel_logic::linked::LinkedPanel;
use plumbline_panel_logic::panel::Panel;
use plumbline_panel_logic::time::Micros;
use plumbline_wire::hello::Version;
use plumbline_wire::panel::{Build, identity};
use static_cell::StaticCell;

/// The line to the station: 921,600 baud, 8 bits, no parity, one stop bit.
const BAUD: u32 = 921_600;

/// Something happened that the panel's task must look at.
static WAKE: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// The board's clock.
fn now() -> Micros {
    embassy_time::Instant::now().as_micros()
}

/// Whether a task was woken since the executor looked.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// embassy-executor calls this when a task is woken.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    WOKEN.store(true, Ordering::Relaxed);
}

/// Polls the tasks, and sleeps by WFI when none is woken. embassy's own executor sleeps by WFE,
/// which QEMU does not: each emulated board would keep one processor of its computer busy.
#[cortex_m_rt::entry]
fn entry() -> ! {
    static mut EXECUTOR: MaybeUninit<raw::Executor> = MaybeUninit::uninit();
    let executor: &'static raw::Executor =
        EXECUTOR.write(raw::Executor::new(core::ptr::null_mut()));
    spawn(executor.spawner(), start(executor.spawner()));
    loop {
        // SAFETY: called here only, one call at a time.
        unsafe { executor.poll() };
        // With interrupts masked, WFI still wakes for one that is pending: none can slip in
        // between the look and the sleep.
        critical_section::with(|_| {
            if !WOKEN.load(Ordering::Relaxed) {
                cortex_m::asm::wfi();
            }
            WOKEN.store(false, Ordering::Relaxed);
        });
    }
}

/// Starts a task that is started once.
fn spawn<S>(
    spawner: Spawner,
    task: Result<embassy_executor::SpawnToken<S>, embassy_executor::SpawnError>,
) {
    match task {
        Ok(task) => spawner.spawn(task),
        Err(_) => unreachable!("each task is started once"),
    }
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let reset = restart::reason();
    let mut board = board::start();
    let mut keeper = keeper::Keeper::new(board.flash);
    // Flash memory may take longer than the watchdog's patience.
    let feeding = async {
        loop {
            board.watchdog.feed();
            Timer::after_millis(20).await;
        }
    };
    let Either::First(start) = select(keeper.start(), feeding).await;
    defmt::info!(
        "start {=u32}, after {}",
        start.number,
        defmt::Debug2Format(&reset)
    );

    let boot = u64::from(board::serial_number()) << 32 | u64::from(start.number);
    let build = Build {
        board: board::KIND,
        id: build_id::build_id(),
    };
    let me = identity(Version::of(env!("CARGO_PKG_VERSION")), boot);
    // By reference: a task would keep what it is given twice, and this is a third of the memory.
    static PANEL: StaticCell<LinkedPanel> = StaticCell::new();
    let panel =
        PANEL.init_with(|| LinkedPanel::new(Panel::new(boot, reset, build, start.settings), me));

    spawn(spawner, keeper::keep(keeper));
    spawn(spawner, inputs::button(board.button));
    spawn(spawner, inputs::exposure(board.exposure));
    spawn(spawner, sensors::read(board.battery, board.bus));
    spawn(spawner, run::send(board.transmitter));
    spawn(
        spawner,
        run::run(
            panel,
            board.lamps,
            board.buzzer,
            board.receiver,
            board.watchdog,
        ),
    );
}
