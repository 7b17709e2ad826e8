//! The first words of both sides, by which each knows whether they speak the same messages.
//!
//! The layout of a hello is frozen for ever: whatever else changes, programs of any two versions read
//! each other's. It is therefore written byte by byte, outside [`SCHEMA`](crate::panel::SCHEMA) and
//! without postcard. Later programs may add bytes behind it, which earlier ones do not look at.

use core::fmt;

use postcard_schema::{Schema, key::Key};
use serde::{Deserialize, Serialize};

/// The first byte of a hello, in a frame on a serial line as in a stream.
pub const HELLO: u8 = b'H';

/// The bytes of a hello.
pub const LENGTH: usize = 34;

/// A program's version.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct Version {
    /// Incompatible changes.
    pub major: u16,
    /// Additions.
    pub minor: u16,
    /// Repairs.
    pub patch: u16,
}

impl Version {
    /// Reads `major.minor.patch`, as in `env!("CARGO_PKG_VERSION")`; what is no number ends it, and
    /// what is missing is 0.
    pub const fn of(text: &str) -> Self {
        let (bytes, mut parts) = (text.as_bytes(), [0u16; 3]);
        let (mut part, mut index) = (0, 0);
        while index < bytes.len() && part < 3 {
            match bytes[index] {
                digit @ b'0'..=b'9' => {
                    let tens = parts[part].saturating_mul(10);
                    parts[part] = tens.saturating_add((digit - b'0') as u16);
                }
                b'.' => part += 1,
                _ => break,
            }
            index += 1;
        }
        let [major, minor, patch] = parts;
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            major,
            minor,
            patch,
        } = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// What a program says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The number of the messages that it speaks.
    pub protocol: u16,
    /// The hash of these messages.
    pub schema: [u8; 8],
    /// The program's version.
    pub version: Version,
    /// A number of this start of the program that no other start of any program has, the other
    /// side's included: random, or the board's number with a count of its starts.
    pub boot: u64,
}

/// Whether the other side speaks the same messages, and if not, which side is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// Both speak the same messages.
    Same,
    /// The other side has a lower protocol number: it should be updated.
    OtherIsOlder,
    /// The other side has a higher protocol number: this side should be updated.
    OtherIsNewer,
    /// Both have the same protocol number and yet other messages: one of them was built from changed
    /// sources, or speaks of something else altogether.
    SameNumberOtherMessages,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "both sides speak the same messages",
            Self::OtherIsOlder => "the other side is older: update it",
            Self::OtherIsNewer => "the other side is newer: update this one",
            Self::SameNumberOtherMessages => {
                "both sides have the same protocol number and speak other messages: update both to \
                 one release"
            }
        })
    }
}

impl Identity {
    /// Compares the messages of this side and of `other`.
    pub fn agreement(&self, other: &Self) -> Agreement {
        use core::cmp::Ordering;
        match other.protocol.cmp(&self.protocol) {
            Ordering::Less => Agreement::OtherIsOlder,
            Ordering::Greater => Agreement::OtherIsNewer,
            Ordering::Equal if other.schema == self.schema => Agreement::Same,
            Ordering::Equal => Agreement::SameNumberOtherMessages,
        }
    }
}

/// A hello.
///
/// ```
/// use plumbline_wire::hello::{Agreement, Hello};
/// use plumbline_wire::panel;
///
/// let version = plumbline_wire::hello::Version::of("1.4.0");
/// let ours = panel::identity(version, 99);
/// let hello = Hello { from: ours, session: 0, heard: 0, answer: true };
/// let heard = Hello::read(&hello.write()).unwrap();
/// assert_eq!(ours.agreement(&heard.from), Agreement::Same);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who says it.
    pub from: Identity,
    /// The sender's half of the session's name; in a stream, which needs none, 0.
    pub session: u32,
    /// The other half as the sender last heard it; 0 if it heard none.
    pub heard: u32,
    /// The sender waits for a hello in answer.
    pub answer: bool,
}

