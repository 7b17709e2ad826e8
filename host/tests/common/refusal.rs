//! Files of weights that cannot be imported.

use plumbline_host::weights::import;
use plumbline_shared::architecture::Architecture;

/// The sentence that a file is refused with.
pub fn refusal(bytes: &[u8], architecture: Architecture) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, bytes).unwrap();
    let refused = import(&file, architecture, None).err().unwrap();
    let sentence = refused.to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence
}
