//! Debian's docker-registry, on loopback and in a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wasmbed_api::Digest;
use wasmbed_registry::{Registry, RegistryOptions};

/// `wasmbed` with the password `s3cret`.
const USERS: &str = "wasmbed:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";
/// The same as a docker configuration has it.
pub const AUTH: &str = "d2FzbWJlZDpzM2NyZXQ=";

/// Ends when it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
    /// The certificate of the authority that knows it, if it speaks TLS.
    pub ca: Option<PathBuf>,
    pub folder: tempfile::TempDir,
}

impl Server {
    pub fn start(asks: bool) -> Self {
        Self::start_with(asks, false)
    }

    /// One that speaks TLS, with a certificate of an authority of its own.
    pub fn start_with_tls(asks: bool) -> Self {
        Self::start_with(asks, true)
    }

    fn start_with(asks: bool, tls: bool) -> Self {
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
        let ca = tls.then(|| certificates(folder.path()));
        if tls {
            let file = |name: &str| folder.path().join(name).display().to_string();
            let http = format!(
                "http: {{addr: '127.0.0.1:0', tls: {{certificate: {}, key: {}}},",
                file("server.crt"),
                file("server.key")
            );
            config = config.replace("http: {addr: '127.0.0.1:0',", &http);
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
        Self { child, address, ca, folder }
    }

    pub fn registry(&self, credentials: Option<&Path>) -> Registry {
        let repository = format!("{}/fleet/modules", self.address);
        let credentials = credentials.map(Path::to_owned);
        Registry::new(RegistryOptions { repository, ca: self.ca.clone(), credentials, max_module: 4 << 20 }).unwrap()
    }

    fn blobs(&self) -> PathBuf {
        self.folder.path().join("data/docker/registry/v2/blobs/sha256")
    }

    /// Where the registry keeps the bytes of a digest.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.blobs().join(&hex[..2]).join(&hex).join("data")
    }

    /// How many things of more than a megabyte the registry keeps.
    pub fn large_blobs(&self) -> usize {
        let prefixes = std::fs::read_dir(self.blobs()).unwrap().flatten();
        let blobs = prefixes.flat_map(|prefix| std::fs::read_dir(prefix.path()).unwrap().flatten());
        blobs.filter(|blob| blob.path().join("data").metadata().is_ok_and(|data| data.len() > 1_000_000)).count()
    }
}

/// Writes the server's certificate and key; gives the file of the authority that signed it.
fn certificates(folder: &Path) -> PathBuf {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a company's own CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = folder.join("ca.crt");
    std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("server.crt"), server.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    file
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
