//! Damaged and hostile files of pretrained weights: each is refused in one sentence, and nothing in
//! it is executed.

mod common;

use std::path::Path;

use common::foreign::{self, Pickler};
use common::refusal::refusal;
use plumbline_host::weights::{WeightsImportError, import};
use plumbline_shared::architecture::Architecture;

const DENSENET: Architecture = Architecture::Densenet121;
const EFFICIENTNET: Architecture = Architecture::EfficientnetB0;

fn small(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references/small");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn cut_files_are_refused() {
    for name in ["zip.pt", "legacy.pth.tar", "module.pt", "keras.h5"] {
        let whole = small(name);
        for end in (0..whole.len()).step_by(97) {
            refusal(&whole[..end], EFFICIENTNET);
        }
    }
}

#[test]
fn changed_files_do_no_harm() {
    for name in ["zip.pt", "legacy.pth.tar", "module.pt", "keras.h5"] {
        let whole = small(name);
        for at in (0..whole.len()).step_by(31) {
            for value in [whole[at] ^ (1 << (at % 8)), 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                refusal(&changed, EFFICIENTNET);
            }
        }
    }
}

#[test]
fn hostile_pickles_are_refused() {
    let legacy = |object: &[u8], rest: &[u8]| [foreign::LEGACY_START, object, rest].concat();
    let no_keys = b"\x80\x02].";
    // A call is data: nothing comes of it but a file without tensors.
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let mut call = Pickler::new(true);
    let command = format!("touch {}", made.display());
    call.raw(b"cos\nsystem\n").text(&command).raw(b"\x85R.");
    let refused = refusal(&legacy(&call.bytes, no_keys), DENSENET);
    assert!(refused.contains("it has none of a tensor"), "{refused}");
    assert!(!made.exists());
    // A dictionary that is its own state dict, and one that is its own module.
    let circle = b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.";
    refusal(&legacy(circle, no_keys), DENSENET);
    let circle = b"\x80\x02cm\nM\n)\x81q\x00}(X\x08\x00\x00\x00_modules}(X\x01\x00\x00\x00ah\x00\
        X\x01\x00\x00\x00bh\x00uub.";
    let refused = refusal(&legacy(circle, no_keys), DENSENET);
    assert!(refused.contains("too deep"), "{refused}");
    // Modules that hold the one before twice: forty of them come to a billion.
    let mut tower = Pickler::new(true);
    tower.raw(b"}q\x00");
    for _ in 0..40 {
        tower.raw(b"cm\nM\n)\x81}(").text("_modules").raw(b"}(");
        tower
            .text("a")
            .raw(b"h\x00")
            .text("b")
            .raw(b"h\x00uubq\x00");
    }
    tower.raw(b".");
    let refused = refusal(&legacy(&tower.bytes, no_keys), DENSENET);
    assert!(refused.contains("more than weights need"), "{refused}");
    // Lengths and sizes beyond all files.
    for count in [
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\x1f",
    ] {
        let mut object = Pickler::new(true);
        object.raw(b"}").text("w").tensor(&[2]);
        object.raw(b"s.");
        let keys = b"\x80\x02]X\x01\x00\x00\x000a.";
        let refused = refusal(
            &legacy(&object.bytes, &[&keys[..], count].concat()),
            DENSENET,
        );
        assert!(refused.contains("storages are cut off"), "{refused}");
    }
    for shape in [
        &[0x7fff_ffff, 0x7fff_ffff, 0x7fff_ffff][..],
        &[3],
        &[1 << 30],
    ] {
        let mut object = Pickler::new(false);
        object.raw(b"}").text("w").tensor(shape);
        object.raw(b"s.");
        let entries = [
            ("a/data.pkl".to_owned(), object.bytes),
            ("a/data/0".to_owned(), vec![0; 8]),
        ];
        let refused = refusal(&foreign::zip_file(&entries), DENSENET);
        assert!(
            refused.contains("tensor w reaches beyond its storage"),
            "{refused}"
        );
    }
    // A safetensors file that is all header.
    let header = b"\xff\xff\xff\xff\xff\xff\xff\x7f{";
    assert!(refusal(header, DENSENET).contains("fetch the file again"));
    assert!(refusal(b"not weights", DENSENET).starts_with("it is none of the files"));
    let missing = import(Path::new("/nowhere/w.pth"), DENSENET, None)
        .err()
        .unwrap();
    assert!(matches!(missing, WeightsImportError::File(_)), "{missing}");
}
