//! How a server shows who it is: a certificate in files that are read anew when they change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;

use crate::StreamError;
use crate::pem_files::{self, ALPN, unusable};

/// The TLS configuration made of a folder with `tls.crt` and `tls.key`, and perhaps the CA of client certificates.
#[derive(Debug)]
pub(crate) struct ServerTls {
    folder: PathBuf,
    client_ca: Option<PathBuf>,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// The files as they were last looked at, whether or not they could be used.
    stamp: Stamp,
}

/// Tells one state of the files from another; `None` for one that is not there.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl ServerTls {
    /// Reads the files.
    pub(crate) fn new(folder: &Path, client_ca: Option<&PathBuf>) -> Result<Self, StreamError> {
        let stamp = stamp(folder, client_ca);
        let config = load(folder, client_ca)?;
        Ok(Self {
            folder: folder.to_owned(),
            client_ca: client_ca.cloned(),
            loaded: Mutex::new(Loaded { config, stamp }),
        })
    }

    /// The configuration for the next connection. Files that changed and cannot be used leave the last ones in use: a
    /// certificate and its key do not change at the same moment.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.folder, self.client_ca.as_ref());
        if stamp != loaded.stamp {
            loaded.stamp = stamp;
            match load(&self.folder, self.client_ca.as_ref()) {
                Ok(config) => {
                    tracing::info!(folder = %self.folder.display(), "another certificate is shown from now on");
                    loaded.config = config;
                }
                Err(error) => tracing::warn!(%error, "the files changed and cannot be used; the last ones are"),
            }
        }
        Arc::clone(&loaded.config)
    }
}

fn stamp(folder: &Path, client_ca: Option<&PathBuf>) -> Stamp {
    let files = pem_files::files(folder);
    let look = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
    };
    files.iter().chain(client_ca).map(look).collect()
}

fn load(folder: &Path, client_ca: Option<&PathBuf>) -> Result<Arc<ServerConfig>, StreamError> {
    let (chain, key) = pem_files::certificate(folder)?;
    let provider = pem_files::provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(folder, &error))?;
    let builder = match client_ca {
        // A caller without a certificate is told so in words (401) instead of by an alert.
        Some(ca) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(pem_files::roots(ca)?, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable(ca, &error))?,
        ),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(folder, &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Who calls shows it each time.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
