//! How fast a destination is sent to: no faster than it is allowed, and no more once the station is to stop.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The longest that sending one object may take without a limit of speed, its answer included.
const OBJECT: Duration = Duration::from_secs(600);

/// How many pieces a second's bytes are sent in.
const PIECES: u64 = 10;

/// The pace of one destination.
#[derive(Clone, Copy)]
pub(super) struct Paced<'a> {
    /// The most bytes a second, if there is a limit.
    pub most: Option<u64>,
    /// Once true nothing more is sent: a slow archive must not hold a station that is to stop.
    pub stop: &'a AtomicBool,
}

impl<'a> Paced<'a> {
    /// The longest that sending so many bytes may take.
    pub fn longest(&self, bytes: u64) -> Duration {
        let least = self.most.map_or(0, |most| bytes / most);
        OBJECT + Duration::from_secs(2 * least)
    }

    /// Reads `data` at this pace.
    pub fn of<R: Read>(self, data: R) -> PacedReader<'a, R> {
        PacedReader { pace: self, data }
    }
}

/// Data that is read at a pace.
pub(super) struct PacedReader<'a, R> {
    pace: Paced<'a>,
    data: R,
}

impl<R: Read> Read for PacedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pace.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the station stops"));
        }
        let Some(most) = self.pace.most else {
            return self.data.read(buffer);
        };
        let piece = usize::try_from(most / PIECES).unwrap_or(usize::MAX).max(1);
        let length = buffer.len().min(piece);
        let read = self.data.read(&mut buffer[..length])?;
        thread::sleep(Duration::from_secs_f64(read as f64 / most as f64));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn data_comes_at_the_pace_and_not_after_the_stop() {
        let stop = AtomicBool::new(false);
        let pace = |most| Paced { most, stop: &stop };
        let data = vec![7_u8; 40_000];
        let start = Instant::now();
        let mut read = Vec::new();
        pace(Some(100_000))
            .of(&*data)
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, data);
        assert!(start.elapsed() >= Duration::from_millis(390));
        assert_eq!(pace(None).longest(1 << 30), OBJECT);
        assert_eq!(
            pace(Some(1 << 20)).longest(10 << 20),
            OBJECT + Duration::from_secs(20)
        );
        stop.store(true, Ordering::Relaxed);
        assert!(pace(None).of(&*data).read_to_end(&mut read).is_err());
    }
}
