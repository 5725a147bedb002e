//! Against Debian's docker-registry, on loopback and in a folder of its own.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use wasmbed_api::Digest;
use wasmbed_registry::{Registry, RegistryOptions};

/// `wasmbed` with the password `s3cret`.
const USERS: &str = "wasmbed:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";
/// The same as a docker configuration has it.
const AUTH: &str = "d2FzbWJlZDpzM2NyZXQ=";

/// Ends when it is dropped.
struct Server {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(asks: bool) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, USERS).unwrap();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0', secret: none}}\n",
            folder.path().join("data").display()
        );
        if asks {
            config.push_str(&format!("auth: {{htpasswd: {{realm: fleet, path: {}}}}}\n", users.display()));
        }
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts; ./setup.sh installs it");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = |line: String| Some(line.split_once("listening on ")?.1.split(['"', ' ', ',']).next()?.to_owned());
        let address = lines.by_ref().map_while(Result::ok).find_map(said).expect("it says where it listens");
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, folder }
    }

    fn registry(&self, credentials: Option<&Path>) -> Registry {
        let repository = format!("{}/fleet/modules", self.address);
        let credentials = credentials.map(Path::to_owned);
        Registry::new(RegistryOptions { repository, credentials, max_module: 4 << 20 }).unwrap()
    }

    /// Where the registry keeps the bytes of a digest.
    fn blob(&self, digest: &Digest) -> std::path::PathBuf {
        let hex = digest.to_string();
        self.folder.path().join("data/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(&hex).join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two megabytes that no ConfigMap holds.
fn module() -> (Digest, Bytes) {
    let bytes: Vec<u8> = (0..2_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    (Digest::of(&bytes), bytes.into())
}

#[tokio::test]
async fn a_module_is_pushed_and_fetched_by_its_digest_and_pushing_again_changes_nothing() {
    let server = Server::start(false);
    let registry = server.registry(None);
    let (digest, bytes) = module();
    let error = registry.pull(&digest).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("module {digest} cannot be fetched from {}/fleet/modules", server.address)),
        "{error}"
    );
    registry.push(&digest, bytes.clone()).await.unwrap();
    registry.push(&digest, bytes.clone()).await.unwrap();
    assert_eq!(registry.pull(&digest).await.unwrap(), bytes);

    // As any other tool sees it.
    let tag = format!("{}/fleet/modules:sha256-{digest}", server.address).parse().unwrap();
    let config =
        oci_client::client::ClientConfig { protocol: oci_client::client::ClientProtocol::Http, ..Default::default() };
    let client = oci_client::Client::new(config);
    let anonymous = oci_client::secrets::RegistryAuth::Anonymous;
    let (manifest, _, config) = client.pull_manifest_and_config(&tag, &anonymous).await.unwrap();
    assert_eq!(manifest.config.media_type, "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest.layers.len(), 1);
    assert_eq!(manifest.layers[0].media_type, "application/wasm");
    assert_eq!(manifest.layers[0].digest, format!("sha256:{digest}"));
    assert!(config.contains(r#""architecture":"wasm""#), "{config}");
}

#[tokio::test]
async fn a_registry_that_lies_or_is_too_generous_is_not_believed() {
    let server = Server::start(false);
    let registry = server.registry(None);
    let (digest, bytes) = module();
    let other = Digest::of(b"other");
    assert!(registry.push(&other, bytes.clone()).await.unwrap_err().to_string().contains("other bytes"));
    let large = Bytes::from(vec![0; (4 << 20) + 1]);
    let error = registry.push(&Digest::of(&large), large).await.unwrap_err().to_string();
    assert_eq!(error, "the module has 4194305 bytes and may have 4194304");

    registry.push(&digest, bytes.clone()).await.unwrap();
    let mut changed = bytes.to_vec();
    changed[7] ^= 1;
    std::fs::write(server.blob(&digest), &changed).unwrap();
    registry.pull(&digest).await.expect_err("other bytes");
    std::fs::write(server.blob(&digest), vec![0; 5 << 20]).unwrap();
    let error = registry.pull(&digest).await.unwrap_err().to_string();
    assert!(error.contains("more than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn credentials_come_from_a_docker_configuration_and_are_read_anew() {
    let server = Server::start(true);
    let file = server.folder.path().join("config.json");
    let registry = server.registry(Some(&file));
    let (digest, bytes) = module();
    let error = registry.push(&digest, bytes.clone()).await.unwrap_err().to_string();
    assert!(error.contains("config.json cannot be read"), "{error}");
    std::fs::write(&file, r#"{"auths": {}}"#).unwrap();
    registry.push(&digest, bytes.clone()).await.expect_err("it asks for a password");
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{AUTH}"}}}}}}"#, server.address);
    std::fs::write(&file, config).unwrap();
    registry.push(&digest, bytes.clone()).await.unwrap();
    assert_eq!(registry.pull(&digest).await.unwrap(), bytes);
    server.registry(None).pull(&digest).await.expect_err("anonymous");
}
