//! The HTTPS port: who is let in, and what kubeconfigs hold.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use contract::Door;
use contract::door::PATIENCE;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use support::Plane;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmbed_control_plane::{ServeError, Served};

async fn serve(plane: &Plane) -> Served {
    let address = "127.0.0.1:0".parse().unwrap();
    plane.control_plane.serve(address).await.unwrap()
}

async fn client(served: &Served) -> kube::Client {
    let kubeconfig: Kubeconfig = serde_yaml::from_str(&served.kubeconfig("test").unwrap()).unwrap();
    let config = config(kubeconfig).await;
    assert_eq!(config.default_namespace, "test");
    kube::Client::try_from(config).unwrap()
}

async fn config(kubeconfig: Kubeconfig) -> kube::Config {
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()
}

#[tokio::test]
async fn the_contract_holds_over_https_too() {
    let plane = Plane::open().await;
    let served = serve(&plane).await;
    let client = client(&served).await;
    let made = |namespace: &str| Door::new(client.clone(), namespace);
    for namespace in ["one", "two", "three"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        made("default").post("/api/v1/namespaces", &object).await.ok();
    }
    contract::objects::status_is_changed_only_through_its_own_door(made("one")).await;
    contract::watches::a_watch_goes_on_where_a_list_ended(made("two")).await;
    contract::apply::force_takes_the_field_over(made("three")).await;
    contract::answers::a_body_that_is_too_large_is_refused(made("three")).await;
}

/// Sends a plain request over TLS with or without a certificate and gives the answer's text.
async fn raw(served: &Served, config: rustls::ClientConfig, request: &str) -> std::io::Result<String> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = tokio::net::TcpStream::connect(served.address()).await?;
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut out = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut out)).await.unwrap()?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn trusting(served: &Served) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls_pki_types::CertificateDer::from_pem_slice(served.ca_pem().as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

const GET: &str = "GET /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn who_shows_no_certificate_is_unauthorized() {
    let plane = Plane::open().await;
    let served = serve(&plane).await;
    let answer = raw(&served, trusting(&served).with_no_client_auth(), GET).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("\"reason\":\"Unauthorized\""), "{answer}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_turned_away() {
    let plane = Plane::open().await;
    let served = serve(&plane).await;
    let other = Plane::open().await;
    let foreign = serve(&other).await;
    let mut kubeconfig: Kubeconfig = serde_yaml::from_str(&foreign.kubeconfig("test").unwrap()).unwrap();
    let right: Kubeconfig = serde_yaml::from_str(&served.kubeconfig("test").unwrap()).unwrap();
    kubeconfig.clusters = right.clusters;
    let client = kube::Client::try_from(config(kubeconfig).await).unwrap();
    assert!(client.apiserver_version().await.is_err());
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let plane = Plane::open().await;
    let served = serve(&plane).await;
    let mut stream = tokio::net::TcpStream::connect(served.address()).await.unwrap();
    stream.write_all(&[0xff; 4096]).await.unwrap();
    let client = client(&served).await;
    client.apiserver_version().await.unwrap();
}

/// A free port below those that the kernel draws from and may give to anybody; where the search begins differs from
/// process to process.
fn port_of_our_own() -> SocketAddr {
    let first = std::process::id() % 20_000;
    let ports = (0..20_000).map(|step| 10_000 + u16::try_from((first + step) % 20_000).unwrap());
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).expect("one of them is free")
}

#[tokio::test]
async fn a_kubeconfig_is_its_owners_alone_and_works_after_a_restart() {
    let plane = Plane::open().await;
    let served = plane.control_plane.serve(port_of_our_own()).await.unwrap();
    let path = plane.folder.path().join("kubeconfig");
    std::fs::write(&path, "an older one that all can read").unwrap();
    served.write_kubeconfig(&path, "test").unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let data = plane.folder.path().join(wasmbed_control_plane::DATA_FILE);
    assert_eq!(std::fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o600);
    let address = served.address();
    let plane = plane.reopened().await;
    // The port is free again as soon as the old server has ended.
    let again = async {
        loop {
            match plane.control_plane.serve(address).await {
                Err(ServeError::Listen { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                served => break served.unwrap(),
            }
        }
    };
    let served = tokio::time::timeout(PATIENCE, again).await.expect("the port is free again");
    assert_eq!(served.address(), address);
    let kubeconfig = Kubeconfig::read_from(&path).unwrap();
    let client = kube::Client::try_from(config(kubeconfig).await).unwrap();
    client.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn an_address_of_the_network_is_refused() {
    let plane = Plane::open().await;
    let address = "0.0.0.0:0".parse().unwrap();
    let error = plane.control_plane.serve(address).await.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback(_)), "{error}");
}
