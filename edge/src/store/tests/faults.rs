//! A medium that fails at each place of a film's way.

use std::collections::HashMap;

use super::*;
use crate::failing::{Failing, Fault};

#[test]
fn a_fault_at_any_place_of_a_films_way_loses_no_kept_film() {
    let mut places = HashMap::new();
    for kind in Fault::ALL {
        for fails in 0.. {
            let folder = TempDir::new().unwrap();
            // The folders are made on a sound disk: only the film's way is tried.
            drop(open(folder.path()));
            let medium = Arc::new(Failing::at(fails, kind));
            let kept = Store::open(folder.path(), LIMITS, medium.clone())
                .and_then(|store| keep(&store, b"a film", "1.2.3"));
            let whole = !medium.has_failed();
            // The station starts again on a sound disk, and the sender sends again what it was not
            // told to forget.
            let store = open(folder.path());
            match &kept {
                Ok(kept) => assert_eq!(kept.film(), 1),
                Err(_) => {
                    assert!(store.newest(10).unwrap().is_empty(), "{kind:?} at {fails}");
                    assert_eq!(keep(&store, b"a film", "1.2.3").unwrap(), Kept::New(1));
                }
            }
            assert!(
                matches!(kept, Err(StoreError::Full { .. }) | Ok(_))
                    || !matches!(kind, Fault::Full)
            );
            assert_eq!(store.newest(10).unwrap(), [1]);
            assert!(store.damaged_films().unwrap().is_empty());
            read(&store, 1, 0.75);
            assert!(store.verify_audit().is_ok());
            let files = store.files.hashes().unwrap();
            assert_eq!(files.len(), 1);
            *places.entry(format!("{kind:?}")).or_insert(0) += usize::from(!whole);
            if whole {
                break;
            }
        }
    }
    println!("faults tried: {places:?}");
    assert!(places.values().all(|places| *places >= 8), "{places:?}");
}
