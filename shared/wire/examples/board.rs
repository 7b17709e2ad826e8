//! The smallest program of a board that listens and speaks through a link: its size is what the wire
//! takes of a board's flash memory. `BENCHMARKS.md` has the command and what it said.
//!
//! It is made for measuring, for a UART at an address that no board needs to have, and never run.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    println!("to be built for thumbv7em-none-eabi: see BENCHMARKS.md");
}

#[cfg(target_os = "none")]
mod board {
    use plumbline_wire::frame::FRAME;
    use plumbline_wire::hello::Version;
    use plumbline_wire::link::{Link, News, Timing};
    use plumbline_wire::message::read;
    use plumbline_wire::outbox::Outbox;
    use plumbline_wire::panel::{self, FromPanel, Occurrence, Reset, ToPanel};

    const UART: *mut u8 = 0x4000_4000 as *mut u8;
    const CLOCK: *const u32 = 0x4000_0000 as *const u32;
    const LAMPS: *mut u8 = 0x4002_8000 as *mut u8;

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo) -> ! {
        loop {}
    }

    #[unsafe(no_mangle)]
    extern "C" fn _start() -> ! {
        // SAFETY: addresses of devices, which nothing else in this program uses.
        let clock = || unsafe { CLOCK.read_volatile() }.into();
        let boot = clock();
        let version = Version::of(env!("CARGO_PKG_VERSION"));
        let mut link = Link::<4, 4>::new(panel::identity(version, boot), Timing::DEFAULT);
        let mut outbox = Outbox::<8>::new(boot);
        let mut out = [0; FRAME];
        let _ = outbox.push(0, Occurrence::Started(Reset::Power));
        loop {
            let now = clock();
            // SAFETY: as above.
            let bytes = [unsafe { UART.read_volatile() }];
            let mut bytes = &bytes[..];
            while let Some(news) = link.receive(now, &mut bytes) {
                if let News::Opened(_) = news {
                    outbox.say_again();
                }
            }
            while let Some(message) = link.message().and_then(read) {
                match message {
                    // SAFETY: as above.
                    ToPanel::Show(show) => unsafe { LAMPS.write_volatile(show.activity as u8) },
                    ToPanel::Acknowledge(id) => outbox.acknowledge(id),
                    ToPanel::Keep(_) | ToPanel::Ask(_) => (),
                }
            }
            if let Some(&event) = outbox.unsaid()
                && link.send(&FromPanel::Event(event)).is_ok()
            {
                outbox.said();
            }
            if link.log_room() {
                link.log(&[0; 4]);
            }
            while let Some(frame) = link.transmit(now, &mut out) {
                for &byte in frame {
                    // SAFETY: as above.
                    unsafe { UART.write_volatile(byte) };
                }
            }
        }
    }
}
