//! The preset coding parameters of JPEG-LS.

/// The preset coding parameters (T.87, C.2.4.1.1); 0 means the default.
#[derive(Clone, Copy)]
pub(super) struct LsParameters {
    pub max_value: u16,
    pub thresholds: [u16; 3],
    pub reset: u16,
}

impl LsParameters {
    /// Reads an LSE segment: none if it is cut off, `Some(None)` if it is a table of another kind.
    pub(super) fn read(segment: &[u8]) -> Option<Option<Self>> {
        let [kind, words @ ..] = segment else {
            return None;
        };
        if *kind != 1 {
            return Some(None);
        }
        let words = words.as_chunks().0.first_chunk::<5>()?;
        let [max_value, t1, t2, t3, reset] = words.map(u16::from_be_bytes);
        Some(Some(Self {
            max_value,
            thresholds: [t1, t2, t3],
            reset,
        }))
    }
}
