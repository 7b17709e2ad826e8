//! TLS with certificates of both sides, from PEM files. Each side shows a certificate, and speaks
//! only to those whose certificate one of its authorities has signed.

use std::format;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What a side needs for TLS with certificates of both sides, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// This side's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// This side's private key.
    pub key: PathBuf,
    /// The authorities whose certificates the other side must have.
    pub authorities: PathBuf,
}

/// An error of setting up TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing or has no certificate or key.
    #[error("{} holds no usable {what} ({why}): give a PEM file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The files do not go together.
    #[error(
        "{} cannot be used ({why}): see that it and the key belong together", certificate.display()
    )]
    Setup {
        /// The file of this side's certificate.
        certificate: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Tls {
    /// Reads the files for a side that is connected to.
    ///
    /// # Errors
    /// If a file is unusable, or they do not go together.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
                .build()
                .map_err(|error| self.setup(&error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.setup(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.certificate)?, private_key(&self.key)?)
            .map_err(|error| self.setup(&error))?;
        Ok(Arc::new(config))
    }

    /// Reads the files for a side that connects.
    ///
    /// # Errors
    /// If a file is unusable, or they do not go together.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.setup(&error))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(certificates(&self.certificate)?, private_key(&self.key)?)
            .map_err(|error| self.setup(&error))?;
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| TlsError::File {
                path: self.authorities.clone(),
                what: "certificate",
                why: error.to_string(),
            })?;
        }
        Ok(roots)
    }

    fn setup(&self, error: &dyn std::error::Error) -> TlsError {
        TlsError::Setup {
            certificate: self.certificate.clone(),
            why: error.to_string(),
        }
    }
}

/// The cryptography of all connections. Named here: with another provider in the tree the default one would
/// be ambiguous.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_path_buf(),
        what: "private key",
        why: error.to_string(),
    })
}

/// Reads the certificates of a PEM file.
///
/// # Errors
/// If it holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |why: String| TlsError::File {
        path: path.to_path_buf(),
        what: "certificate",
        why,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| failed(format!("{error}")))?;
    match certificates.is_empty() {
        true => Err(failed("it is empty".into())),
        false => Ok(certificates),
    }
}
