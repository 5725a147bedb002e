//! Against Debian's docker-registry, on loopback and in a folder of its own.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

mod server;

use bytes::Bytes;
use wasmbed_api::Digest;

use server::{AUTH, Server};

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
async fn a_registry_with_a_certificate_of_an_own_ca_is_known_by_that_alone() {
    let server = Server::start_with_tls(false);
    let (digest, bytes) = module();
    let registry = server.registry(None);
    registry.push(&digest, bytes.clone()).await.unwrap();
    assert_eq!(registry.pull(&digest).await.unwrap(), bytes);

    let another = Server::start_with_tls(false);
    std::fs::copy(another.ca.as_ref().unwrap(), server.ca.as_ref().unwrap()).unwrap();
    let error = registry.pull(&digest).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    for (content, why) in [("", "there is no certificate (PEM) in it"), ("-----BEGIN CERTIFICATE-----\n%", "no PEM")] {
        std::fs::write(server.ca.as_ref().unwrap(), content).unwrap();
        let error = registry.pull(&digest).await.unwrap_err().to_string();
        assert!(error.contains("ca.crt: ") && error.contains(why), "{error}");
    }
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