impl Hello {
    /// Writes the hello.
    pub fn write(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let Identity {
            protocol,
            schema,
            version,
            boot,
        } = self.from;
        bytes[0] = HELLO;
        bytes[1..3].copy_from_slice(&protocol.to_le_bytes());
        bytes[3..11].copy_from_slice(&schema);
        bytes[11..13].copy_from_slice(&version.major.to_le_bytes());
        bytes[13..15].copy_from_slice(&version.minor.to_le_bytes());
        bytes[15..17].copy_from_slice(&version.patch.to_le_bytes());
        bytes[17..25].copy_from_slice(&boot.to_le_bytes());
        bytes[25..29].copy_from_slice(&self.session.to_le_bytes());
        bytes[29..33].copy_from_slice(&self.heard.to_le_bytes());
        bytes[33] = self.answer.into();
        bytes
    }

    /// Reads a hello; `None` if the bytes are none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
        if bytes[0] != HELLO {
            return None;
        }
        let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let four = |at: usize| u32::from(two(at)) | u32::from(two(at + 2)) << 16;
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        Some(Self {
            from: Identity {
                protocol: two(1),
                schema: eight(3).to_le_bytes(),
                version: Version {
                    major: two(11),
                    minor: two(13),
                    patch: two(15),
                },
                boot: eight(17),
            },
            session: four(25),
            heard: four(29),
            answer: bytes[33] & 1 == 1,
        })
    }
}

/// Returns the hash of what two sides say to each other: of the names and types of all messages.
pub const fn schema_of<A: Schema, B: Schema>(subject: &str) -> [u8; 8] {
    let a = u64::from_le_bytes(Key::for_path::<A>(subject).to_bytes());
    let b = u64::from_le_bytes(Key::for_path::<B>(subject).to_bytes());
    // Turned, lest exchanging the two directions give the same hash.
    (a ^ b.rotate_left(1)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_read_as_far_as_they_are_numbers() {
        let version = |major, minor, patch| Version {
            major,
            minor,
            patch,
        };
        assert_eq!(Version::of("1.22.3"), version(1, 22, 3));
        assert_eq!(Version::of("0.1.0-rc.1"), version(0, 1, 0));
        assert_eq!(Version::of("7"), version(7, 0, 0));
        assert_eq!(Version::of("99999.1.2.3"), version(u16::MAX, 1, 2));
        assert_eq!(Version::of(""), version(0, 0, 0));
    }

    #[test]
    fn the_older_side_is_named() {
        let ours = Identity {
            protocol: 5,
            schema: [1; 8],
            version: Version::of("1.0.0"),
            boot: 1,
        };
        let with = |protocol, schema| Identity {
            protocol,
            schema,
            ..ours
        };
        let of = |other: Identity| ours.agreement(&other);
        assert_eq!(of(with(5, [1; 8])), Agreement::Same);
        // The number decides, whatever the hash says.
        assert_eq!(of(with(4, [1; 8])), Agreement::OtherIsOlder);
        assert_eq!(of(with(6, [2; 8])), Agreement::OtherIsNewer);
        assert_eq!(of(with(5, [2; 8])), Agreement::SameNumberOtherMessages);
    }

    proptest! {
        #[test]
        fn hellos_survive_their_way_and_what_later_programs_add(
            (protocol, schema, boot) in any::<(u16, [u8; 8], u64)>(),
            (major, minor, patch) in any::<(u16, u16, u16)>(),
            (session, heard, answer) in any::<(u32, u32, bool)>(),
            more in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let version = Version { major, minor, patch };
            let from = Identity { protocol, schema, version, boot };
            let hello = Hello { from, session, heard, answer };
            let mut bytes = hello.write().to_vec();
            bytes.extend(more);
            prop_assert_eq!(Hello::read(&bytes), Some(hello));
            prop_assert_eq!(Hello::read(&bytes[..LENGTH - 1]), None);
            bytes[0] ^= 1;
            prop_assert_eq!(Hello::read(&bytes), None);
        }
    }
}
