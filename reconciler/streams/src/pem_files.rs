//! Certificates and keys as PEM files: read anew when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::StreamError;

/// The certificate chain in a folder, as a Secret of type `kubernetes.io/tls` is mounted.
const CHAIN: &str = "tls.crt";
/// The private key beside it.
const KEY: &str = "tls.key";

/// HTTP/2, as ALPN names it.
pub(crate) const ALPN: &[u8] = b"h2";

/// The files of a certificate and its key in `folder`.
pub(crate) fn files(folder: &Path) -> [PathBuf; 2] {
    [folder.join(CHAIN), folder.join(KEY)]
}

/// The certificate chain and the private key in `folder`.
pub(crate) fn certificate(
    folder: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), StreamError> {
    let [chain, key] = files(folder);
    let certificates = certificates(&chain)?;
    let bytes = read(&key)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| unusable(&key, &error))?;
    Ok((certificates, key))
}

/// The CA certificates in `path`.
pub(crate) fn roots(path: &Path) -> Result<Arc<RootCertStore>, StreamError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(Arc::new(roots))
}

/// A bearer token.
pub(crate) fn token(path: &Path) -> Result<String, StreamError> {
    let text = String::from_utf8(read(path)?).map_err(|error| unusable(path, &error))?;
    match text.trim() {
        "" => Err(unusable(path, &"it is empty")),
        token => Ok(token.to_owned()),
    }
}

/// The provider of cryptography, whether or not the process has a default one.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StreamError> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(path, &"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StreamError> {
    std::fs::read(path).map_err(|error| unusable(path, &error))
}

/// An error that names the file.
pub(crate) fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> StreamError {
    StreamError::File { path: path.to_owned(), reason: reason.to_string() }
}
