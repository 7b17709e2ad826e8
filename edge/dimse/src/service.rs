//! The services that the station offers: SOP Classes and transfer syntaxes. The conformance
//! statement's tables are made of these.

/// A SOP Class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SopClass {
    /// Its UID.
    pub uid: &'static str,
    /// Its name in PS3.6.
    pub name: &'static str,
    /// True if it is taken only if the configuration says so.
    pub on_request: bool,
}

/// Verification.
pub const VERIFICATION: &str = "1.2.840.10008.1.1";

/// The classes whose instances are received.
pub const STORAGE: [SopClass; 4] = [
    SopClass {
        uid: "1.2.840.10008.5.1.4.1.1.1",
        name: "Computed Radiography Image Storage",
        on_request: false,
    },
    SopClass {
        uid: "1.2.840.10008.5.1.4.1.1.1.1",
        name: "Digital X-Ray Image Storage - For Presentation",
        on_request: false,
    },
    SopClass {
        uid: "1.2.840.10008.5.1.4.1.1.1.1.1",
        name: "Digital X-Ray Image Storage - For Processing",
        on_request: true,
    },
    SopClass {
        uid: "1.2.840.10008.5.1.4.1.1.7",
        name: "Secondary Capture Image Storage",
        on_request: false,
    },
];

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferSyntax {
    /// Its UID.
    pub uid: &'static str,
    /// Its name in PS3.6.
    pub name: &'static str,
}

const fn syntax(uid: &'static str, name: &'static str) -> TransferSyntax {
    TransferSyntax { uid, name }
}

/// The transfer syntax of Verification, and the default of all services.
pub const IMPLICIT: &str = "1.2.840.10008.1.2";

/// The transfer syntax in which results are written: Explicit VR Little Endian.
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// The transfer syntaxes that are received: those that the decoders read.
pub const TRANSFER_SYNTAXES: [TransferSyntax; 14] = [
    syntax(IMPLICIT, "Implicit VR Little Endian"),
    syntax(EXPLICIT, "Explicit VR Little Endian"),
    syntax(
        "1.2.840.10008.1.2.1.99",
        "Deflated Explicit VR Little Endian",
    ),
    syntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian (retired)"),
    syntax("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)"),
    syntax("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)"),
    syntax(
        "1.2.840.10008.1.2.4.57",
        "JPEG Lossless, Non-Hierarchical (Process 14)",
    ),
    syntax(
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
    ),
    syntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
    syntax("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)"),
    syntax("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)"),
    syntax("1.2.840.10008.1.2.4.91", "JPEG 2000"),
    syntax("1.2.840.10008.1.2.5", "RLE Lossless"),
    syntax("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
];

/// The most bytes of a PDU that the station takes.
pub const MOST_PDU: u32 = 131_072;

/// The least that a peer's maximum may be; 0 says that it has none.
pub const LEAST_PDU: u32 = 1_018;

/// The station's Implementation Class UID (PS3.7, D.3.3.2).
pub const IMPLEMENTATION_UID: &str = "2.25.272346339153309645857436700141192850661";

/// The station's Implementation Version Name, at most 16 characters.
pub const IMPLEMENTATION_VERSION: &str = "PLUMBLINE_1";
