//! The certificates of authorities that a person names.

use std::path::Path;

use oci_client::client::{Certificate, CertificateEncoding};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// All certificates of a file in PEM.
///
/// # Errors
/// When it cannot be read, or has none: a text that names the file.
pub(crate) async fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let named = |why: String| format!("{}: {why}", file.display());
    let bytes = tokio::fs::read(file).await.map_err(|error| named(error.to_string()))?;
    let read = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let certificates = read.map_err(|error| named(format!("no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(named("there is no certificate (PEM) in it".to_owned()));
    }
    let certificate = |der: CertificateDer<'_>| Certificate { encoding: CertificateEncoding::Der, data: der.to_vec() };
    Ok(certificates.into_iter().map(certificate).collect())
}
