//! Health over HTTP, as the kubelet and Prometheus ask for it.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmbed_health::{Health, serve};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn a_component_is_ready_once_every_required_condition_holds() {
    let health = Health::default();
    let server = serve(ANY, health.clone()).await.unwrap();
    assert_eq!(get(server.address(), "/readyz").await.0, 503, "it has not begun");
    let (listed, signer) = (health.requires("devices"), health.tells("signer"));
    assert_eq!(get(server.address(), "/healthz").await.0, 200);
    let (status, text) = get(server.address(), "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("[-] devices: not known yet\n") && text.contains("[!] signer: not known yet\n"), "{text}");
    listed.holds("7 are declared");
    signer.fails("nobody\nanswers");
    let (status, text) = get(server.address(), "/readyz").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("[+] devices: 7 are declared\n[!] signer: nobody answers\n"), "{text}");
    listed.fails("the gateway drains");
    assert_eq!(get(server.address(), "/readyz").await.0, 503);
}

#[tokio::test]
async fn metrics_have_the_names_that_prometheus_expects() {
    let health = Health::default();
    let closed = Family::<[(&str, &str); 1], Counter>::default();
    health.register(|registry| registry.register("wasmbed_closed", "Connections", closed.clone()));
    closed.get_or_create(&[("reason", "left")]).inc();
    let server = serve(ANY, health).await.unwrap();
    let (status, text) = get(server.address(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(text.contains("wasmbed_closed_total{reason=\"left\"} 1\n"), "{text}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("wasmbed_build_info{{version=\"{version}\"}} 1\n")), "{text}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_said() {
    let first = serve(ANY, Health::default()).await.unwrap();
    let error = serve(first.address(), Health::default()).await.unwrap_err().to_string();
    assert!(error.contains("--listen-health"), "{error}");
}
