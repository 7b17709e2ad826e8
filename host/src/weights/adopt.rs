//! Adopting: the network's tensors found in a file by their names and shapes, and read.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use plumbline_nets::{Description, Head, Network, Parameters, ShapeMismatch, Shapes, Variant};
use plumbline_shared::architecture::Architecture;

use super::container::Container;
use super::error::WeightsImportError;
use super::imported::Imported;
use super::names::Naming;
use super::place::{Layout, Place};
use super::source::Source;

/// Finds the network's tensors in `container` and reads them.
pub(super) fn adopt(
    container: &dyn Container,
    architecture: Architecture,
    source: Option<Source>,
) -> Result<Imported, WeightsImportError> {
    let file = Named::recognise(container, architecture)?;
    let (head, classifier) = file.naming.head(architecture, &file.shapes);
    let layers = head.layers(architecture);
    let outputs = layers.last().map_or(0, |(.., outputs)| *outputs);
    let (source, assumed) = file.source(architecture, outputs, source)?;
    let variant = source.variant();
    let places = places(architecture, variant, head, |ours| {
        file.naming.place(architecture, classifier, ours)
    })?;
    let expected = places.iter();
    let expected: Shapes = expected
        .map(|(_, shape, place)| (place.name.clone(), place.layout.shape(shape)))
        .collect();
    if let Some(mismatch) = ShapeMismatch::between(&file.shapes, &expected) {
        return Err(WeightsImportError::ShapeMismatch {
            origin: source,
            architecture,
            mismatch: Box::new(mismatch),
        });
    }
    let tensors = places
        .into_iter()
        .map(|(ours, _, place)| Ok((ours, file.read(&place)?)))
        .collect::<Result<HashMap<_, _>, WeightsImportError>>()?;
    Ok(Imported {
        description: Description {
            architecture: Some(architecture),
            source: source.name().to_owned(),
            variant,
            head,
            classes: source.classes(outputs),
        },
        assumed,
        tensors,
    })
}

/// A file whose naming is known.
struct Named<'a> {
    container: &'a dyn Container,
    naming: Naming,
    /// Shapes by the names without a prefix, as [`Naming::bare`] gives them.
    shapes: Shapes,
    /// The file's own names by those.
    names: BTreeMap<String, &'a String>,
}

impl<'a> Named<'a> {
    /// Tells the naming of a file's tensors.
    fn recognise(
        container: &'a dyn Container,
        architecture: Architecture,
    ) -> Result<Self, WeightsImportError> {
        let all = container.shapes().keys();
        let all = all.filter(|name| !name.ends_with("num_batches_tracked"));
        let Some((naming, prefix)) = Naming::recognise(architecture, all.clone()) else {
            return Err(WeightsImportError::Unrecognised {
                architecture,
                names: all.cloned().collect(),
            });
        };
        let mut names = BTreeMap::new();
        for name in all.filter(|name| !is_beside_the_network(name)) {
            let bare = naming.bare(name, prefix);
            // Of two names that come to the same the second is one too many.
            let taken = names.contains_key(&bare);
            names.insert(if taken { name.clone() } else { bare }, name);
        }
        let shapes = names.iter();
        let shapes = shapes.map(|(bare, name)| (bare.clone(), container.shapes()[*name].clone()));
        Ok(Self {
            shapes: shapes.collect(),
            container,
            naming,
            names,
        })
    }

    /// Returns the source, `given` or found, and an assumption where the file does not tell.
    fn source(
        &self,
        architecture: Architecture,
        outputs: usize,
        given: Option<Source>,
    ) -> Result<(Source, Option<&'static str>), WeightsImportError> {
        let (found, assumed) = Source::of(architecture, self.naming, &self.shapes, outputs);
        match given {
            Some(given) if !given.has(architecture, self.naming) => {
                Err(WeightsImportError::OtherSource { given, found })
            }
            Some(given) => Ok((given, None)),
            None => Ok((found, assumed)),
        }
    }

    /// Reads the tensor at a place, its dimensions in this program's order.
    fn read(&self, place: &Place) -> Result<Tensor, WeightsImportError> {
        let values = self.container.read(self.names[&place.name])?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(WeightsImportError::NotFinite(place.name.clone()));
        }
        let shape = self.shapes[&place.name].as_slice();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(match (place.layout, tensor.rank()) {
            (Layout::OutputsLast, 4) => tensor.permute((3, 2, 0, 1))?.contiguous()?,
            (Layout::OutputsLast, 2) => tensor.t()?.contiguous()?,
            _ => tensor,
        })
    }
}

/// Returns the name and the shape of each of the network's tensors, with its place in the file.
fn places(
    architecture: Architecture,
    variant: Variant,
    head: Head,
    place: impl Fn(&str) -> Place,
) -> Result<Vec<(String, Vec<usize>, Place)>, WeightsImportError> {
    let mut parameters = Parameters::blank(&Device::Cpu);
    Network::build(architecture, variant, head, &mut parameters)?;
    let tensors = parameters.tensors().into_iter();
    let places = tensors.map(|(ours, tensor)| {
        let place = place(&ours);
        (ours, tensor.dims().to_vec(), place)
    });
    Ok(places.collect())
}

/// Returns true of a tensor that the network's outputs do not depend on: an optimiser's state, or
/// the thresholds that torchxrayvision scales probabilities by.
fn is_beside_the_network(name: &str) -> bool {
    name.starts_with("optimizer_weights/") || name.ends_with("op_threshs")
}
