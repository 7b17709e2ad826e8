//! PyTorch's files: a pickle that names tensors, and the bytes of their storages beside it.
//!
//! Since 1.6 they are zip archives (`data.pkl` and one file a storage, nothing compressed); before,
//! five pickles (a magic number, a version, the machine's sizes, the object, the storages' keys)
//! and then each storage's length and bytes. The object is a state dict, a checkpoint that holds
//! one, or a whole module.

mod state_dict;
mod tensors;

use std::collections::BTreeMap;
use std::io::Cursor;

use plumbline_nets::Shapes;

use super::container::Container;
use super::error::WeightsImportError;
use super::pickle::{Pickle, Value};
use tensors::{Storage, Strided, View};

/// The first pickle of a file from before 1.6, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A file's tensors of floating-point numbers.
pub struct TorchFile<'a> {
    shapes: Shapes,
    tensors: BTreeMap<String, Strided<'a>>,
}

/// Returns true of a file that begins as those from before 1.6 do.
pub fn is_legacy(bytes: &[u8]) -> bool {
    Pickle::read(&bytes[..bytes.len().min(64)])
        .is_ok_and(|pickle| pickle.get(pickle.root()) == &Value::Bytes(&MAGIC))
}

impl<'a> TorchFile<'a> {
    /// Reads a zip archive.
    ///
    /// # Errors
    /// If it is damaged or not PyTorch's.
    pub fn open_zip(bytes: &'a [u8]) -> Result<Self, WeightsImportError> {
        let unusable =
            |error: zip::result::ZipError| WeightsImportError::damaged(error.to_string());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unusable)?;
        let mut entries = BTreeMap::new();
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(unusable)?;
            let name = entry.name().map_err(unusable)?.into_owned();
            if entry.compression() != zip::CompressionMethod::Stored {
                let what = format!("its entry {name} is compressed");
                return Err(WeightsImportError::Unsupported(what));
            }
            let range = entry.data_start().and_then(|start| {
                let start = usize::try_from(start).ok()?;
                let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
                bytes.get(start..end)
            });
            let data = range.ok_or_else(|| {
                WeightsImportError::damaged(format!("its entry {name} is cut off"))
            })?;
            entries.insert(name, data);
        }
        let pickle = entries.iter().find_map(|(name, data)| {
            let folder = name.strip_suffix("data.pkl")?;
            (folder.is_empty() || folder.ends_with('/')).then_some((folder, *data))
        });
        let Some((folder, data)) = pickle else {
            return Err(WeightsImportError::Format);
        };
        if entries.get(&format!("{folder}byteorder")) == Some(&&b"big"[..]) {
            return Err(WeightsImportError::Unsupported(
                "its numbers are big-endian".into(),
            ));
        }
        let pickle = Pickle::read(data)?;
        Self::new(&pickle, &|storage: &Storage| {
            let data = entries.get(&format!("{folder}data/{}", storage.key));
            data.copied().ok_or_else(|| storage.lost())
        })
    }

    /// Reads a file from before 1.6.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open_legacy(bytes: &'a [u8]) -> Result<Self, WeightsImportError> {
        let mut at = 0;
        let mut next = || -> Result<Pickle<'a>, WeightsImportError> {
            let pickle = Pickle::read(&bytes[at..])?;
            at += pickle.length;
            Ok(pickle)
        };
        let (_magic, _version, _sizes) = (next()?, next()?, next()?);
        let (object, keys) = (next()?, next()?);
        let sizes = Storage::sizes(&object);
        let mut data = BTreeMap::new();
        for id in keys.items(keys.root()) {
            let Value::Text(key) = keys.get(*id) else {
                return Err(WeightsImportError::damaged(
                    "its storages are not named by text",
                ));
            };
            let size = *sizes.get(key).ok_or_else(|| {
                WeightsImportError::damaged(format!("nothing says what its storage {key} holds"))
            })?;
            let range = bytes.get(at..).and_then(|rest| {
                let (count, rest) = rest.split_first_chunk::<8>()?;
                let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
                rest.get(..count.checked_mul(size)?)
            });
            let range =
                range.ok_or_else(|| WeightsImportError::damaged("its storages are cut off"))?;
            at += 8 + range.len();
            data.insert(*key, range);
        }
        Self::new(&object, &|storage: &Storage| {
            let whole = data.get(storage.key).copied();
            whole.ok_or_else(|| storage.lost())
        })
    }

    fn new(
        pickle: &Pickle<'a>,
        data: &dyn Fn(&Storage<'a>) -> Result<&'a [u8], WeightsImportError>,
    ) -> Result<Self, WeightsImportError> {
        let mut file = Self {
            shapes: Shapes::new(),
            tensors: BTreeMap::new(),
        };
        for (name, id) in state_dict::named(pickle)? {
            let Some(view) = View::parse(pickle, id) else {
                continue;
            };
            let Some(number) = view.storage.number else {
                continue;
            };
            let storage = data(&view.storage)?;
            let tensor = view.resolve(number, storage);
            let tensor = tensor.ok_or_else(|| {
                WeightsImportError::damaged(format!("its tensor {name} reaches beyond its storage"))
            })?;
            file.shapes.insert(name.clone(), tensor.shape.clone());
            file.tensors.insert(name, tensor);
        }
        Ok(file)
    }
}

