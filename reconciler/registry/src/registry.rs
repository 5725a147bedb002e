//! One repository of a registry.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::{Client, Reference, RegistryOperation};
use serde_json::json;
use sha2::Digest as _;
use wasmbed_api::Digest;

use crate::bounded::Bounded;
use crate::{MAX_MODULE, ca, credentials};

/// What the configuration of the artifact is, by the Wasm OCI artifact layout.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// What its layer is.
const LAYER: &str = "application/wasm";
/// What describes both.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// How long a connection may take to come about, and how long it may bring nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where large modules lie.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// `HOST[:PORT]/REPOSITORY`, without tag or digest. Over HTTPS, except on a loopback address without [`ca`](Self::ca).
    pub repository: String,
    /// CA certificates (PEM) by which the registry may be known besides the machine's own, read anew each time.
    pub ca: Option<PathBuf>,
    /// A docker configuration with credentials, read anew each time; anonymous without one.
    pub credentials: Option<PathBuf>,
    /// The most bytes a module may have; no more than [`MAX_MODULE`].
    pub max_module: u64,
}

/// Why a module cannot be stored or had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// The options make no sense.
    #[error("--registry {repository:?} is no HOST/REPOSITORY: {why}")]
    Repository {
        /// What was given.
        repository: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credentials cannot be had.
    #[error("the credentials of the registry: {0}")]
    Credentials(String),
    /// The CA certificates cannot be had.
    #[error("the CA certificates of the registry: {0}")]
    Ca(String),
    /// A module is larger than one may be.
    #[error("the module has {size} bytes and may have {most}")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// As many as it may have.
        most: u64,
    },
    /// The registry, or the way to it, said no.
    #[error("module {digest} cannot be {what} {repository}: {why}")]
    Refused {
        /// The module.
        digest: Digest,
        /// `pushed to` or `fetched from`.
        what: &'static str,
        /// The repository.
        repository: String,
        /// What was said.
        why: String,
    },
    /// The registry has other bytes than it was asked for.
    #[error("{repository} gives other bytes for module {digest} than its name says")]
    OtherBytes {
        /// The module.
        digest: Digest,
        /// The repository.
        repository: String,
    },
}

/// One repository of a registry; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reference: Reference,
    options: RegistryOptions,
}

