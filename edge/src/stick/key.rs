//! The station's pair of keys, by which it seals what it writes onto sticks (minisign's format).

use std::fs;
use std::io;
use std::path::Path;

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use super::names::component;
use crate::secret::make_once;

/// The file of the secret key in the data folder.
pub const SEAL_KEY: &str = "stick.key";

/// A station's pair of keys.
pub struct SealKey {
    secret: SecretKey,
    public: PublicKey,
}

impl SealKey {
    /// The keys of the store in `folder`. They are made if there are none.
    ///
    /// # Errors
    /// If they cannot be read or written, or are damaged.
    pub fn made_in(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SEAL_KEY);
        if !path.exists() {
            let made = KeyPair::generate_unencrypted_keypair().and_then(|pair| {
                let comment = "secret key of a Plumbline station, by which it seals sticks";
                pair.sk.to_box(Some(comment))
            });
            let text = made.map_err(io::Error::other)?.into_string();
            make_once(folder, SEAL_KEY, text.as_bytes())?;
        }
        Self::parse(&fs::read_to_string(&path)?)
    }

    fn parse(text: &str) -> io::Result<Self> {
        let damaged = |_| {
            let path = format!("{SEAL_KEY} is damaged: restore it, or remove it for another one");
            io::Error::other(path)
        };
        let secret =
            SecretKeyBox::from_string(text).and_then(SecretKeyBox::into_unencrypted_secret_key);
        let secret = secret.map_err(damaged)?;
        let public = PublicKey::from_secret_key(&secret).map_err(damaged)?;
        Ok(Self { secret, public })
    }

    /// The public key as those who take in write it: 56 letters and digits.
    pub fn public(&self) -> String {
        self.public.to_base64()
    }

    /// The name of the station's folder.
    pub(super) fn folder(&self) -> String {
        component('S', &self.public())
    }

    pub(super) fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// True if `text` is a public key of minisign.
pub fn is_public_key(text: &str) -> bool {
    PublicKey::from_base64(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_for_their_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = SealKey::made_in(folder.path()).unwrap();
        let path = folder.path().join(SEAL_KEY);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(is_public_key(&made.public()), "{}", made.public());
        let again = SealKey::made_in(folder.path()).unwrap();
        assert_eq!(again.public(), made.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let other = tempfile::tempdir().unwrap();
        let other = SealKey::made_in(other.path()).unwrap();
        assert_ne!(other.public(), made.public());
        assert_ne!(other.folder(), made.folder());
        let text = fs::read_to_string(&path).unwrap();
        for length in [0, 10, text.len() - 20] {
            fs::write(&path, &text[..length]).unwrap();
            assert!(SealKey::made_in(folder.path()).is_err(), "{length}");
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in [
            "",
            "RWQ",
            &"A".repeat(55),
            &"\u{e9}".repeat(28),
            &"=".repeat(56),
        ] {
            assert!(!is_public_key(text), "{text}");
        }
    }
}
