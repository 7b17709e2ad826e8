//! Writers of the files that pretrained weights come in, for tensors made by a formula.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use hdf5_pure::{FileBuilder, FinishedGroup};

/// A tensor to be written.
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The kind of object in a PyTorch file.
pub enum Object {
    /// An ordered dictionary of tensors.
    StateDict,
    /// A dictionary that holds one among other things.
    Checkpoint,
    /// A whole module, which holds modules.
    Module,
}

/// A pickle being written (protocol 2).
pub struct Pickler {
    pub bytes: Vec<u8>,
    legacy: bool,
    storages: usize,
}

impl Pickler {
    pub fn new(legacy: bool) -> Self {
        Self {
            bytes: vec![0x80, 2],
            legacy,
            storages: 0,
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes());
        self.raw(text.as_bytes())
    }

    pub fn int(&mut self, value: usize) -> &mut Self {
        self.raw(b"J").raw(&(value as u32).to_le_bytes())
    }

    fn ints(&mut self, values: impl IntoIterator<Item = usize>) {
        self.raw(b"(");
        for value in values {
            self.int(value);
        }
        self.raw(b"t");
    }

    /// A tensor of its own storage, named by its number.
    pub fn tensor(&mut self, shape: &[usize]) {
        self.raw(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage").raw(b"ctorch\nFloatStorage\n");
        let key = self.storages.to_string();
        self.storages += 1;
        let elements = |shape: &[usize]| shape.iter().fold(1usize, |n, size| n.wrapping_mul(*size));
        self.text(&key).text("cpu").int(elements(shape));
        if self.legacy {
            self.raw(b"N");
        }
        self.raw(b"tQ").int(0);
        self.ints(shape.iter().copied());
        let strides = (1..=shape.len()).map(|from| elements(&shape[from..]));
        self.ints(strides);
        self.raw(b"\x89ccollections\nOrderedDict\n)RtR");
    }

    fn state_dict(&mut self, tensors: &[Tensor]) {
        self.raw(b"ccollections\nOrderedDict\n)R(");
        for tensor in tensors {
            self.text(&tensor.name).tensor(&tensor.shape);
        }
        self.raw(b"u");
    }

    /// The module of all tensors whose names begin with `prefix`, which follow each other.
    fn module(&mut self, prefix: &str, tensors: &[Tensor]) {
        self.raw(b"csome.package\nNetwork\n)\x81}(");
        let mut own = Vec::new();
        let mut children: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
        for (at, tensor) in tensors.iter().enumerate() {
            match tensor.name[prefix.len()..].split_once('.') {
                None => own.push(at),
                Some((child, _)) => match children.last_entry() {
                    Some(mut last) if last.get().0 == child => last.get_mut().1 = at,
                    _ => drop(children.insert(at, (child, at))),
                },
            }
        }
        self.text("_parameters")
            .raw(b"ccollections\nOrderedDict\n)R(");
        for at in own {
            let name = tensors[at].name[prefix.len()..].to_owned();
            self.text(&name).tensor(&tensors[at].shape);
        }
        self.raw(b"u")
            .text("_buffers")
            .raw(b"ccollections\nOrderedDict\n)R");
        self.text("_modules").raw(b"ccollections\nOrderedDict\n)R(");
        for (first, (child, last)) in children {
            self.text(child);
            self.module(&format!("{prefix}{child}."), &tensors[first..=last]);
        }
        self.raw(b"uub");
    }

    fn object(&mut self, object: &Object, tensors: &[Tensor]) {
        match object {
            Object::StateDict => self.state_dict(tensors),
            Object::Module => self.module("", tensors),
            Object::Checkpoint => {
                self.raw(b"}(").text("epoch").int(7).text("state_dict");
                self.state_dict(tensors);
                self.text("optimizer").raw(b"}(").text("state").raw(b"}u");
                self.text("best")
                    .raw(b"cnumpy.core.multiarray\nscalar\n(U\x08abcdefghtRu");
            }
        }
        self.raw(b".");
    }
}

/// A file of PyTorch since 1.6.
pub fn torch_zip(object: &Object, tensors: &[Tensor]) -> Vec<u8> {
    let mut pickler = Pickler::new(false);
    pickler.object(object, tensors);
    let mut entries = vec![("archive/data.pkl".to_owned(), pickler.bytes)];
    for (key, tensor) in tensors.iter().enumerate() {
        let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes());
        entries.push((format!("archive/data/{key}"), bytes.collect()));
    }
    zip_file(&entries)
}

/// A zip archive of these entries, not compressed.
pub fn zip_file(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        archive.start_file(name.as_str(), stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The start of files of PyTorch before 1.6: magic number, version and sizes.
pub const LEGACY_START: &[u8] =
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A file of PyTorch before 1.6.
pub fn torch_legacy(object: &Object, tensors: &[Tensor]) -> Vec<u8> {
    let mut pickler = Pickler::new(true);
    pickler.object(object, tensors);
    let mut keys = Pickler::new(true);
    keys.raw(b"](");
    // In the order of text, as PyTorch sorts them.
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(ToString::to_string);
    for key in &order {
        keys.text(&key.to_string());
    }
    keys.raw(b"e.");
    let mut file = [LEGACY_START, &pickler.bytes, &keys.bytes].concat();
    for key in order {
        let values = &tensors[key].values;
        file.extend((values.len() as u64).to_le_bytes());
        file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
    file
}

/// An HDF5 file of these datasets, named by paths.
pub fn hdf5(tensors: &[Tensor]) -> Vec<u8> {
    #[derive(Default)]
    struct Folder<'a> {
        folders: BTreeMap<&'a str, Folder<'a>>,
        datasets: Vec<(&'a str, &'a Tensor)>,
    }
    impl Folder<'_> {
        fn write(&self, mut group: hdf5_pure::GroupBuilder) -> FinishedGroup {
            for (name, tensor) in &self.datasets {
                let shape: Vec<u64> = tensor.shape.iter().map(|size| *size as u64).collect();
                let dataset = group.create_dataset(name);
                dataset.with_f32_data(&tensor.values).with_shape(&shape);
            }
            for (name, folder) in &self.folders {
                let inner = group.create_group(name);
                group.add_group(folder.write(inner));
            }
            group.finish()
        }
    }
    let mut root = Folder::default();
    for tensor in tensors {
        let mut folder = &mut root;
        let mut path: Vec<&str> = tensor.name.split('/').collect();
        let name = path.pop().unwrap();
        for part in path {
            folder = folder.folders.entry(part).or_default();
        }
        folder.datasets.push((name, tensor));
    }
    let mut file = FileBuilder::new();
    for (name, folder) in &root.folders {
        let group = file.create_group(name);
        file.add_group(folder.write(group));
    }
    file.finish().unwrap()
}

/// A safetensors file.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let tensors = tensors.iter().map(|tensor| {
        let shape = tensor.shape.as_slice();
        let values =
            candle_core::Tensor::from_slice(&tensor.values, shape, &candle_core::Device::Cpu);
        (tensor.name.clone(), values.unwrap())
    });
    safetensors::serialize(tensors, None).unwrap()
}
