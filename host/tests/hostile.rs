//! Files from outside that nobody wrote in good faith: weights, cohorts' manifests and collections'
//! tables, damaged at random from good ones. The host reads them in its own process, so each must
//! end in a result or an error, never in a panic.
//!
//! These are the host's counterpart of `fuzz/`, without coverage: building the host's dependencies
//! once more for a fuzzer costs more than all other checks together. `PLUMBLINE_ROUNDS` says how
//! many files each test makes; `.ci/full` makes many. A file that ends in a panic is kept, and named
//! on standard error.

mod hostile {
    pub mod mutation;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use hostile::mutation::Random;
use plumbline_host::cohort::import::{Format, ImportOptions, import};
use plumbline_host::cohort::{Cohort, MANIFEST, Shares};
use plumbline_host::weights::{self, WeightsImportError};
use plumbline_nets::WeightsFile;
use plumbline_shared::architecture::Architecture;

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Gives `read` a folder with each of `seeds` as the file `name` in it, then with damaged ones.
/// Every undamaged one must be read without an error.
fn damage(
    name: &str,
    seeds: &[Vec<u8>],
    words: &[&str],
    read: impl Fn(&Path) -> Result<(), String>,
) {
    let rounds = match std::env::var("PLUMBLINE_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("PLUMBLINE_ROUNDS is a number"),
        Err(_) => 200,
    };
    let mut random = Random::new(1);
    for round in 0..seeds.len() + rounds {
        let bytes = match seeds.get(round) {
            Some(seed) => seed.clone(),
            None => random.damaged(seeds, words),
        };
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        let file = folder.path().join("source").join(name);
        fs::write(&file, bytes).unwrap();
        match catch_unwind(AssertUnwindSafe(|| read(&folder.path().join("source")))) {
            Ok(Err(error)) if round < seeds.len() => panic!("seed {round} of {name}: {error}"),
            Ok(_) => {}
            Err(panic) => {
                let kept = folder.keep().join("source").join(name);
                eprintln!("the panic is of round {round}, file {}", kept.display());
                resume_unwind(panic);
            }
        }
    }
}

/// A safetensors file of one tensor of three outputs, with `metadata`.
fn safetensors(metadata: &str) -> Vec<u8> {
    let header = format!(
        r#"{{"__metadata__":{{{metadata}}},"classifier.weight":{{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]}}}}"#
    );
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &[0; 12],
    ]
    .concat()
}

/// Words of the metadata in this program's weights files.
const METADATA: &str = r#""architecture":"densenet121","source":"torchxrayvision","batch_norm_epsilon":"0.001","padding":"same","last_relu":"no","input":"one-channel-1024","head":"linear","classes":"[\"a\",\"b\",\"c\"]""#;

