//! Settings and the count of starts, in flash memory.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use plumbline_panel_logic::settings::{Found, Store};
use plumbline_wire::panel::{Settings, SettingsReport};

use crate::{WAKE, board};

/// Settings to be kept. Newer ones replace those that wait.
pub static KEEP: Signal<CriticalSectionRawMutex, Settings> = Signal::new();
/// Settings that were kept (true), or could not be.
pub static KEPT: Signal<CriticalSectionRawMutex, (Settings, bool)> = Signal::new();

/// What was found in the flash memory at the start.
pub struct Start {
    /// The number of this start, which no other has.
    pub number: u32,
    /// The settings.
    pub settings: SettingsReport,
}

/// The settings' place.
pub struct Keeper(Store<board::Flash>);

impl Keeper {
    /// Settings in this flash memory.
    pub fn new(flash: board::Flash) -> Self {
        Self(Store::new(flash, board::SETTINGS))
    }

    /// Counts this start, and looks for settings.
    pub async fn start(&mut self) -> Start {
        let settings = match self.0.settings().await {
            Ok(found) => found,
            Err(_) => {
                defmt::error!("what lies in the flash memory makes no sense: it is erased");
                if self.0.erase().await.is_err() {
                    defmt::error!("the flash memory cannot be erased");
                }
                Found::Nothing
            }
        };
        let number = self.0.count_start().await.unwrap_or_else(|_| {
            defmt::error!("the flash memory cannot be written");
            // Two such starts have one number only if they come here in the same microsecond.
            crate::now() as u32 | 1 << 31
        });
        let (settings, kept) = match settings {
            Found::Settings(settings) => (settings, true),
            Found::Nothing => (Settings::DEFAULT, false),
            Found::Newer => {
                defmt::warn!("the settings are of a later program: the usual ones are followed");
                (Settings::DEFAULT, false)
            }
        };
        Start {
            number,
            settings: SettingsReport { settings, kept },
        }
    }
}

/// Keeps settings.
#[embassy_executor::task]
pub async fn keep(mut keeper: Keeper) {
    loop {
        let settings = KEEP.wait().await;
        let kept = keeper.0.keep(settings).await.is_ok();
        if !kept {
            defmt::error!("settings could not be kept");
        }
        KEPT.signal((settings, kept));
        WAKE.signal(());
    }
}
