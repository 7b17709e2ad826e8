//! What the panel keeps in flash over power cuts: its settings, and how often it has started.
//!
//! sequential-storage keeps the old value until the new one is whole; `tests/power_cuts.rs` cuts the
//! power at every byte. Settings carry the version of their layout, so that a later program reads
//! what an earlier one kept.

use core::ops::Range;

use embassy_futures::yield_now;
use embedded_storage_async::nor_flash::NorFlash;
use plumbline_wire::panel::Settings;
use sequential_storage::Error;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use serde::{Deserialize, Serialize};

/// The most bytes of an item with its key, and some to spare for later versions.
const MOST: usize = 64;

/// The keys of the items. A key is never used for anything else.
const STARTS: u8 = 0;
const SETTINGS: u8 = 1;

/// Settings as they lie in flash. The number of the variant is the version of the layout: variants
/// are added at the end, and none is ever changed or removed.
#[derive(Serialize, Deserialize)]
enum Kept {
    V1 {
        brightness: u8,
        volume: u8,
        long_press: u16,
        debounce: u8,
        exposure_active_low: bool,
    },
}

impl From<Settings> for Kept {
    fn from(settings: Settings) -> Self {
        let Settings {
            brightness,
            volume,
            long_press,
            debounce,
            exposure_active_low,
        } = settings;
        Self::V1 {
            brightness,
            volume,
            long_press,
            debounce,
            exposure_active_low,
        }
    }
}

impl From<Kept> for Settings {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::V1 {
                brightness,
                volume,
                long_press,
                debounce,
                exposure_active_low,
            } => Self {
                brightness,
                volume,
                long_press,
                debounce,
                exposure_active_low,
            },
        }
    }
}

/// What was found where settings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Settings.
    Settings(Settings),
    /// Nothing was ever kept.
    Nothing,
    /// Settings of a later program, which this one cannot read. They stay until others are kept.
    Newer,
}

/// The flash memory's part that keeps things.
pub struct Store<F: NorFlash> {
    map: MapStorage<u8, F, Cache<Uncached, Uncached, Uncached, u8>>,
}

impl<F: NorFlash> Store<F> {
    /// This part of `flash`, which must be at least two pages.
    pub fn new(flash: F, part: Range<u32>) -> Self {
        Self {
            map: MapStorage::new(flash, MapConfig::new(part), Cache::new_uncached()),
        }
    }

    /// The settings.
    ///
    /// # Errors
    /// The flash memory's, or that what lies in it cannot be made sense of.
    pub async fn settings(&mut self) -> Result<Found, Error<F::Error>> {
        let mut buffer = [0; MOST];
        let item = self.map.fetch_item::<&[u8]>(&mut buffer, &SETTINGS).await?;
        Ok(match item.map(postcard::take_from_bytes::<Kept>) {
            None => Found::Nothing,
            Some(Ok((kept, []))) => Found::Settings(kept.into()),
            Some(_) => Found::Newer,
        })
    }

    /// Keeps settings. When it returns they survive a power cut; when the power is cut before,
    /// these or those before survive.
    ///
    /// # Errors
    /// The flash memory's.
    pub async fn keep(&mut self, settings: Settings) -> Result<(), Error<F::Error>> {
        let (mut buffer, mut item) = ([0; MOST], [0; MOST]);
        let item: &[u8] = match postcard::to_slice(&Kept::from(settings), &mut item) {
            Ok(item) => item,
            Err(_) => return Err(Error::BufferTooBig),
        };
        self.map.store_item(&mut buffer, &SETTINGS, &item).await
    }

    /// Counts a start of the panel: 1 for the first.
    ///
    /// # Errors
    /// The flash memory's. The number may or may not be used up.
    pub async fn count_start(&mut self) -> Result<u32, Error<F::Error>> {
        let mut buffer = [0; MOST];
        let before = self.map.fetch_item::<u32>(&mut buffer, &STARTS).await?;
        let start = before.unwrap_or(0).wrapping_add(1);
        self.map.store_item(&mut buffer, &STARTS, &start).await?;
        Ok(start)
    }

    /// Erases everything, after which it can be used again. Page by page, with a turn for other
    /// tasks after each: a page takes up to half a second.
    ///
    /// # Errors
    /// The flash memory's.
    pub async fn erase(&mut self) -> Result<(), F::Error> {
        let part = self.map.flash_range();
        for page in part.step_by(F::ERASE_SIZE) {
            self.map
                .flash()
                .erase(page, page + F::ERASE_SIZE as u32)
                .await?;
            yield_now().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_version_kept_is_read_for_ever() {
        // From version 1 on these bytes lie in boards.
        let bytes = [0, 80, 30, 0xdc, 0x0b, 25, 1];
        let settings = Settings {
            brightness: 80,
            volume: 30,
            long_press: 1500,
            debounce: 25,
            exposure_active_low: true,
        };
        let kept: Kept = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(Settings::from(kept), settings);
        assert_eq!(
            postcard::to_slice(&Kept::from(settings), &mut [0; MOST]).unwrap(),
            bytes
        );
    }
}
