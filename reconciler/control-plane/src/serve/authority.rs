//! The certificate authority of one data folder.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{ServeError, secret_file};

const CA_YEARS: i32 = 20;
const SERVER_YEARS: i32 = 10;
const CLIENT_YEARS: i32 = 1;

/// The authority, its certificate and the server's key.
#[derive(Debug)]
pub(super) struct Authority {
    key: String,
    certificate: String,
    server_key: String,
    folder: PathBuf,
}

impl Authority {
    /// Reads the authority of a folder, or makes one.
    pub(super) fn open(folder: &Path) -> Result<Self, ServeError> {
        let failed = |path: &Path, why: &dyn std::fmt::Display| ServeError::Keys {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let read = |name: &str| -> Result<Option<String>, ServeError> {
            let path = folder.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(&path, &error)),
            }
        };
        let write = |name: &str, content: &str| {
            let path = folder.join(name);
            secret_file::write(&path, content).map_err(|error| failed(&path, &error))
        };
        let key = match read("ca.key")? {
            Some(key) => key,
            None => {
                let key = new_key()?.serialize_pem();
                write("ca.key", &key)?;
                key
            }
        };
        let certificate = match read("ca.crt")? {
            Some(certificate) => certificate,
            None => {
                let pair = pair(&folder.join("ca.key"), &key)?;
                let certificate = ca_params()?.self_signed(&pair).map_err(tls_error)?.pem();
                write("ca.crt", &certificate)?;
                certificate
            }
        };
        let server_key = match read("server.key")? {
            Some(key) => key,
            None => {
                let key = new_key()?.serialize_pem();
                write("server.key", &key)?;
                key
            }
        };
        let authority = Self { key, certificate, server_key, folder: folder.to_owned() };
        authority.check()?;
        Ok(authority)
    }

    /// The authority's certificate, as PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn certificate_der(&self) -> Result<CertificateDer<'static>, ServeError> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| self.broken("ca.crt", &format!("it is no certificate ({error:?})")))
    }

    /// A certificate chain and the key for the port.
    pub(super) fn server(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ServeError> {
        let pair = pair(&self.folder.join("server.key"), &self.server_key)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names.to_vec()).map_err(tls_error)?;
        describe(&mut params, "wasmbed-api", SERVER_YEARS)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&pair, &self.issuer()?).map_err(tls_error)?;
        let key = PrivatePkcs8KeyDer::from(pair.serialize_der());
        Ok((vec![certificate.der().clone(), self.certificate_der()?], key.into()))
    }

    /// A new client credential: certificate and key, as PEM.
    pub(super) fn client(&self, name: &str) -> Result<(String, String), ServeError> {
        let pair = new_key()?;
        let mut params = CertificateParams::default();
        describe(&mut params, name, CLIENT_YEARS)?;
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&pair, &self.issuer()?).map_err(tls_error)?;
        Ok((certificate.pem(), pair.serialize_pem()))
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, ServeError> {
        let pair = pair(&self.folder.join("ca.key"), &self.key)?;
        Ok(Issuer::new(ca_params()?, pair))
    }

    /// The certificate must be the key's.
    fn check(&self) -> Result<(), ServeError> {
        let pair = pair(&self.folder.join("ca.key"), &self.key)?;
        let certificate = self.certificate_der()?;
        let public = pair.public_key_raw();
        if certificate.windows(public.len()).any(|window| window == public) {
            Ok(())
        } else {
            Err(self.broken("ca.crt", "it is not the certificate of ca.key"))
        }
    }

    fn broken(&self, name: &str, why: &str) -> ServeError {
        ServeError::Keys { path: self.folder.join(name).display().to_string(), why: why.to_owned() }
    }
}

fn new_key() -> Result<KeyPair, ServeError> {
    KeyPair::generate().map_err(tls_error)
}

fn pair(path: &Path, pem: &str) -> Result<KeyPair, ServeError> {
    KeyPair::from_pem(pem).map_err(|error| ServeError::Keys {
        path: path.display().to_string(),
        why: format!("it is no private key ({error})"),
    })
}

fn ca_params() -> Result<CertificateParams, ServeError> {
    let mut params = CertificateParams::default();
    describe(&mut params, "wasmbed-api-ca", CA_YEARS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn describe(params: &mut CertificateParams, name: &str, years: i32) -> Result<(), ServeError> {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    params.distinguished_name = distinguished;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // From yesterday on, for clocks that differ; never on a 29th of February, which not every year has.
    let from = today.yesterday().map_err(|error| ServeError::Tls(error.to_string()))?;
    let month = from.month().unsigned_abs();
    let day = from.day().unsigned_abs().min(28);
    params.not_before = rcgen::date_time_ymd(i32::from(from.year()), month, day);
    params.not_after = rcgen::date_time_ymd(i32::from(from.year()) + years, month, day);
    Ok(())
}

fn tls_error(error: rcgen::Error) -> ServeError {
    ServeError::Tls(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_authority_is_kept_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path()).unwrap();
        let second = Authority::open(folder.path()).unwrap();
        assert_eq!(first.certificate(), second.certificate());
        for name in ["ca.key", "ca.crt", "server.key"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_damaged_key_or_a_foreign_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        Authority::open(other.path()).unwrap();
        fs::copy(other.path().join("ca.crt"), folder.path().join("ca.crt")).unwrap();
        let error = Authority::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("ca.crt: it is not the certificate of ca.key"), "{error}");
        fs::write(folder.path().join("ca.key"), "garbage").unwrap();
        let error = Authority::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("ca.key: it is no private key"), "{error}");
    }
}
