//! What is kept of the attributes that the profile's table does not name. Films come from devices that
//! nobody here knows, so words are kept by a list: those of an attribute that has only such words. Any other
//! text may be a person's, and goes.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// What is kept of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Numbers.
    Numbers,
    /// The UIDs of the standard itself; others are mapped.
    Uids,
    /// Values that are one of these words. Others are left empty.
    Words(&'static [&'static str]),
    /// Directions of the body, such as `L` and `FR` (PS3.3, C.7.6.1.1.1).
    Directions,
    /// The items of a sequence, each treated as the data set is. Codes are kept if they name parts of the
    /// body, views and sides.
    Items,
    /// Pixels and lookup tables, byte for byte.
    Samples,
    /// Nothing, but its place, which the object needs.
    Empty,
    /// Nothing, but a dummy in its place, which the object needs.
    Dummy,
}

/// What is kept of the attribute `tag`, which the profile's table does not name; none if nothing is.
pub(super) fn kept(tag: Tag) -> Option<Kept> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    let listed = LISTED.iter().find(|(listed, _)| *listed == tag);
    if let Some((_, kept)) = listed {
        return Some(*kept);
    }
    match entry.vr() {
        // The weight of a body, its mass index and the like, as the profile removes its size.
        VirtualVr::Exact(vr) if tag.group() == 0x0010 && is_number(vr) => None,
        // Where a code is from goes with its other text.
        _ if CODE_ORIGIN.contains(&tag) => None,
        // Lengths of what is written anew.
        _ if tag.element() == 0 || tag == Tag(0x0008, 0x0001) => None,
        VirtualVr::Exact(VR::SQ) => Some(Kept::Items),
        VirtualVr::Exact(VR::UI) => Some(Kept::Uids),
        VirtualVr::Exact(vr) if is_number(vr) => Some(Kept::Numbers),
        VirtualVr::Xs => Some(Kept::Numbers),
        _ => None,
    }
}

/// Context UID, Mapping Resource UID and Coding Scheme UID.
const CODE_ORIGIN: [Tag; 3] = [
    tags::CONTEXT_UID,
    tags::MAPPING_RESOURCE_UID,
    tags::CODING_SCHEME_UID,
];

/// True if values of this VR can only be numbers.
pub(super) fn is_number(vr: VR) -> bool {
    matches!(
        vr,
        VR::AT
            | VR::DS
            | VR::FD
            | VR::FL
            | VR::IS
            | VR::SL
            | VR::SS
            | VR::SV
            | VR::UL
            | VR::US
            | VR::UV
    )
}

