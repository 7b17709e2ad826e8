//! Tools of all importers' tests: a folder to make sources in, and the pipeline behind the readers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use plumbline_shared::clinical::Projection;

use super::*;
use crate::cohort::{Cohort, Entry, MANIFEST, Shares, Split};

/// A fresh folder with sources, and the cohort that is imported from them.
pub(super) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Small PNG films, each of another grey.
    pub(super) fn films(&self, names: &[&str]) {
        for name in names {
            let grey = name
                .bytes()
                .fold(7u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
            let pixels: Vec<u8> = (0..64).map(|i: u8| grey.wrapping_add(i * 3)).collect();
            let mut file = Vec::new();
            PngEncoder::new(&mut file)
                .write_image(&pixels, 8, 8, ExtendedColorType::L8)
                .unwrap();
            self.write(name, file);
        }
    }

    /// Options for one source, `source` in the folder.
    pub(super) fn options(&self, format: Format) -> ImportOptions {
        ImportOptions {
            format,
            sources: vec![self.path("source")],
            out: self.path("cohort"),
            seed: 0,
            shares: Shares::default(),
            lateral: false,
            copy: false,
        }
    }

    pub(super) fn import(&self, format: Format) -> Imported {
        self.import_by(&self.options(format))
    }

    /// Imports what must be importable.
    pub(super) fn import_by(&self, options: &ImportOptions) -> Imported {
        let report = import(options, |_| ()).unwrap_or_else(|error| panic!("{error}"));
        let cohort = Cohort::open(&options.out).unwrap();
        let mut table = csv::Reader::from_path(options.out.join(REJECTS)).unwrap();
        let rejects = table.deserialize().map(Result::unwrap).collect();
        assert_eq!(cohort.entries().len(), report.films);
        assert!(cohort.packed().is_ok());
        Imported {
            out: fs::canonicalize(&options.out).unwrap(),
            entries: cohort.entries().to_vec(),
            rejects,
            report,
        }
    }

    /// The sentence of an import that must fail, and leave nothing.
    pub(super) fn failure(&self, format: Format) -> String {
        self.failure_by(&self.options(format))
    }

    pub(super) fn failure_by(&self, options: &ImportOptions) -> String {
        let before = self.listing();
        let sentence = match import(options, |_| ()) {
            Err(error) => error.to_string(),
            Ok(report) => panic!("must fail: {report}"),
        };
        assert_eq!(self.listing(), before, "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    }

    fn listing(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

/// An imported cohort.
pub(super) struct Imported {
    out: PathBuf,
    pub(super) entries: Vec<Entry>,
    /// File, line, film and reason.
    rejects: Vec<(String, Option<u64>, String, String)>,
    pub(super) report: Report,
}

impl Imported {
    /// The film at `path` in the cohort's folder.
    pub(super) fn film(&self, path: &str) -> &Entry {
        let is_it = |entry: &&Entry| entry.film.ends_with(path);
        let found = self.entries.iter().find(is_it);
        found.unwrap_or_else(|| panic!("{path} is not in {:?}", self.entries))
    }

    /// Checks the rejects, given by line and film (empty if it is not told), each with a piece of
    /// its reason.
    #[track_caller]
    pub(super) fn assert_rejects(&self, expected: &[(Option<u64>, &str, &str)]) {
        let mut left: Vec<_> = self.rejects.iter().collect();
        for (line, film, words) in expected {
            let is_it = |(_, l, f, reason): &&(_, Option<u64>, String, String)| {
                l == line && f == film && reason.contains(words)
            };
            let found = left.iter().position(is_it);
            let found = found.unwrap_or_else(|| panic!("{line:?} {film} {words}: {left:?}"));
            left.remove(found);
        }
        assert!(left.is_empty(), "{left:?}");
    }
}

fn folder() -> Format {
    Format::Folder { positive: None }
}

/// A source of `patients` patients with two films each, the second of each fifth one positive.
fn table_of(bench: &Bench, patients: usize) -> BTreeMap<String, bool> {
    let mut table = String::from("path,label,patient\n");
    let mut positive = BTreeMap::new();
    for film in 0..2 * patients {
        let (name, patient) = (format!("{film}.png"), format!("p{}", film % patients));
        let label = film >= patients && film % 5 == 0;
        table += &format!("{name},{},{patient}\n", u8::from(label));
        *positive.entry(patient).or_default() |= label;
        bench.films(&[&format!("source/{name}")]);
    }
    bench.write("source/labels.csv", table);
    positive
}

#[test]
fn patients_stay_together_by_seed() {
    let bench = Bench::new();
    let positive = table_of(&bench, 50);
    let mut options = bench.options(folder());
    options.sources = vec![bench.path("source/labels.csv")];
    options.shares = Shares {
        val: 0.2,
        test: 0.2,
    };
    let splits = |out: &str, seed| {
        let mut options = options.clone();
        (options.out, options.seed) = (bench.path(out), seed);
        let imported = bench.import_by(&options);
        assert_eq!(imported.report.patients, 50);
        assert_eq!(
            (imported.report.films, imported.report.positives),
            (100, 10)
        );
        let patients = imported.entries.iter();
        let patients = patients.map(|entry| (entry.patient.clone(), entry.split));
        patients.collect::<BTreeMap<String, Split>>()
    };
    // Opening the cohort has refused patients on two sides already.
    let once = splits("once", 1);
    let count = |split, class| {
        let members = once
            .iter()
            .filter(|(patient, s)| **s == split && positive[*patient] == class);
        members.count()
    };
    assert_eq!([count(Split::Val, true), count(Split::Val, false)], [2, 8]);
    assert_eq!(
        [count(Split::Test, true), count(Split::Test, false)],
        [2, 8]
    );
    assert_eq!(splits("again", 1), once);
    assert_ne!(splits("other", 2), once);
    let record = fs::read_to_string(bench.path("other").join(IMPORT)).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        (&record["seed"], &record["shares"]["val"]),
        (&2.into(), &0.2.into())
    );
}

#[test]
fn copies_stand_alone_and_links_lead_back() {
    let bench = Bench::new();
    bench.films(&["source/scoliosis/a.PNG", "source/normal/deep/b.png"]);
    bench.write("source/normal/c.png", "no picture");
    let linked = bench.import(folder());
    assert!(linked.film("source-1/normal/deep/b.png").label == Some(false));
    let link = fs::read_link(bench.path("cohort/source-1")).unwrap();
    assert_eq!(link, fs::canonicalize(bench.path("source")).unwrap());
    let mut options = bench.options(folder());
    (options.out, options.copy) = (bench.path("copies"), true);
    let copied = bench.import_by(&options);
    fs::remove_dir_all(bench.path("source")).unwrap();
    let files = fs::read_dir(copied.out.join("films")).unwrap();
    assert_eq!(files.count(), 2);
    assert_eq!(copied.film("films/000002.PNG").label, Some(true));
    assert!(Cohort::open(&copied.out).is_ok());
    assert!(Cohort::open(&linked.out).is_err());
}

#[test]
fn what_cannot_be_imported_leaves_nothing() {
    let bench = Bench::new();
    let sentence = bench.failure(folder());
    assert!(
        sentence.contains("source") && sentence.contains("cannot read"),
        "{sentence}"
    );
    bench.write("source/scoliosis/a.png", "no picture");
    bench.write("source/normal/b.png", "");
    let sentence = bench.failure(folder());
    assert!(
        sentence.contains("none of 2 films") && sentence.contains("b.png"),
        "{sentence}"
    );
    let mut options = bench.options(folder());
    options.shares.val = 0.95;
    assert!(bench.failure_by(&options).contains("shares"));
    options = bench.options(folder());
    options.out = bench.path("source/normal");
    assert!(bench.failure_by(&options).contains("lies in the source"));
    bench.write("full/x", "");
    options.out = bench.path("full");
    assert!(bench.failure_by(&options).contains("not an empty folder"));
    options.out = bench.path("new/deeper/cohort");
    bench.failure_by(&options);
}

#[test]
fn the_report_counts_what_the_files_say() {
    let bench = Bench::new();
    bench.films(&["source/a.png", "source/b.png", "source/c.png"]);
    let table = "file,label,view,patient\na.png,1,PA,p\nb.png,0,LL,p\nc.png,0,,q\n\
                 d.png,1,AP,r\nb.png,1,AP,\nc.png,1,PA,q\n";
    bench.write("source/labels.csv", table);
    let mut options = bench.options(folder());
    options.sources = vec![bench.path("source/labels.csv")];
    let imported = bench.import_by(&options);
    let text = imported.report.to_string();
    for words in [
        "2 films of 2 patients",
        "1 positive, 1 negative, 0 without",
        "PA 1, not said 1",
        "rejected: 4 (duplicate with another label 1, file absent 1, lateral view 1, no patient 1)",
        "rejects.csv says why",
        "of 1 films the projection is not said",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    (options.out, options.lateral) = (bench.path("both"), true);
    let imported = bench.import_by(&options);
    let lateral = imported.film("b.png");
    assert_eq!(lateral.projection, Some(Projection::Lateral));
    assert_eq!((lateral.label, lateral.refusal), (Some(false), None));
}

#[test]
fn an_import_takes_the_place_of_an_interrupted_one() {
    let bench = Bench::new();
    bench.films(&["source/scoliosis/a.png", "source/normal/b.png"]);
    bench.write(".cohort.part/unfinished-import", "");
    bench.write(".cohort.part/films/000000.png", "");
    bench.import(folder());
    assert!(!bench.path(".cohort.part").exists());
    assert!(!bench.path("cohort/films").exists());
    assert!(Path::new(&bench.path("cohort")).join(MANIFEST).is_file());
}

/// Numbers that look random and are the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn damaged_sources_give_a_cohort_or_one_sentence() {
    let sources: [(Format, &str, &str); 5] = [
        (
            folder(),
            "source/labels.csv",
            "path,label,patient,age,sex,view,split\na.png,1,p,14,F,PA,train\n\
             \"b.png\",normal,q,058Y,M,AP,test\n",
        ),
        (
            Format::PadChest,
            "source/PADCHEST_chest_x_ray_images_labels_160K.csv",
            "ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,Projection,Labels\n\
             a.png,0,20140915,1,1950.0,PA,\"['scoliosis', ' mass']\"\n\
             b.png,0,20140915,2,1950.0,AP,['normal']\n",
        ),
        (
            Format::Nih,
            "source/Data_Entry_2017.csv",
            "Image Index,Finding Labels,Patient ID,Patient Age,View Position\n\
             a.png,Mass|Hernia,1,58,PA\nb.png,No Finding,2,007Y,AP\n",
        ),
        (
            Format::OpenI,
            "source/1.xml",
            "<eCitation><uId id=\"1\"/><MeSH><major>normal</major></MeSH>\
             <parentImage id=\"a\"/><parentImage id=\"b\"/></eCitation>",
        ),
        (
            Format::OpenI,
            "source/indiana_reports.csv",
            "uid,MeSH\n1,Scoliosis/mild;Aorta\n2,normal\n",
        ),
    ];
    let mut random = Random(7);
    let mut taken = 0;
    for (format, name, text) in sources {
        let bench = Bench::new();
        bench.films(&["source/a.png", "source/b.png"]);
        let projections = "uid,filename,projection\n1,a.png,Frontal\n2,b.png,Frontal\n";
        bench.write("source/indiana_projections.csv", projections);
        let mut options = bench.options(format);
        if name.ends_with("labels.csv") {
            options.sources = vec![bench.path(name)];
        }
        for _ in 0..60 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] = random.below(256) as u8,
                    1 => bytes[at] = b",\"\n\r|/\\[]'<&"[random.below(12)],
                    2 => bytes.truncate(at.max(1)),
                    _ => drop(bytes.drain(at..(at + 5).min(bytes.len()))),
                }
            }
            bench.write(name, &bytes);
            let before = bench.listing();
            if let Err(error) = import(&options, |_| ()) {
                assert_eq!(bench.listing(), before, "{error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            } else {
                taken += 1;
                let cohort = Cohort::open(&options.out).unwrap();
                assert!(!cohort.entries().is_empty());
                fs::remove_dir_all(&options.out).unwrap();
            }
        }
    }
    assert!(
        (30..270).contains(&taken),
        "{taken} of 300 could be imported"
    );
}
