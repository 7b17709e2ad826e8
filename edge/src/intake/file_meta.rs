//! The start of a DICOM file (PS3.10, 7.1): preamble and file meta information, which a data set
//! that came over the network does not have.

use plumbline_dimse::service::IMPLEMENTATION_UID;

/// The Implementation Version Name (0002,0013). It stays as it is in every version of the program:
/// a film that is sent again after an update must get the same bytes.
const WRITER: &str = "PLUMBLINE_1";

/// Returns preamble and file meta information for the data set of an instance. The same instance
/// always gets the same bytes, so that a file sent again has the same hash.
pub fn file_meta(sop_class: &str, sop_instance: &str, transfer_syntax: &str) -> Vec<u8> {
    let mut elements = Vec::new();
    // FileMetaInformationVersion, OB with a length of four bytes.
    elements.extend(b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01");
    for (element, vr, value, padding) in [
        (0x0002_u16, b"UI", sop_class, 0),
        (0x0003, b"UI", sop_instance, 0),
        (0x0010, b"UI", transfer_syntax, 0),
        (0x0012, b"UI", IMPLEMENTATION_UID, 0),
        (0x0013, b"SH", WRITER, b' '),
    ] {
        let mut value = value.as_bytes().to_vec();
        if !value.len().is_multiple_of(2) {
            value.push(padding);
        }
        elements.extend(2_u16.to_le_bytes());
        elements.extend(element.to_le_bytes());
        elements.extend(vr);
        elements.extend((value.len() as u16).to_le_bytes());
        elements.extend(value);
    }
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend(b"\x02\0\0\0UL\x04\0");
    file.extend((elements.len() as u32).to_le_bytes());
    file.extend(elements);
    file
}
