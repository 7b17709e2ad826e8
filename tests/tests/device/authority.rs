//! Certificates, made anew for each test.

use std::fs;
use std::path::{Path, PathBuf};

use plumbline_shared::tls::Tls;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Who signs certificates.
pub struct Authority {
    folder: PathBuf,
    certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// An authority of this name, whose files lie in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = folder.join(name).with_extension("crt");
        fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            folder: folder.to_path_buf(),
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for one who is called `names`, and who trusts this authority.
    pub fn sign(&self, file: &str, names: &[&str]) -> Tls {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |extension| self.folder.join(file).with_extension(extension);
        fs::write(path("crt"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        Tls {
            certificate: path("crt"),
            key: path("key"),
            authorities: self.certificate.clone(),
        }
    }
}
