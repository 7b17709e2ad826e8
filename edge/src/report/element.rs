//! Putting elements into data sets.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;

/// Puts elements of one text each; an empty one has no value.
pub(super) fn put_texts(object: &mut InMemDicomObject, texts: &[(Tag, VR, &str)]) {
    for &(tag, vr, text) in texts {
        let value = match text {
            "" => PrimitiveValue::Empty,
            text => text.into(),
        };
        object.put(DataElement::new(tag, vr, value));
    }
}

/// Puts a sequence.
pub(super) fn put_sequence(
    object: &mut InMemDicomObject,
    tag: Tag,
    items: impl IntoIterator<Item = InMemDicomObject>,
) {
    let items: Vec<_> = items.into_iter().collect();
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}
