//! UIDs that are computed, so that an object that is made again is the same object.

use sha2::{Digest, Sha256};
use uuid::Builder;

/// Returns a UID (PS3.5, B.2) that is made of `parts` alone: that of a UUID of version 8 of their
/// SHA-256. Each part is hashed with its length, so that no two lists of parts look alike.
pub(super) fn uid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    uid_of_hash(&hash.finalize().into())
}

/// Returns the UID (PS3.5, B.2) of a UUID of version 8 that is the start of a hash.
pub(crate) fn uid_of_hash(hash: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    let uuid = Builder::from_custom_bytes(bytes).into_uuid();
    format!("2.25.{}", uuid.as_u128())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn equal_parts_make_equal_uids() {
        let one = uid(&["1.2", "report", "7"]);
        assert_eq!(one, uid(&["1.2", "report", "7"]));
        for other in [
            &["1.2", "report", "8"][..],
            &["1.2", "report7"],
            &["1.2report", "7"],
            &["1.2", "report", "7", ""],
        ] {
            assert_ne!(one, uid(other), "{other:?}");
        }
        let number: u128 = one.strip_prefix("2.25.").unwrap().parse().unwrap();
        let uuid = Uuid::from_u128(number);
        assert_eq!(uuid.get_version_num(), 8);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
    }
}
