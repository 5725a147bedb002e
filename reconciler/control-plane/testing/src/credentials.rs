//! The keys of an API server, and the kubeconfigs that know them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;

/// The administrator's token. It lets in on loopback, for the life of one test.
pub(crate) const ADMIN_TOKEN: &str = "the-administrator-of-a-test";

/// Writes `ca.crt`, `server.crt`, `server.key`, `service-accounts.key`, `service-accounts.pub` and `tokens.csv`; gives the authority's certificate.
pub(crate) fn write(folder: &Path) -> std::io::Result<String> {
    let (ca, server, server_key) = certificates().map_err(std::io::Error::other)?;
    let service_accounts = KeyPair::generate().map_err(std::io::Error::other)?;
    for (name, content) in [
        ("ca.crt", ca.as_str()),
        ("server.crt", server.as_str()),
        ("server.key", server_key.as_str()),
        ("service-accounts.key", &service_accounts.serialize_pem()),
        ("service-accounts.pub", &service_accounts.public_key_pem()),
        ("tokens.csv", &format!("{ADMIN_TOKEN},admin,1,\"system:masters\"\n")),
    ] {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(ca)
}

fn certificates() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "wasmbed-tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let server = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned).to_vec())?;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?.pem();
    Ok((ca, certificate, key.serialize_pem()))
}

/// A kubeconfig for who has the token.
pub(crate) fn kubeconfig(server: &str, ca: &str, token: &str, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": STANDARD.encode(ca)}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    });
    serde_yaml::to_string(&config).expect("maps of text are YAML")
}
