//! The folder of the pictures.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use image::codecs::png::PngEncoder;
use plumbline_shared::durable::replace_file;

/// The folder of pictures.
pub(super) struct Pictures {
    folder: PathBuf,
    taken: BTreeSet<OsString>,
}

impl Pictures {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            taken: BTreeSet::new(),
        })
    }

    /// Writes the picture of `film` under the film's name, numbered if another film of this call
    /// has the same. It appears whole or not at all.
    ///
    /// # Errors
    ///
    /// If the picture cannot be written.
    pub fn write(&mut self, film: &Path, picture: &RgbImage) -> Result<()> {
        let name = self.name(film.file_stem().unwrap_or(OsStr::new("film")));
        let path = self.folder.join(&name);
        let mut png = Vec::new();
        picture
            .write_with_encoder(PngEncoder::new(&mut png))
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(replace_file(&path, &png)?))
            .map_err(|error| {
                let path = path.display();
                anyhow!("the picture {path} cannot be written ({error:#}); make room there, or give another folder")
            })
    }

    fn name(&mut self, stem: &OsStr) -> OsString {
        let numbered = |number: u32| {
            let mut name = stem.to_os_string();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            name.push(".png");
            name
        };
        let mut number = 1;
        while !self.taken.insert(numbered(number)) {
            number += 1;
        }
        numbered(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_of_one_name_get_pictures_of_their_own() {
        let mut pictures = Pictures {
            folder: PathBuf::new(),
            taken: BTreeSet::new(),
        };
        let mut name = |stem: &str| pictures.name(OsStr::new(stem)).into_string().unwrap();
        assert_eq!(
            [name("a"), name("a-2"), name("a"), name("b")],
            ["a.png", "a-2.png", "a-3.png", "b.png"]
        );
    }
}
