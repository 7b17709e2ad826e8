//! Messages between Plumbline's programs, in [postcard](https://postcard.jamesmunns.com)'s format.
//!
//! The crate needs neither an operating system nor an allocator: messages borrow their text from
//! the buffer that they were read from. With the feature `std` they are said and heard on the standard
//! library's connections.

#![no_std]

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
