//! Any bytes as a bundle's manifest: what is accepted names plain files only, and survives being
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumbline_shared::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    assert!(manifest.threshold > 0.0 && manifest.threshold < 1.0);
    for name in manifest.files.keys() {
        assert!(!name.is_empty() && !name.starts_with('.'), "{name:?}");
        assert!(!name.contains(['/', '\\', '\0']), "{name:?}");
    }
    let json = manifest
        .to_json()
        .expect("an accepted manifest can be written");
    assert_eq!(Manifest::parse(json.as_bytes()), Ok(manifest));
});