#[test]
fn damaged_weights_files_are_read_or_refused() {
    let seeds = [safetensors(METADATA), safetensors(r#""head":"study""#)];
    let words = [
        "F32",
        "BF16",
        "U8",
        "[]",
        "[0]",
        "-1",
        "18446744073709551615",
        "data_offsets",
    ];
    damage(
        "w.safetensors",
        &seeds,
        &words,
        |folder| match WeightsFile::read(&folder.join("w.safetensors")) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
    );
}

#[test]
fn damaged_weights_of_other_libraries_are_refused() {
    let folder = root().join("host/tests/references/small");
    let files = ["zip.pt", "legacy.pth.tar", "module.pt", "keras.h5"];
    let mut seeds: Vec<Vec<u8>> = (files.iter())
        .map(|name| fs::read(folder.join(name)).unwrap())
        .collect();
    seeds.push(safetensors(METADATA));
    let words = [
        "features.conv0.weight",
        "conv1_conv",
        "(",
        "}",
        "\u{80}\u{2}",
        "PK\u{1}\u{2}",
        "TREE",
        "SNOD",
    ];
    damage("weights", &seeds, &words, |folder| {
        let results = [Architecture::Densenet121, Architecture::EfficientnetB0]
            .map(|architecture| weights::import(&folder.join("weights"), architecture, None));
        for error in results.into_iter().filter_map(Result::err) {
            let sentence = error.to_string();
            // The undamaged files are whole, but not all tensors of a network.
            match error {
                WeightsImportError::Unrecognised { .. }
                | WeightsImportError::ShapeMismatch { .. } => {}
                _ => return Err(sentence),
            }
        }
        Ok(())
    });
}

#[test]
fn damaged_manifests_of_cohorts_are_read_or_refused() {
    let seed = "film,patient,study,split,label,refusal,findings,cobb_degrees,curve,apex,convexity,\
        cobb_angles,rotation_degrees,mask,age,sex,projection,seed\n\
        a.png,p,s,train,1,,No Finding|Nodule,34.21,double,T8,right,T5-T11 right 34.21,-3.00,m.png,61,F,PA,1\n\
        \"a.png\",\"q \"\"r\"\"\",,test,0,blank,,,,,,,,,,,,\r\n";
    let seeds = [seed.as_bytes().to_vec()];
    let words = [
        "\"",
        ",",
        "\n",
        "\r",
        "../",
        "/etc/passwd",
        "nan",
        "inf",
        "1e999",
        "lateral",
        "val",
    ];
    damage(MANIFEST, &seeds, &words, |folder| {
        for film in ["a.png", "m.png"] {
            fs::write(folder.join(film), b"").unwrap();
        }
        let cohort = Cohort::open(folder).map_err(|error| error.to_string())?;
        for entry in cohort.entries() {
            assert!(entry.film.starts_with(folder), "{}", entry.film.display());
        }
        assert!(!cohort.summary().to_string().is_empty());
        Ok(())
    });
}

/// Imports the folder, or the table in it, with the film `a.png` or `a.dcm` beside the table.
fn import_with(folder: &Path, format: Format, table: Option<&str>) -> Result<(), String> {
    let (film, name) = match format {
        Format::Dicom { .. } => ("tests/films/phantom-4.dcm", "a.dcm"),
        _ => ("shared/tests/films/grey_8.png", "a.png"),
    };
    fs::copy(root().join(film), folder.join(name)).unwrap();
    let options = ImportOptions {
        format,
        sources: vec![table.map_or(folder.to_owned(), |table| folder.join(table))],
        out: folder.with_file_name("cohort"),
        seed: 0,
        shares: Shares::default(),
        lateral: true,
        copy: false,
    };
    match import(&options, |_| {}) {
        Ok(_) => Ok(()),
        Err(error) => {
            let left = options.out.exists();
            assert!(!left, "a failed import leaves a cohort behind");
            Err(error.to_string())
        }
    }
}

/// The bytes that damage tables most.
const CELLS: [&str; 10] = [
    "\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\u{feff}",
    "../",
    "nan",
    "999999999999",
];

#[test]
fn damaged_tables_of_padchest_are_imported_or_refused() {
    let table = "PADCHEST_chest_x_ray_images_labels_160K.csv";
    let seed = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,\
        Projection,Labels,PhotometricInterpretation_DICOM\n\
        0,a.png,0,20140915,s1,839860488694292331637988235681460987,1930.0,F,PA,\"['scoliosis', ' hemidiaphragm elevation']\",MONOCHROME1\n\
        1,b.png,0,20140916,s2,7,1950.0,M,L,\"['normal']\",MONOCHROME2\n";
    damage(table, &[seed.as_bytes().to_vec()], &CELLS, |folder| {
        import_with(folder, Format::PadChest, None)
    });
}

#[test]
fn damaged_tables_of_nih_are_imported_or_refused() {
    let table = "Data_Entry_2017.csv";
    let seed = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n\
        a.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA\n\
        b.png,No Finding,1,1,58,F,AP\n";
    damage(table, &[seed.as_bytes().to_vec()], &CELLS, |folder| {
        import_with(folder, Format::Nih, None)
    });
}

#[test]
fn damaged_tables_of_folders_are_imported_or_refused() {
    let seed = "path;label;patient;study;age;sex;projection;split\n\
        a.png;1;p;s;61;F;PA;train\n\
        b.png;scoliosis;q;;;;;test\n";
    damage("films.csv", &[seed.as_bytes().to_vec()], &CELLS, |folder| {
        let format = Format::Folder { positive: None };
        import_with(folder, format, Some("films.csv"))
    });
}

#[test]
fn damaged_reports_of_openi_are_imported_or_refused() {
    let seed = "<?xml version=\"1.0\" encoding=\"utf-8\"?><eCitation><uId id=\"CXR1\"/>\
        <MeSH><major>Scoliosis/thoracic vertebrae/mild</major></MeSH>\
        <parentImage id=\"a\"><panel/></parentImage></eCitation>";
    let words = [
        "<",
        ">",
        "&lt;",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "&b;",
        "<a>",
        "]]>",
        "id=\"a\"",
    ];
    damage("1.xml", &[seed.as_bytes().to_vec()], &words, |folder| {
        import_with(folder, Format::OpenI, None)
    });
}

#[test]
fn damaged_labels_of_dicom_films_are_imported_or_refused() {
    let seed = "path,label\na.dcm,1\nb.dcm,0\n";
    damage(
        "labels.csv",
        &[seed.as_bytes().to_vec()],
        &CELLS,
        |folder| {
            let labels = folder.join("labels.csv");
            import_with(folder, Format::Dicom { labels }, None)
        },
    );
}
