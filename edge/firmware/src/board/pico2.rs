//! Raspberry Pi Pico 2 (RP2350A, two Cortex-M33 of which one is used).
//!
//! `README.md` has the pins and the drawing.

use core::ops::Range;

use embassy_rp::adc::{self, Adc, Channel};
use embassy_rp::flash::Async;
use embassy_rp::gpio::{Input, Pull};
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::{DMA_CH0, FLASH, I2C1, UART0};
use embassy_rp::pwm::{self, Pwm, PwmOutput};
use embassy_rp::uart::{
    self, BufferedInterruptHandler, BufferedUart, BufferedUartRx, BufferedUartTx,
};
use embassy_rp::{bind_interrupts, dma, otp, pac};
use plumbline_panel_drivers::battery::Divider;
use plumbline_wire::panel;
use static_cell::ConstStaticCell;

use super::Board;
use crate::restart::Mark;

bind_interrupts!(struct Irqs {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
    I2C1_IRQ => i2c::InterruptHandler<I2C1>;
    ADC_IRQ_FIFO => adc::InterruptHandler;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
});

/// The flash memory of a Pico 2.
const FLASH_SIZE: usize = 4 << 20;

/// The kind of board.
pub const KIND: panel::Board = panel::Board::Pico2;
/// The part of the flash memory that keeps settings: the last 32 KiB.
pub const SETTINGS: Range<u32> = (FLASH_SIZE - (32 << 10)) as u32..FLASH_SIZE as u32;

/// The watchdog's patience before each of its two stages. Keeping settings takes as long as it takes
/// to erase a page of the flash memory, up to 400 ms (W25Q32JV), and to write to it, up to 3 ms each
/// time; and nothing else runs then.
const PATIENCE_US: u32 = 900_000;
/// The alarm of timer 1 that is the watchdog's first stage.
const ALARM: usize = 0;

const DIVIDER: Divider = Divider {
    reference_mv: 3300,
    bits: 12,
    upper: 100_000,
    lower: 100_000,
};
/// A converter whose pin is at ground reads less than this: there is no battery, in millivolts.
const NO_BATTERY: u16 = 1000;

/// The pins of lamps and buzzer.
const LAMPS: Range<usize> = 2..8;
const BUZZER: usize = 8;
/// A passive buzzer's tone, and the lamps' frequency, which nobody sees flicker, Hz.
const TONE: u32 = 2700;
const DIMMING: u32 = 1000;

/// The output of a lamp.
pub type LampOutput = PwmOutput<'static>;
/// The output of the buzzer.
pub type BuzzerOutput = Pwm<'static>;
/// The button's pin.
pub type ButtonPin = Input<'static>;
/// The exposure line's pin.
pub type ExposurePin = Input<'static>;
/// The thermometer's bus.
pub type Bus = I2c<'static, I2C1, i2c::Async>;
/// The flash memory.
pub type Flash = embassy_rp::flash::Flash<'static, FLASH, Async, FLASH_SIZE>;
/// The line from the station.
pub type Receiver = BufferedUartRx;
/// The line to the station.
pub type Transmitter = BufferedUartTx;

/// Starts the board. To be called once.
pub fn start() -> Board {
    let parts = embassy_rp::init(embassy_rp::config::Config::default());
    let watchdog = Watchdog::start(embassy_rp::watchdog::Watchdog::new(parts.WATCHDOG));

    let clock = embassy_rp::clocks::clk_sys_freq();
    let config = |frequency: u32| {
        let mut config = pwm::Config::default();
        // 1000 steps; the divider takes what is left.
        config.top = 999;
        config.divider = ((clock / frequency / 1000) as u8).into();
        config
    };
    let pair = |pwm: Pwm<'static>| match pwm.split() {
        (Some(a), Some(b)) => [a, b],
        _ => unreachable!("both outputs of the slice are in use"),
    };
    let dimming = || config(DIMMING);
    let [ready, busy] = pair(Pwm::new_output_ab(
        parts.PWM_SLICE1,
        parts.PIN_2,
        parts.PIN_3,
        dimming(),
    ));
    let [refer, no_sign] = pair(Pwm::new_output_ab(
        parts.PWM_SLICE2,
        parts.PIN_4,
        parts.PIN_5,
        dimming(),
    ));
    let [take_again, fault] = pair(Pwm::new_output_ab(
        parts.PWM_SLICE3,
        parts.PIN_6,
        parts.PIN_7,
        dimming(),
    ));

    static RECEIVED: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
    static TO_SEND: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; 64]);
    let mut line = uart::Config::default();
    line.baudrate = crate::BAUD;
    let (transmitter, receiver) = BufferedUart::new(
        parts.UART0,
        parts.PIN_0,
        parts.PIN_1,
        Irqs,
        TO_SEND.take(),
        RECEIVED.take(),
        line,
    )
    .split();
    // An adapter without power leaves the line to itself.
    pac::PADS_BANK0.gpio(1).modify(|pad| pad.set_pue(true));

    Board {
        lamps: [ready, busy, refer, no_sign, take_again, fault],
        buzzer: Pwm::new_output_a(parts.PWM_SLICE4, parts.PIN_8, config(TONE)),
        button: Input::new(parts.PIN_10, Pull::Up),
        // A resistor of its own holds it: RP2350's pull-downs do not (erratum RP2350-E9).
        exposure: Input::new(parts.PIN_11, Pull::None),
        bus: I2c::new_async(
            parts.I2C1,
            parts.PIN_15,
            parts.PIN_14,
            Irqs,
            i2c::Config::default(),
        ),
        battery: Battery {
            converter: Adc::new(parts.ADC, Irqs, adc::Config::default()),
            pin: Channel::new_pin(parts.PIN_26, Pull::None),
        },
        flash: Flash::new(parts.FLASH, parts.DMA_CH0, Irqs),
        receiver,
        transmitter,
        watchdog,
    }
}

