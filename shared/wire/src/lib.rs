//! Messages between Plumbline's programs, in [postcard](https://postcard.jamesmunns.com)'s format,
//! and how they cross lines and streams. `shared/WIRE.md` has every byte of it.
//!
//! The crate needs neither an operating system nor an allocator: messages borrow their text from
//! the buffer that they were read from.
//!
//! - Between panel board and station, on a serial line: [`panel`]'s messages through a
//!   [`link`](link::Link), which makes [`frame`]s and resends what is lost; the panel keeps its events
//!   in an [`outbox`].
//! - Between host and station, on TCP: [`host`]'s messages on a [`stream`], and films as
//!   [`object`]s that resume.
//! - Either begins by a [`hello`], which says whether both sides are of one version.
//! - Between the station and its decoder process, on a pipe: [`decoder`]'s.
//!
//! With the feature `std` messages are said and heard on the standard library's connections.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
pub mod conversation;
pub mod decoder;
pub mod frame;
pub mod hello;
pub mod host;
pub mod link;
pub mod message;
pub mod object;
pub mod outbox;
pub mod panel;
pub mod stream;