/// The attributes that are kept by name, in the order of their tags.
pub(super) const LISTED: &[(Tag, Kept)] = &[
    (
        tags::IMAGE_TYPE,
        Kept::Words(&["ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY"]),
    ),
    (
        tags::MODALITY,
        Kept::Words(&["CR", "DX", "RG", "RF", "XA", "MG", "OT", "SC"]),
    ),
    (
        tags::CONVERSION_TYPE,
        Kept::Words(&["DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"]),
    ),
    (
        tags::PRESENTATION_INTENT_TYPE,
        Kept::Words(&["FOR PRESENTATION", "FOR PROCESSING"]),
    ),
    (tags::MANUFACTURER, Kept::Empty),
    (tags::BODY_PART_EXAMINED, Kept::Words(BODY_PARTS)),
    (
        tags::FIELD_OF_VIEW_SHAPE,
        Kept::Words(&["ROUND", "RECTANGLE", "HEXAGONAL"]),
    ),
    (tags::GRID, Kept::Words(GRIDS)),
    (
        tags::ANODE_TARGET_MATERIAL,
        Kept::Words(&["TUNGSTEN", "MOLYBDENUM", "RHODIUM"]),
    ),
    (tags::POSITIONER_TYPE, Kept::Words(&["NONE", "COLUMN"])),
    (tags::SHUTTER_SHAPE, Kept::Words(SHAPES)),
    (tags::COLLIMATOR_SHAPE, Kept::Words(SHAPES)),
    (tags::VIEW_POSITION, Kept::Words(VIEWS)),
    (
        tags::DETECTOR_TYPE,
        Kept::Words(&["DIRECT", "SCINTILLATOR", "STORAGE", "FILM"]),
    ),
    (tags::DETECTOR_CONFIGURATION, Kept::Words(&["AREA", "SLOT"])),
    (
        tags::FILTER_MATERIAL,
        Kept::Words(&[
            "ALUMINUM",
            "COPPER",
            "LEAD",
            "MOLYBDENUM",
            "NIOBIUM",
            "RHODIUM",
            "SILVER",
            "TIN",
        ]),
    ),
    (
        tags::EXPOSURE_CONTROL_MODE,
        Kept::Words(&["AUTOMATIC", "MANUAL"]),
    ),
    (tags::EXPOSURE_STATUS, Kept::Words(&["NORMAL", "ABORTED"])),
    (tags::PATIENT_ORIENTATION, Kept::Directions),
    (tags::LATERALITY, Kept::Words(SIDES)),
    (tags::IMAGE_LATERALITY, Kept::Words(SIDES)),
    (
        tags::PHOTOMETRIC_INTERPRETATION,
        Kept::Words(&[
            "MONOCHROME1",
            "MONOCHROME2",
            "PALETTE COLOR",
            "RGB",
            "YBR_FULL",
            "YBR_FULL_422",
            "YBR_ICT",
            "YBR_RCT",
        ]),
    ),
    (tags::QUALITY_CONTROL_IMAGE, Kept::Words(ANSWERS)),
    (tags::BURNED_IN_ANNOTATION, Kept::Words(ANSWERS)),
    (tags::RECOGNIZABLE_VISUAL_FEATURES, Kept::Words(ANSWERS)),
    (
        tags::PIXEL_SPACING_CALIBRATION_TYPE,
        Kept::Words(&["GEOMETRY", "FIDUCIAL"]),
    ),
    (tags::PIXEL_SPACING_CALIBRATION_DESCRIPTION, Kept::Dummy),
    (
        tags::PIXEL_INTENSITY_RELATIONSHIP,
        Kept::Words(&["LIN", "LOG", "DISP"]),
    ),
    (tags::RESCALE_TYPE, Kept::Words(&["US", "OD", "HU"])),
    (
        tags::VOILUT_FUNCTION,
        Kept::Words(&["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    ),
    (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, Kept::Samples),
    (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA, Kept::Samples),
    (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA, Kept::Samples),
    (tags::LOSSY_IMAGE_COMPRESSION, Kept::Words(&["00", "01"])),
    (
        tags::LOSSY_IMAGE_COMPRESSION_METHOD,
        Kept::Words(&["ISO_10918_1", "ISO_14495_1", "ISO_15444_1"]),
    ),
    (tags::MODALITY_LUT_TYPE, Kept::Words(&["US", "OD", "HU"])),
    (tags::LUT_DATA, Kept::Samples),
    (
        tags::PRESENTATION_LUT_SHAPE,
        Kept::Words(&["IDENTITY", "INVERSE"]),
    ),
    (tags::EXTENDED_OFFSET_TABLE, Kept::Samples),
    (tags::EXTENDED_OFFSET_TABLE_LENGTHS, Kept::Samples),
    (tags::PIXEL_DATA, Kept::Samples),
];

const ANSWERS: &[&str] = &["YES", "NO"];

const SIDES: &[&str] = &["R", "L", "U", "B"];

const SHAPES: &[&str] = &["RECTANGULAR", "CIRCULAR", "POLYGONAL"];

const GRIDS: &[&str] = &[
    "FIXED",
    "FOCUSED",
    "RECIPROCATING",
    "PARALLEL",
    "CROSSED",
    "NONE",
    "IN",
];

/// View positions (PS3.3, C.8.1.1 and C.8.11.5).
const VIEWS: &[&str] = &["AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LAT"];

/// Body parts (PS3.16, annex L) that films of the trunk and the limbs have, and names that units use for the
/// whole spine.
const BODY_PARTS: &[&str] = &[
    "ABDOMEN",
    "ABDOMENPELVIS",
    "ANKLE",
    "ARM",
    "BREAST",
    "CHEST",
    "CHESTABDOMEN",
    "CLAVICLE",
    "COCCYX",
    "CSPINE",
    "CTSPINE",
    "ELBOW",
    "EXTREMITY",
    "FEMUR",
    "FINGER",
    "FOOT",
    "FOREARM",
    "HAND",
    "HEAD",
    "HIP",
    "HUMERUS",
    "KNEE",
    "LEG",
    "LOWER LIMB",
    "LSPINE",
    "LSSPINE",
    "NECK",
    "PELVIS",
    "RIB",
    "RIBS",
    "SCAPULA",
    "SHOULDER",
    "SKULL",
    "SPINE",
    "SSPINE",
    "STERNUM",
    "THORAX",
    "TIBIA FIBULA",
    "TLSPINE",
    "TOE",
    "TRUNK",
    "TSPINE",
    "WHOLEBODY",
    "WHOLESPINE",
    "WRIST",
    "WSPINE",
];

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn what_is_kept_by_name_is_not_in_the_profiles_table() {
        assert!(LISTED.is_sorted_by(|(one, _), (other, _)| one < other));
        for (tag, _) in LISTED {
            assert_eq!(table::action(*tag), None, "{tag}");
        }
    }

    #[test]
    fn text_goes_unless_it_is_listed() {
        for tag in [
            tags::WINDOW_CENTER_WIDTH_EXPLANATION,
            tags::SOFTWARE_VERSIONS,
            tags::MANUFACTURER_MODEL_NAME,
            tags::LUT_EXPLANATION,
            tags::CODE_MEANING,
            tags::ICC_PROFILE,
            tags::PLATE_ID,
            Tag(0x0008, 0x0000),
            Tag(0x0009, 0x1001),
        ] {
            assert_eq!(kept(tag), None, "{tag}");
        }
        assert_eq!(kept(tags::ROWS), Some(Kept::Numbers));
        assert_eq!(kept(tags::SMALLEST_IMAGE_PIXEL_VALUE), Some(Kept::Numbers));
        assert_eq!(kept(tags::SOP_CLASS_UID), Some(Kept::Uids));
        assert_eq!(kept(tags::VIEW_CODE_SEQUENCE), Some(Kept::Items));
    }
}
