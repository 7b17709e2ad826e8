//! Several cohorts as one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use plumbline_shared::durable::Disk;

use super::derived::{DerivedError, begin, finish};
use super::finishing::{Finisher, finishing};
use super::manifest::{Entry, Row};
use super::{Cohort, split};

/// Makes a cohort in `out` of all films and masks of `sources`, which keep their patients and splits, and
/// calls `progress` after each film. Files are linked where the medium can, and else copied.
///
/// # Errors
/// If a patient is in different splits of two cohorts, or the folder is in use or cannot be written.
pub fn join(sources: &[Cohort], out: &Path, progress: impl Fn()) -> Result<(), DerivedError> {
    let entries: Vec<&Entry> = sources.iter().flat_map(Cohort::entries).collect();
    if let Some(patient) = split::patient_in_two_splits(entries.iter().copied()) {
        return Err(DerivedError::SplitPatient(patient.to_owned()));
    }
    let folders = begin(out)?;
    let rows = finishing(&Disk, &folders, |finisher| {
        let rows = entries.iter().enumerate().map(|(index, entry)| {
            let name = |folder: &str, file: &Path| {
                let name = Path::new(folder).join(format!("{index:06}"));
                let name = name.with_extension(file.extension().unwrap_or_default());
                name.to_string_lossy().into_owned()
            };
            let row = Row {
                mask: entry.mask.as_ref().map(|mask| name("masks", mask)),
                ..Row::of(entry, name("films", &entry.film))
            };
            take(finisher, &entry.film, out.join(&row.film))?;
            if let (Some(from), Some(to)) = (&entry.mask, &row.mask) {
                take(finisher, from, out.join(to))?;
            }
            progress();
            Ok::<_, DerivedError>(row)
        });
        rows.collect::<Result<Vec<Row>, _>>()
    })?;
    finish(out, &rows)
}

/// Links or copies a file.
fn take(finisher: &Finisher<'_>, from: &Path, to: PathBuf) -> Result<(), DerivedError> {
    let unread = |error| DerivedError::Read {
        file: from.to_owned(),
        error,
    };
    let whole = fs::canonicalize(from).map_err(unread)?;
    if fs::hard_link(&whole, &to).is_err() {
        let mut source = File::open(&whole).map_err(unread)?;
        finisher.write(&to, |file| io::copy(&mut source, file).map(drop))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::MANIFEST;

    fn cohort(folder: &Path, rows: &str) -> Cohort {
        fs::create_dir_all(folder).unwrap();
        for name in ["a.png", "b.png", "m.png"] {
            fs::write(folder.join(name), format!("{}/{name}", folder.display())).unwrap();
        }
        let head = "film,patient,split,label,findings,cobb_degrees,mask,refusal\n";
        fs::write(folder.join(MANIFEST), format!("{head}{rows}")).unwrap();
        Cohort::open(folder).unwrap()
    }

    #[test]
    fn films_masks_and_what_is_known_come_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let one = cohort(&path("1"), "a.png,p,train,1,Mass|Edema,23.50,m.png,\n");
        let two = cohort(
            &path("2"),
            "b.png,q,val,,No Finding,,,blank\na.png,p,train,0,,,,\n",
        );
        join(&[one.clone(), two.clone()], &path("both"), || {}).unwrap();
        let both = Cohort::open(&path("both")).unwrap();
        let expected: Vec<&Entry> = one.entries().iter().chain(two.entries()).collect();
        assert_eq!(both.entries().len(), 3);
        for (entry, from) in both.entries().iter().zip(expected) {
            assert_eq!(
                fs::read(&entry.film).unwrap(),
                fs::read(&from.film).unwrap()
            );
            let read = |entry: &Entry| entry.mask.as_ref().map(|mask| fs::read(mask).unwrap());
            assert_eq!(read(entry), read(from));
            let mut same = entry.clone();
            (same.film, same.mask) = (from.film.clone(), from.mask.clone());
            assert_eq!(same, *from);
        }
        let again = join(std::slice::from_ref(&one), &path("both"), || {});
        assert!(matches!(again, Err(DerivedError::Occupied(_))));
        // A patient on two sides.
        let three = cohort(&path("3"), "a.png,p,test,0,,,,\n");
        let split = join(&[one, three], &path("all"), || {});
        assert!(matches!(split, Err(DerivedError::SplitPatient(patient)) if patient == "p"));
        assert!(!path("all").exists());
    }
}
