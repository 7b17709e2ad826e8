//! Any bytes, frames and times into a link, and any bytes into a stream: nothing panics, what a link
//! sends are whole frames, it says when it has something to send, and what is read as a message says
//! the same when it is written again.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use plumbline_wire::frame::{self, BODY, FRAME, Frame, Frames, Header, Kind, session_name};
use plumbline_wire::hello::{Hello, Identity, Version};
use plumbline_wire::host::{FromStation, ToStation};
use plumbline_wire::link::{Link, News, Timing};
use plumbline_wire::message::read;
use plumbline_wire::panel::{self, FromPanel, ToPanel};
use plumbline_wire::stream::Messages;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Bytes from the line as they are.
    Line(&'a [u8]),
    /// A whole frame of the session, or nearly.
    Frame {
        kind: u8,
        name: u8,
        sequence: u16,
        acknowledgement: u16,
        selective: u16,
        window: u8,
        body: &'a [u8],
    },
    /// A hello of the other side, or of somebody like it.
    Hello {
        protocol: u8,
        boot: u8,
        session: u8,
        heard: u8,
        answer: bool,
    },
    Wait(u32),
    Send(u8),
    Take,
    Log(&'a [u8]),
    Transmit,
    /// Bytes from a stream.
    Stream(&'a [u8]),
}

/// The other side's half of the session.
const THEIRS: u32 = 77;

/// Room for a message of the stream.
const ROOM: usize = 300;

fn identity(protocol: u16, boot: u64) -> Identity {
    Identity {
        protocol,
        ..panel::identity(Version::of("1.0.0"), boot)
    }
}

/// Writes the message again that `$bytes` may be, and compares.
macro_rules! again {
    ($message:ty, $bytes:expr) => {
        if let Some(message) = read::<$message>($bytes) {
            let mut buffer = [0; ROOM];
            let again = postcard::to_slice(&message, &mut buffer).expect("room");
            assert_eq!(read(again), Some(message));
        }
    };
}

fuzz_target!(|steps: Vec<Step>| {
    let mut link = Link::<4, 4>::new(identity(panel::PROTOCOL, 1), Timing::DEFAULT);
    let (mut now, mut out) = (0, [0; FRAME]);
    // The half that the link offered last, or has.
    let mut ours = 0;
    let mut sent = Frames::new();
    let mut buffer = [0; ROOM];
    let mut messages = Messages::new(&mut buffer);
    let mut broken = false;
    for step in steps.into_iter().take(500) {
        let mut bytes = Vec::new();
        match step {
            Step::Line(line) => bytes.extend_from_slice(line),
            Step::Frame {
                kind,
                name,
                sequence,
                acknowledgement,
                selective,
                window,
                body,
            } => {
                let kinds = [Kind::Message, Kind::Acknowledgement, Kind::Log];
                let header = Header {
                    kind: kinds[usize::from(kind) % 3],
                    session: session_name(THEIRS, ours ^ u32::from(name == 255)),
                    sequence,
                    acknowledgement,
                    selective,
                    window,
                };
                bytes.extend_from_slice(frame::write(&header, body, &mut out));
            }
            Step::Hello {
                protocol,
                boot,
                session,
                heard,
                answer,
            } => {
                let wrong = u16::from(protocol) / 128 * u16::from(protocol);
                let hello = Hello {
                    from: identity(panel::PROTOCOL + wrong, 2 + u64::from(boot) / 128),
                    session: THEIRS + u32::from(session) / 128,
                    heard: match heard {
                        0..128 => ours,
                        128..192 => 0,
                        _ => u32::from(heard),
                    },
                    answer,
                };
                bytes.extend_from_slice(frame::write_hello(&hello, &mut out));
            }
            Step::Wait(time) => now += u64::from(time),
            Step::Send(length) => {
                let room = link.room();
                let kept = link.send(&&[0u8; 255][..usize::from(length)]).is_ok();
                assert_eq!(link.room(), room - usize::from(kept));
            }
            Step::Take => {
                if let Some(body) = link.message() {
                    assert!(body.len() <= BODY);
                    again!(ToPanel, body);
                    again!(FromPanel, body);
                }
            }
            Step::Log(piece) => {
                link.log(piece);
            }
            Step::Transmit => {
                assert!(link.room() <= 4);
                for _ in 0..100 {
                    let due = link.wake() <= now;
                    let Some(mut frame) = link.transmit(now, &mut out) else {
                        assert!(!due, "nothing to send at its own time");
                        break;
                    };
                    assert!(due, "something to send before its own time");
                    if let Some(Frame::Hello(hello)) = sent.next(&mut frame) {
                        ours = hello.session;
                    }
                    assert!(frame.is_empty() && sent.bad() == 0, "no whole frame");
                }
                assert!(link.wake() > now, "a link that never ends to speak");
            }
            Step::Stream(mut stream) => {
                while !broken && !stream.is_empty() {
                    match messages.next(&mut stream) {
                        Ok(None) => assert!(stream.is_empty()),
                        Ok(Some(message)) => {
                            again!(ToStation, message);
                            again!(FromStation, message);
                        }
                        Err(_) => broken = true,
                    }
                }
            }
        }
        let mut bytes = &bytes[..];
        while let Some(news) = link.receive(now, &mut bytes) {
            if let News::Log { frames, .. } = news {
                assert!(frames.len() <= BODY);
            }
        }
        assert!(bytes.is_empty());
    }
});
