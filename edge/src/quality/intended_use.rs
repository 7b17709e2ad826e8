//! What the networks are meant for.

use serde::{Deserialize, Serialize};

/// The films that a station reads, as its configuration may change them.
///
/// ```
/// use plumbline_edge::quality::IntendedUse;
///
/// let adults: IntendedUse = serde_json::from_str(r#"{"youngest": 18}"#)?;
/// assert_eq!((adults.youngest, adults.oldest), (18, 90));
/// assert!(adults.modalities.contains(&"DX".to_string()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntendedUse {
    /// The youngest patients, in years. Screening begins with school; the phantoms that the shipped
    /// networks learnt from are eight and older.
    pub youngest: u32,
    /// The oldest patients, in years: the oldest phantoms.
    pub oldest: u32,
    /// Values of Modality (0008,0060) that are read.
    pub modalities: Vec<String>,
    /// Words of Body Part Examined (0018,0015) that a chest film has; any one of them is enough.
    pub body_parts: Vec<String>,
    /// Words of Body Part Examined that a chest film does not have. Words in neither list, such as a
    /// department's own, say nothing.
    pub other_body_parts: Vec<String>,
    /// Values of View Position (0018,5101) of films from the side or of other views than the frontal
    /// one.
    pub other_views: Vec<String>,
    /// The least side of a film in pixels.
    pub least_side: u32,
    /// How many times its width a film may be high. Chest films are up to 43 by 35 cm, less what a
    /// collimator takes; films of a whole spine are twice as high as wide.
    pub tallest: f32,
    /// How many times its height a film may be wide.
    pub widest: f32,
    /// True to read films that are marked for processing.
    pub for_processing: bool,
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

impl Default for IntendedUse {
    fn default() -> Self {
        Self {
            youngest: 5,
            oldest: 90,
            modalities: words(&["CR", "DX", "DR", "RG"]),
            body_parts: words(&["CHEST", "THORAX", "LUNG", "LUNGS", "RIBS"]),
            // DICOM PS3.16, annex L, the parts that radiography takes.
            other_body_parts: words(&[
                "ABDOMEN",
                "ANKLE",
                "ARM",
                "BREAST",
                "CALCANEUS",
                "CLAVICLE",
                "COCCYX",
                "CSPINE",
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
                "JAW",
                "KNEE",
                "LEG",
                "LSPINE",
                "NECK",
                "PELVIS",
                "SHOULDER",
                "SINUS",
                "SKULL",
                "SPINE",
                "SSPINE",
                "TLSPINE",
                "TOE",
                "TSPINE",
                "WRIST",
                "WSPINE",
            ]),
            other_views: words(&["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT"]),
            least_side: 64,
            tallest: 1.5,
            widest: 2.0,
            for_processing: false,
        }
    }
}
