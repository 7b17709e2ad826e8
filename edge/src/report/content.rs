//! Content trees of structured reports (PS3.3, C.17.3).

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::code::Code;
use super::element::{put_sequence, put_texts};

/// The most characters of a person's name.
const MOST_NAME: usize = 64;

/// How a content item belongs to the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Contains,
    HasAcquisitionContext,
    HasConceptModifier,
    HasObservationContext,
    InferredFrom,
    SelectedFrom,
}

impl Relation {
    const fn name(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasAcquisitionContext => "HAS ACQ CONTEXT",
            Self::HasConceptModifier => "HAS CONCEPT MOD",
            Self::HasObservationContext => "HAS OBS CONTEXT",
            Self::InferredFrom => "INFERRED FROM",
            Self::SelectedFrom => "SELECTED FROM",
        }
    }
}

/// A SOP instance, by its class and its UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub class: String,
    pub instance: String,
}

impl Reference {
    /// The item of a sequence of references.
    pub fn item(&self) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        let texts = [
            (tags::REFERENCED_SOP_CLASS_UID, VR::UI, &*self.class),
            (tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &self.instance),
        ];
        put_texts(&mut item, &texts);
        item
    }
}

/// What a content item says.
#[derive(Clone, Debug)]
enum Value {
    Container,
    Text(String),
    Code(Code),
    Uid(String),
    Person(String),
    Number { value: String, unit: Code },
    Image(Reference),
    Polyline(Vec<[f32; 2]>),
}

impl Value {
    const fn type_name(&self) -> &'static str {
        match self {
            Self::Container => "CONTAINER",
            Self::Text(_) => "TEXT",
            Self::Code(_) => "CODE",
            Self::Uid(_) => "UIDREF",
            Self::Person(_) => "PNAME",
            Self::Number { .. } => "NUM",
            Self::Image(_) => "IMAGE",
            Self::Polyline(_) => "SCOORD",
        }
    }

    fn put(&self, object: &mut InMemDicomObject) {
        let texts = |object: &mut _, tag: Tag, vr, text| put_texts(object, &[(tag, vr, text)]);
        match self {
            Self::Container => texts(object, tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"),
            Self::Text(text) => texts(object, tags::TEXT_VALUE, VR::UT, text),
            Self::Code(code) => put_sequence(object, tags::CONCEPT_CODE_SEQUENCE, [code.item()]),
            Self::Person(name) => texts(object, tags::PERSON_NAME, VR::PN, name),
            Self::Uid(uid) => texts(object, tags::UID, VR::UI, uid),
            Self::Number { value, unit } => {
                let mut measured = InMemDicomObject::new_empty();
                texts(&mut measured, tags::NUMERIC_VALUE, VR::DS, value);
                let units = tags::MEASUREMENT_UNITS_CODE_SEQUENCE;
                put_sequence(&mut measured, units, [unit.item()]);
                put_sequence(object, tags::MEASURED_VALUE_SEQUENCE, [measured]);
            }
            Self::Image(image) => {
                put_sequence(object, tags::REFERENCED_SOP_SEQUENCE, [image.item()]);
            }
            Self::Polyline(points) => {
                texts(object, tags::GRAPHIC_TYPE, VR::CS, "POLYLINE");
                let points = points.as_flattened();
                let points = PrimitiveValue::F32(points.into());
                object.put(DataElement::new(tags::GRAPHIC_DATA, VR::FL, points));
            }
        }
    }
}

/// A content item and those below it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    relation: Option<Relation>,
    concept: Option<Code>,
    value: Value,
    below: Vec<Item>,
}

impl Item {
    fn new(relation: Relation, concept: Code, value: Value) -> Self {
        Self {
            relation: Some(relation),
            concept: Some(concept),
            value,
            below: Vec::new(),
        }
    }

    /// The container at the root of a report.
    pub fn root(concept: Code, below: Vec<Item>) -> Self {
        Self {
            relation: None,
            ..Self::container(concept, below)
        }
    }

    pub fn container(concept: Code, below: Vec<Item>) -> Self {
        let container = Self::new(Relation::Contains, concept, Value::Container);
        Self { below, ..container }
    }

    pub fn text(relation: Relation, concept: Code, text: impl Into<String>) -> Self {
        Self::new(relation, concept, Value::Text(text.into()))
    }

    pub fn code(relation: Relation, concept: Code, code: Code) -> Self {
        Self::new(relation, concept, Value::Code(code))
    }

    pub fn uid(relation: Relation, concept: Code, uid: impl Into<String>) -> Self {
        Self::new(relation, concept, Value::Uid(uid.into()))
    }

    /// A person, by a name as people write it.
    pub fn person(relation: Relation, concept: Code, name: &str) -> Self {
        // These part a name's components and values (PS3.5, 6.2).
        let plain = name.replace(['\\', '^', '='], " ");
        let mut name: String = plain.chars().take(MOST_NAME - 1).collect();
        // All of it in the place of the family name: nobody told which part is which.
        name.push('^');
        Self::new(relation, concept, Value::Person(name))
    }

    /// A measured number; `value` is a decimal string of at most 16 characters.
    pub fn number(relation: Relation, concept: Code, value: String, unit: Code) -> Self {
        Self::new(relation, concept, Value::Number { value, unit })
    }

    pub fn image(relation: Relation, image: &Reference) -> Self {
        Self {
            relation: Some(relation),
            concept: None,
            value: Value::Image(image.clone()),
            below: Vec::new(),
        }
    }

    /// A closed line on an image, by columns and rows of its pixels, (0, 0) being its left upper
    /// corner.
    pub fn polyline(concept: Code, points: Vec<[f32; 2]>, image: &Reference) -> Self {
        Self::new(Relation::Contains, concept, Value::Polyline(points))
            .with([Self::image(Relation::SelectedFrom, image)])
    }

    /// Puts items below this one.
    pub fn with(mut self, below: impl IntoIterator<Item = Item>) -> Self {
        self.below.extend(below);
        self
    }

    /// Puts the item into a data set: the document's, if it is the root.
    pub fn put(&self, object: &mut InMemDicomObject) {
        if let Some(relation) = self.relation {
            put_texts(
                object,
                &[(tags::RELATIONSHIP_TYPE, VR::CS, relation.name())],
            );
        }
        let value_type = self.value.type_name();
        put_texts(object, &[(tags::VALUE_TYPE, VR::CS, value_type)]);
        if let Some(concept) = self.concept {
            put_sequence(object, tags::CONCEPT_NAME_CODE_SEQUENCE, [concept.item()]);
        }
        self.value.put(object);
        if !self.below.is_empty() {
            let below = self.below.iter().map(|item| {
                let mut object = InMemDicomObject::new_empty();
                item.put(&mut object);
                object
            });
            put_sequence(object, tags::CONTENT_SEQUENCE, below);
        }
    }
}