impl Registry {
    /// The repository that the options name; nothing is asked yet.
    ///
    /// # Errors
    /// When they name none.
    pub fn new(options: RegistryOptions) -> Result<Self, RegistryError> {
        let repository = || options.repository.clone();
        let wrong = |why: String| RegistryError::Repository { repository: repository(), why };
        // Without a host, the parser would go to Docker's own registry.
        let host = options.repository.split_once('/').map(|(host, _)| host);
        if !host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost") {
            return Err(wrong("name the host, as in registry.example.org/team/modules".to_owned()));
        }
        let reference: Reference = options.repository.parse().map_err(|error| wrong(format!("{error}")))?;
        if reference.digest().is_some() || options.repository.rsplit('/').next().is_some_and(|last| last.contains(':'))
        {
            return Err(wrong("leave tag and digest out".to_owned()));
        }
        Ok(Self(Arc::new(Inner { reference, options })))
    }

    /// The most bytes a module may have here.
    #[must_use]
    pub fn max_module(&self) -> u64 {
        self.0.options.max_module.min(MAX_MODULE)
    }

    /// Stores a module. Doing it again changes nothing.
    ///
    /// # Errors
    /// When it is too large, or the registry does not take it.
    pub async fn push(&self, digest: &Digest, module: Bytes) -> Result<(), RegistryError> {
        self.fits(module.len() as u64)?;
        if Digest::of(&module) != *digest {
            return Err(self.other_bytes(digest));
        }
        let refused = |error: oci_client::errors::OciDistributionError| self.refused(digest, "pushed to", &error);
        let client = self.client(digest, RegistryOperation::Push).await?;
        let name = |bytes: &[u8]| format!("sha256:{}", hex(&sha2::Sha256::digest(bytes)));
        let layer = format!("sha256:{digest}");
        let size = module.len();
        let reference = &self.0.reference;
        if !client.blob_exists(reference, &layer).await.map_err(refused)? {
            client.push_blob(reference, module, &layer).await.map_err(refused)?;
        }
        // Nothing of the moment or the machine, so that the same module is the same artifact.
        let config = json!({ "architecture": "wasm", "os": "wasip1", "layerDigests": [layer] }).to_string();
        let config_name = name(config.as_bytes());
        client.push_blob(reference, config.clone().into_bytes(), &config_name).await.map_err(refused)?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": config_name, "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer, "size": size }],
        });
        let tagged = Reference::with_tag(
            reference.registry().to_owned(),
            reference.repository().to_owned(),
            format!("sha256-{digest}"),
        );
        let body = manifest.to_string().into_bytes();
        client.push_manifest_raw(&tagged, body, HeaderValue::from_static(MANIFEST)).await.map_err(refused)?;
        Ok(())
    }

    /// The bytes of a module.
    ///
    /// # Errors
    /// When the registry does not have it, or what it has is larger than a module may be, or something else.
    pub async fn pull(&self, digest: &Digest) -> Result<Bytes, RegistryError> {
        let client = self.client(digest, RegistryOperation::Pull).await?;
        let mut bytes = Bounded::new(usize::try_from(self.max_module()).unwrap_or(usize::MAX));
        let layer = format!("sha256:{digest}");
        client
            .pull_blob(&self.0.reference, layer.as_str(), &mut bytes)
            .await
            .map_err(|error| self.refused(digest, "fetched from", &error))?;
        let bytes = bytes.into_bytes();
        // The client looks at this, too; it is not left to it.
        if Digest::of(&bytes) != *digest { Err(self.other_bytes(digest)) } else { Ok(bytes.into()) }
    }

    async fn client(&self, digest: &Digest, operation: RegistryOperation) -> Result<Client, RegistryError> {
        let reference = &self.0.reference;
        let registry = reference.registry();
        let auth = credentials::of(self.0.options.credentials.as_deref(), registry)
            .await
            .map_err(RegistryError::Credentials)?;
        let ca = self.0.options.ca.as_deref();
        let protocol = match is_loopback(registry) && ca.is_none() {
            true => ClientProtocol::HttpsExcept(vec![registry.to_owned()]),
            false => ClientProtocol::Https,
        };
        let extra_root_certificates = match ca {
            Some(file) => ca::certificates(file).await.map_err(RegistryError::Ca)?,
            None => Vec::new(),
        };
        let config = ClientConfig {
            protocol,
            extra_root_certificates,
            read_timeout: Some(PATIENCE),
            connect_timeout: Some(PATIENCE),
            user_agent: "wasmbed",
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| self.refused(digest, "looked for in", &error))?;
        client
            .auth(reference, &auth, operation)
            .await
            .map_err(|error| self.refused(digest, "looked for in", &error))?;
        Ok(client)
    }

    fn fits(&self, size: u64) -> Result<(), RegistryError> {
        let most = self.max_module();
        if size > most { Err(RegistryError::TooLarge { size, most }) } else { Ok(()) }
    }

    fn refused(&self, digest: &Digest, what: &'static str, error: &dyn std::error::Error) -> RegistryError {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        RegistryError::Refused { digest: *digest, what, repository: self.0.options.repository.clone(), why }
    }

    fn other_bytes(&self, digest: &Digest) -> RegistryError {
        RegistryError::OtherBytes { digest: *digest, repository: self.0.options.repository.clone() }
    }
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(repository: &str) -> Result<Registry, RegistryError> {
        Registry::new(RegistryOptions {
            repository: repository.to_owned(),
            ca: None,
            credentials: None,
            max_module: u64::MAX,
        })
    }

    #[test]
    fn a_repository_has_a_host_and_neither_tag_nor_digest() {
        for good in ["registry.example.org/team/modules", "localhost/m", "127.0.0.1:5000/m"] {
            assert!(at(good).is_ok(), "{good}: {:?}", at(good));
        }
        for bad in ["", "modules", "team/modules", "registry.example.org", "r.example/M m", "r.example/m:v1"] {
            let error = at(bad).expect_err(bad).to_string();
            assert!(error.starts_with(&format!("--registry {bad:?} is no HOST/REPOSITORY")), "{error}");
        }
        assert_eq!(at("localhost/m").expect("good").max_module(), MAX_MODULE);
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        assert!(["localhost:1", "localhost", "127.0.0.1:5000", "[::1]:5000"].into_iter().all(is_loopback));
        assert!(!["localhost.example", "registry.example.org:5000", "10.0.0.1:5000"].into_iter().any(is_loopback));
    }
}