impl Container for TorchFile<'_> {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsImportError> {
        let tensor = self.tensors.get(name);
        Ok(tensor.map(Strided::values).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIP: &[u8] = include_bytes!("../../../tests/references/small/zip.pt");
    const LEGACY: &[u8] = include_bytes!("../../../tests/references/small/legacy.pth.tar");
    const MODULE: &[u8] = include_bytes!("../../../tests/references/small/module.pt");

    /// The file of references/weights.py: eighths of 0 to 23 in four rows of six, and views of it.
    #[test]
    fn pytorch_s_types_and_layouts_are_read() {
        assert!(is_legacy(LEGACY) && !is_legacy(ZIP));
        let whole: Vec<f32> = (0..24).map(|i| i as f32 / 8.0).collect();
        let turned: Vec<f32> = (0..24).map(|i| whole[i % 4 * 6 + i / 4]).collect();
        for file in [
            TorchFile::open_zip(ZIP).unwrap(),
            TorchFile::open_legacy(LEGACY).unwrap(),
        ] {
            let expected: [(&str, &[usize], &[f32]); 8] = [
                ("whole", &[4, 6], &whole),
                ("transposed", &[6, 4], &turned),
                ("part", &[2, 2], &[1.0, 1.125, 1.75, 1.875]),
                ("half", &[4, 6], &whole),
                ("brain", &[4, 6], &whole),
                ("double", &[4, 6], &whole),
                ("scalar", &[], &[2.5]),
                ("parameter", &[1, 6], &whole[..6]),
            ];
            assert_eq!(file.shapes().len(), expected.len(), "{:?}", file.shapes());
            for (name, shape, values) in expected {
                let name = format!("module.{name}");
                assert_eq!(file.shapes()[&name], shape, "{name}");
                assert_eq!(file.read(&name).unwrap(), values, "{name}");
            }
        }
    }

    #[test]
    fn whole_modules_are_read() {
        let file = TorchFile::open_legacy(MODULE).unwrap();
        let names: Vec<&str> = file.shapes().keys().map(String::as_str).collect();
        let norm = [
            "norm.bias",
            "norm.running_mean",
            "norm.running_var",
            "norm.weight",
        ];
        assert_eq!(names[..2], ["conv.bias", "conv.weight"]);
        assert_eq!(names[2..], norm);
        assert_eq!(file.shapes()["conv.weight"], [2, 1, 3, 3]);
        // The formula of the references gives 0.5 to 1.5 here.
        let variance = file.read("norm.running_var").unwrap();
        assert!(
            variance.iter().all(|v| (0.5..1.5).contains(v)),
            "{variance:?}"
        );
    }
}
