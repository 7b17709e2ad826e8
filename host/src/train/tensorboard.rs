//! A run's epochs as a TensorBoard event file.
//!
//! The file is a sequence of records, each an `Event` of TensorBoard's protocol buffers between
//! its length and checksums (TensorFlow's `TFRecord`): length `u64`, masked CRC-32C of it, the
//! event, masked CRC-32C of that; all little endian.

use prost::Message;

use super::events::Epoch;

/// Name of the event file in a run's folder; TensorBoard finds files by this start.
pub(super) const EVENTS: &str = "events.out.tfevents.plumbline";

/// `tensorboard.Event`, the fields used here.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorboard.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorboard.Summary.Value`, for scalars.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, as zero is left out otherwise.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The whole event file of a run with these epochs.
pub(super) fn file(epochs: &[Epoch]) -> Vec<u8> {
    let began = epochs
        .first()
        .map_or(0.0, |first| first.ended - first.seconds);
    let mut file = record(&Event {
        wall_time: began,
        step: 0,
        file_version: Some("brain.Event:2".into()),
        summary: None,
    });
    for (step, epoch) in (1..).zip(epochs) {
        let value = |tag: &str, value: f64| Value {
            tag: tag.into(),
            simple_value: Some(value as f32),
        };
        file.extend(record(&Event {
            wall_time: epoch.ended,
            step,
            file_version: None,
            summary: Some(Summary {
                value: vec![
                    value("loss/training", epoch.loss),
                    value("loss/validation", epoch.validation_loss),
                    value("roc_auc/validation", epoch.validation_roc_auc),
                ],
            }),
        }));
    }
    file
}

fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked(&length).to_le_bytes(),
        &data,
        &masked(&data).to_le_bytes(),
    ]
    .concat()
}

/// The checksum, turned and shifted so that a checksum of checksums is none.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_value() {
        let value = Value {
            tag: "a".into(),
            simple_value: Some(0.0),
        };
        assert_eq!(value.encode_to_vec(), [0x0a, 1, b'a', 0x15, 0, 0, 0, 0]);
    }

    #[test]
    fn records_are_framed_as_tensorflow_frames_them() {
        // As TensorBoard's own library frames the same event.
        let event = Event {
            wall_time: 1.5,
            step: 0,
            file_version: Some("brain.Event:2".into()),
            summary: None,
        };
        let bytes = record(&event);
        assert_eq!(bytes[..8], 24u64.to_le_bytes());
        assert_eq!(bytes.len(), 8 + 4 + 24 + 4);
        assert_eq!(bytes[12..21], [9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
        assert_eq!(&bytes[21..23], [0x1a, 13]);
        assert_eq!(&bytes[23..36], b"brain.Event:2");
        assert_eq!(bytes[8..12], 0x224b_7fa3u32.to_le_bytes());
        assert_eq!(bytes[36..], 0x6c64_282au32.to_le_bytes());
    }
}
