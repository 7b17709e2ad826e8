//! The power is cut at every byte of every write and at every page of every erase, many times over.
//! After each cut the settings must be the old or the new ones, no start may have the number of
//! another, and keeping must go on working.

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use plumbline_panel_logic::settings::{Found, Store};
use plumbline_wire::panel::Settings;

/// Small, so that pages fill and move often.
const PAGE: usize = 256;
const PAGES: usize = 4;

/// NOR flash whose power can be cut.
#[derive(Clone)]
struct Flash {
    bytes: Vec<u8>,
    /// Steps (bytes written, pages erased) until the power goes.
    left: u64,
    steps: u64,
}

#[derive(Debug)]
struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    fn new() -> Self {
        Self {
            bytes: vec![0xff; PAGE * PAGES],
            left: u64::MAX,
            steps: 0,
        }
    }

    fn step(&mut self) -> Result<(), Cut> {
        self.left = self.left.checked_sub(1).ok_or(Cut)?;
        self.steps += 1;
        Ok(())
    }
}

impl ErrorType for &mut Flash {
    type Error = Cut;
}

impl ReadNorFlash for &mut Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), Cut> {
        out.copy_from_slice(&self.bytes[at as usize..][..out.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for &mut Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        for page in (from as usize..to as usize).step_by(PAGE) {
            let whole = self.step();
            // Of an erase cut short half of the page is ones already.
            let erased = if whole.is_ok() { PAGE } else { PAGE / 2 };
            self.bytes[page..page + erased].fill(0xff);
            whole?;
        }
        Ok(())
    }

    async fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Cut> {
        for (index, byte) in bytes.iter().enumerate() {
            let whole = self.step();
            let cell = &mut self.bytes[at as usize + index];
            assert_eq!(*cell & byte, *byte, "a write cannot set bits");
            // Of a byte cut short some bits are cleared already.
            *cell &= if whole.is_ok() { *byte } else { byte | 0xaa };
            whole?;
        }
        Ok(())
    }
}

fn store(flash: &mut Flash) -> Store<&mut Flash> {
    Store::new(flash, 0..(PAGE * PAGES) as u32)
}

fn settings(number: u16) -> Settings {
    Settings {
        brightness: number as u8,
        long_press: number,
        ..Settings::DEFAULT
    }
}

fn found(flash: &mut Flash) -> Found {
    block_on(store(flash).settings()).expect("readable after a cut")
}

fn keep(flash: &mut Flash, number: u16) -> bool {
    block_on(store(flash).keep(settings(number))).is_ok()
}

fn start(flash: &mut Flash) -> Option<u32> {
    block_on(store(flash).count_start()).ok()
}

#[test]
fn after_a_cut_anywhere_the_settings_are_the_old_or_the_new_ones() {
    let mut flash = Flash::new();
    let (mut cuts, mut news) = (0, 0);
    let mut now = Found::Nothing;
    for number in 0..120u16 {
        let mut whole = Flash {
            steps: 0,
            ..flash.clone()
        };
        assert!(keep(&mut whole, number));
        for cut in 0..whole.steps {
            let mut torn = Flash {
                left: cut,
                ..flash.clone()
            };
            assert!(!keep(&mut torn, number));
            torn.left = u64::MAX;
            let after = found(&mut torn);
            let new = after == Found::Settings(settings(number));
            assert!(
                new || after == now,
                "{number}, cut at {cut}: {after:?}, before {now:?}"
            );
            news += u32::from(new);
            assert!(keep(&mut torn, 1000 + number));
            assert_eq!(found(&mut torn), Found::Settings(settings(1000 + number)));
            cuts += 1;
        }
        flash = whole;
        now = Found::Settings(settings(number));
    }
    assert!(cuts > 1500, "{cuts} cuts");
    assert!(news > 0, "some cuts come after the new settings are whole");
}

#[test]
fn after_a_cut_anywhere_no_start_has_the_number_of_another() {
    let mut flash = Flash::new();
    for number in 1..=120 {
        let mut whole = Flash {
            steps: 0,
            ..flash.clone()
        };
        assert_eq!(start(&mut whole), Some(number));
        for cut in 0..whole.steps {
            let mut torn = Flash {
                left: cut,
                ..flash.clone()
            };
            assert_eq!(start(&mut torn), None);
            torn.left = u64::MAX;
            let next = start(&mut torn).unwrap();
            assert!(
                next == number || next == number + 1,
                "{next} after {}",
                number - 1
            );
        }
        flash = whole;
    }
}

#[test]
fn settings_of_a_later_program_are_told_and_stay_until_others_are_kept() {
    use sequential_storage::cache::Cache;
    use sequential_storage::map::{MapConfig, MapStorage};
    let mut flash = Flash::new();
    let config = MapConfig::new(0..(PAGE * PAGES) as u32);
    let mut map = MapStorage::<u8, _, _>::new(&mut flash, config, Cache::new_uncached());
    let later: &[u8] = &[9, 1, 2, 3];
    block_on(map.store_item(&mut [0; 64], &1, &later)).unwrap();
    assert_eq!(found(&mut flash), Found::Newer);
    assert_eq!(start(&mut flash), Some(1));
    assert_eq!(found(&mut flash), Found::Newer);
    assert!(keep(&mut flash, 7));
    assert_eq!(found(&mut flash), Found::Settings(settings(7)));
}

#[test]
fn flash_full_of_anything_can_be_erased_and_used() {
    let mut flash = Flash {
        bytes: (0..PAGE * PAGES).map(|index| index as u8 & 0x5a).collect(),
        ..Flash::new()
    };
    // Whatever it says of this, it does not panic.
    let _ = block_on(store(&mut flash).settings());
    block_on(store(&mut flash).erase()).unwrap();
    assert_eq!(found(&mut flash), Found::Nothing);
    assert!(keep(&mut flash, 7));
    assert_eq!(found(&mut flash), Found::Settings(settings(7)));
}
