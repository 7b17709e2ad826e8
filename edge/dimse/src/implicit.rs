//! Writing data sets in implicit VR little endian (PS3.5, 7.1.3).

/// An element; a value of odd length gets `padding` behind it.
pub(super) fn element((group, number): (u16, u16), value: &[u8], padding: u8) -> Vec<u8> {
    let length = value.len() + value.len() % 2;
    let mut element = Vec::with_capacity(8 + length);
    element.extend(group.to_le_bytes());
    element.extend(number.to_le_bytes());
    element.extend((length as u32).to_le_bytes());
    element.extend(value);
    element.resize(8 + length, padding);
    element
}
