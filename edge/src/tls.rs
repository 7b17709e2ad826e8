//! TLS with certificates of both sides, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Tls;

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
        "the certificates of [dicom] cannot be used ({0}): see that key and certificate belong together"
    )]
    Setup(String),
}

/// Reads the files of `tls` for a server whose clients must show a certificate.
///
/// # Errors
/// If a file is unusable, or they do not go together.
pub fn server(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| TlsError::File {
        path: tls.key.clone(),
        what: "private key",
        why: error.to_string(),
    })?;
    let mut authorities = RootCertStore::empty();
    for certificate in self::certificates(&tls.authorities)? {
        authorities
            .add(certificate)
            .map_err(|error| TlsError::File {
                path: tls.authorities.clone(),
                what: "certificate",
                why: error.to_string(),
            })?;
    }
    // Named here: with another provider in the tree the default one would be ambiguous.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = Arc::new(authorities);
    let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider.clone());
    let verifier = verifier
        .build()
        .map_err(|error| TlsError::Setup(error.to_string()))?;
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(setup)?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |why: String| TlsError::File {
        path: path.to_path_buf(),
        what: "certificate",
        why,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| failed(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(failed("it is empty".into())),
        false => Ok(certificates),
    }
}