/// The battery's voltage.
pub struct Battery {
    converter: Adc<'static, adc::Async>,
    pin: Channel<'static>,
}

impl Battery {
    /// The voltage in millivolts; none without a battery.
    pub async fn millivolts(&mut self) -> Option<u16> {
        let raw = self.converter.read(&mut self.pin).await.ok()?;
        Some(DIVIDER.millivolts(raw)).filter(|millivolts| *millivolts >= NO_BATTERY)
    }
}

/// Bytes that were lost because nobody took them in time: embassy-rp does not tell.
pub fn lost_bytes() -> u32 {
    0
}

/// A number of this board that no other has, made of the chip's.
pub fn serial_number() -> u32 {
    let chip = otp::get_chipid().unwrap_or(0);
    (chip ^ chip >> 32) as u32
}

/// Lights the fault lamp alone and silences the buzzer, at once and whatever else runs.
pub fn fault_lamps() {
    const SIO: u8 = pac::io::vals::Gpio0ctrlFuncsel::SIOB_PROC_0 as u8;
    let fault = LAMPS.end - 1;
    for pin in LAMPS.chain([BUZZER]) {
        let level = pac::SIO.gpio_out(0);
        match pin == fault {
            true => level.value_set().write_value(1 << pin),
            false => level.value_clr().write_value(1 << pin),
        }
        pac::SIO.gpio_oe(0).value_set().write_value(1 << pin);
        // From PWM to the level that was just set.
        pac::IO_BANK0
            .gpio(pin)
            .ctrl()
            .write(|control| control.set_funcsel(SIO));
    }
}

/// Leaves a mark for the next start.
pub fn leave(mark: Mark) {
    pac::WATCHDOG.scratch0().write(|word| *word = mark.0);
}

/// The mark that was left before the reset; after loss of power none.
pub fn left() -> Mark {
    let mark = Mark(pac::WATCHDOG.scratch0().read());
    // The reset pin clears the scratch register, too.
    match mark.0 == 0 && pac::POWMAN.chip_reset().read().had_run_low() {
        true => Mark::RUNNING,
        false => mark,
    }
}

/// The watchdog. RP2350's has one stage, the reset; the stage before is an alarm of timer 1 that is
/// wired to the NMI.
pub struct Watchdog(embassy_rp::watchdog::Watchdog);

impl Watchdog {
    fn start(mut reset: embassy_rp::watchdog::Watchdog) -> Self {
        let megahertz = embassy_rp::clocks::clk_ref_freq() / 1_000_000;
        pac::TICKS
            .timer1_cycles()
            .write(|cycles| cycles.0 = megahertz);
        pac::TICKS
            .timer1_ctrl()
            .write(|control| control.set_enable(true));
        pac::TIMER1
            .inte()
            .write(|interrupts| interrupts.set_alarm(ALARM, true));
        pac::EPPB
            .nmi_mask0()
            .write_value(1 << pac::Interrupt::TIMER1_IRQ_0 as u32);
        reset.start(embassy_time::Duration::from_micros(
            2 * u64::from(PATIENCE_US),
        ));
        let mut watchdog = Self(reset);
        watchdog.feed();
        watchdog
    }

    /// Says that the program lives.
    pub fn feed(&mut self) {
        let now = pac::TIMER1.timerawl().read();
        pac::TIMER1
            .alarm(ALARM)
            .write_value(now.wrapping_add(PATIENCE_US));
        self.0.feed(embassy_time::Duration::from_micros(
            2 * u64::from(PATIENCE_US),
        ));
    }
}
