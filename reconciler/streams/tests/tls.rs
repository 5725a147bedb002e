//! Streams over real TLS sessions on loopback. Only the Kubernetes API is a stand-in: it answers TokenReviews as
//! kube-apiserver does, over HTTP.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmbed_streams::{
    Admission, Connector, Credentials, Endpoint, Receiver, Sender, Server, StreamError, TlsDoor, TokenReviews,
    bidirectional, open, serve,
};

const GATEWAY: &str = "system:serviceaccount:wasmbed-system:wasmbed-gateway-plant";
const OTHER: &str = "system:serviceaccount:other:default";

/// A CA that signs into folders.
struct Ca(Issuer<'static, KeyPair>);

impl Ca {
    fn new(file: &Path) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose, folder: &Path) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    }
}

/// The API's stand-in: `good` is the gateway's token, `other` another user's, `api` one of the API's own audience.
async fn api(asked: Arc<AtomicUsize>) -> kube::Client {
    let review = post(move |Json(review): Json<Value>| {
        asked.fetch_add(1, Ordering::SeqCst);
        async move {
            let user = |name: &str, audience: &str| json!({ "authenticated": true, "user": { "username": name, "groups": [] }, "audiences": [audience] });
            assert_eq!(review["spec"]["audiences"], json!(["wasmbed"]));
            let status = match review["spec"]["token"].as_str().unwrap() {
                "good" => user(GATEWAY, "wasmbed"),
                "other" => user(OTHER, "wasmbed"),
                "api" => user(GATEWAY, "https://kubernetes.default.svc"),
                _ => json!({ "user": {}, "error": "[invalid bearer token, service account token has expired]" }),
            };
            let mut review = review;
            review["status"] = status;
            (axum::http::StatusCode::CREATED, Json(review))
        }
    });
    let router = Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", review);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    kube::Client::try_from(kube::Config::new(uri)).unwrap()
}

struct World {
    folder: tempfile::TempDir,
    ca: Ca,
    asked: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::new(&folder.path().join("ca.crt"));
        ca.sign("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth, &folder.path().join("server"));
        Self { folder, ca, asked: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn door(&self, admission: Admission) -> TlsDoor {
        TlsDoor::new(SocketAddr::from(([127, 0, 0, 1], 0)), self.path("server"), admission)
    }

    async fn by_token(&self) -> Admission {
        let reviews = TokenReviews::new(api(Arc::clone(&self.asked)).await, "wasmbed", [GATEWAY.to_owned()].into());
        Admission::Tokens(Arc::new(reviews))
    }

    fn by_certificate(&self, names: &[&str]) -> Admission {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Admission::Certificates { ca: self.path("ca.crt"), names }
    }

    /// A caller with what is in the file `token`.
    fn caller(&self, server: &Server, token: &str) -> Connector {
        std::fs::write(self.path("token"), token).unwrap();
        let credentials =
            Credentials { ca: Some(self.path("ca.crt")), token: Some(self.path("token")), certificate: None };
        Connector::new(server.endpoint().clone(), credentials).unwrap()
    }

    /// A caller with the certificate in `folder`.
    fn holder(&self, server: &Server, folder: Option<&str>) -> Connector {
        let certificate = folder.map(|folder| self.path(folder));
        let credentials = Credentials { ca: Some(self.path("ca.crt")), token: None, certificate };
        Connector::new(server.endpoint().clone(), credentials).unwrap()
    }
}

fn echo() -> Router {
    let echo = |mut from: Receiver<u64>, to: Sender<String>| async move {
        while let Some(Ok(number)) = from.next().await {
            if to.send(&format!("<{number}>")).await.is_err() {
                return;
            }
        }
    };
    Router::new().route("/echo", bidirectional(echo))
}

async fn speak(connector: &Connector) -> Result<(Sender<u64>, Receiver<String>), StreamError> {
    let (to, mut from) = open::<u64, String>(connector, "/echo").await?;
    to.send(&7).await?;
    assert_eq!(from.next().await.ok_or(StreamError::Closed)??, "<7>");
    Ok((to, from))
}

async fn refused(connector: &Connector) -> (u16, String) {
    match speak(connector).await.unwrap_err() {
        StreamError::Refused { status, message } => (status, message),
        other => panic!("{other}"),
    }
}

fn address(server: &Server) -> SocketAddr {
    server.endpoint().to_string().strip_prefix("https://").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_user_that_is_named_speaks_and_is_asked_about_once() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let caller = world.caller(&server, "good\n");
    speak(&caller).await.unwrap();
    speak(&caller).await.unwrap();
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why_and_what_to_do() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let (status, why) = refused(&world.caller(&server, "expired")).await;
    assert_eq!(status, 401);
    assert!(why.contains("token has expired") && why.contains("mount a projected ServiceAccount token"), "{why}");
    let (status, why) = refused(&world.caller(&server, "other")).await;
    assert_eq!(status, 403);
    assert!(why.contains(OTHER) && why.contains("--allow"), "{why}");
    let (status, why) = refused(&world.caller(&server, "api")).await;
    assert_eq!(status, 401);
    assert!(why.contains("for another audience"), "{why}");
    let (status, why) = refused(&world.holder(&server, None)).await;
    assert_eq!(status, 401);
    assert!(why.contains("--streams-token"), "{why}");
    // What nobody serves is not told to strangers.
    let stranger = world.caller(&server, "expired");
    let nowhere = open::<u64, String>(&stranger, "/nowhere").await.unwrap_err();
    assert!(matches!(nowhere, StreamError::Refused { status: 401, .. }), "{nowhere}");
}

#[tokio::test]
async fn a_token_that_was_renewed_counts_for_the_next_stream() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let caller = world.caller(&server, "expired");
    assert_eq!(refused(&caller).await.0, 401);
    std::fs::write(world.path("token"), "good").unwrap();
    speak(&caller).await.unwrap();
    std::fs::write(world.path("token"), " \n").unwrap();
    let empty = speak(&caller).await.unwrap_err().to_string();
    assert!(empty.contains("token: it is empty"), "{empty}");
}

#[tokio::test]
async fn an_api_that_does_not_answer_lets_nobody_in() {
    let world = World::new();
    let gone = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let reviews = TokenReviews::new(gone.try_into().unwrap(), "wasmbed", [GATEWAY.to_owned()].into());
    let server = serve(world.door(Admission::Tokens(Arc::new(reviews))), echo()).await.unwrap();
    let (status, why) = refused(&world.caller(&server, "good")).await;
    assert_eq!(status, 503);
    assert!(why.contains("nobody can be let in now"), "{why}");
}

#[tokio::test]
async fn a_server_of_another_ca_or_name_is_not_spoken_to() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let caller = world.caller(&server, "good");
    let honest = std::fs::read(world.path("ca.crt")).unwrap();
    let _other = Ca::new(&world.path("ca.crt"));
    let error = speak(&caller).await.unwrap_err().to_string();
    assert!(error.contains("certificate") && error.contains("--streams-ca"), "{error}");
    std::fs::write(world.path("ca.crt"), honest).unwrap();
    speak(&caller).await.unwrap();
    let Endpoint::Https { port, .. } = *server.endpoint() else { panic!("it is a port") };
    let credentials = Credentials { ca: Some(world.path("ca.crt")), ..Credentials::default() };
    let elsewhere = Connector::new(Endpoint::Https { host: "localhost".into(), port }, credentials).unwrap();
    let error = speak(&elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("is its certificate for that name"), "{error}");
    assert_eq!(world.asked.load(Ordering::SeqCst), 1, "a token is shown to no stranger");
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_without_a_restart() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let caller = world.caller(&server, "good");
    speak(&caller).await.unwrap();
    // The certificate has changed and its key not yet: the last pair stays in use.
    let key = std::fs::read(world.path("server/tls.key")).unwrap();
    let ca = Ca::new(&world.path("ca.crt"));
    ca.sign("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth, &world.path("server"));
    let new_key = std::fs::read(world.path("server/tls.key")).unwrap();
    std::fs::write(world.path("server/tls.key"), key).unwrap();
    assert!(matches!(speak(&caller).await, Err(StreamError::Tls { .. })));
    std::fs::write(world.path("server/tls.key"), new_key).unwrap();
    speak(&caller).await.unwrap();
}

#[tokio::test]
async fn a_server_without_rights_knows_its_callers_by_certificate() {
    let world = World::new();
    let server = serve(world.door(world.by_certificate(&["wasmbed-reconciler"])), echo()).await.unwrap();
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    world.ca.sign("wasmbed-reconciler", client.clone(), &world.path("reconciler"));
    world.ca.sign("wasmbed-gateway", client.clone(), &world.path("gateway"));
    speak(&world.holder(&server, Some("reconciler"))).await.unwrap();
    let (status, why) = refused(&world.holder(&server, Some("gateway"))).await;
    assert_eq!(status, 403);
    assert!(why.contains("wasmbed-reconciler") && why.contains("--allow"), "{why}");
    let (status, why) = refused(&world.holder(&server, None)).await;
    assert_eq!(status, 401);
    assert!(why.contains("--client-ca"), "{why}");
    // What another CA signed, or for a server, does not get as far as HTTP.
    let stranger = Ca::new(&world.path("stranger.crt"));
    stranger.sign("wasmbed-reconciler", client, &world.path("stranger"));
    assert!(matches!(speak(&world.holder(&server, Some("stranger"))).await, Err(StreamError::Http(_))));
    assert!(matches!(speak(&world.holder(&server, Some("server"))).await, Err(StreamError::Http(_))));
}

#[tokio::test]
async fn a_stream_ends_at_its_greatest_age_and_the_next_one_is_let_in() {
    let world = World::new();
    let mut door = world.door(world.by_token().await);
    door.longest = Duration::from_millis(300);
    let server = serve(door, echo()).await.unwrap();
    let caller = world.caller(&server, "good");
    let (_to, mut from) = speak(&caller).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), from.next()).await.expect("it ends by itself");
    assert!(!matches!(end, Some(Ok(_))), "nothing was said: {end:?}");
    speak(&caller).await.unwrap();
}

#[tokio::test]
async fn plaintext_and_garbage_end_and_others_are_served_on() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[0xff; 4096]] {
        let mut tcp = TcpStream::connect(address(&server)).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // An alert, an end or a reset: all of them end it.
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    speak(&world.caller(&server, "good")).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_sent_away_and_holds_up_nobody() {
    let world = World::new();
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    speak(&world.caller(&server, "good")).await.unwrap();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(60), silent[0].read(&mut byte)).await;
    assert_eq!(read.expect("the server ends it").unwrap_or(0), 0);
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_certificate_that_is_none_are_said() {
    let world = World::new();
    let first = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let mut second = world.door(world.by_token().await);
    second.listen = address(&first);
    assert!(matches!(serve(second, echo()).await, Err(StreamError::Bind { .. })));
    std::fs::write(world.path("server/tls.crt"), "no certificate").unwrap();
    let error = serve(world.door(world.by_token().await), echo()).await.unwrap_err().to_string();
    assert!(error.contains("tls.crt: there is no certificate in it"), "{error}");
    let nobody = Connector::new("https://127.0.0.1:1".parse().unwrap(), Credentials::default()).unwrap_err();
    assert!(nobody.to_string().contains("--streams-ca"), "{nobody}");
}

#[tokio::test]
async fn each_address_of_a_name_is_known_by_the_certificate_for_that_name() {
    let world = World::new();
    world.ca.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth, &world.path("server"));
    let server = serve(world.door(world.by_token().await), echo()).await.unwrap();
    let port = address(&server).port();
    std::fs::write(world.path("token"), "good").unwrap();
    let caller = |host: &str| {
        let credentials =
            Credentials { ca: Some(world.path("ca.crt")), token: Some(world.path("token")), certificate: None };
        Connector::new(Endpoint::Https { host: host.to_owned(), port }, credentials).unwrap()
    };
    let named = caller("localhost");
    assert_eq!(named.to_string(), format!("https://localhost:{port}"));
    let places = named.each_address().await.unwrap();
    let place = places.iter().find(|place| place.to_string() == format!("https://localhost:{port} at 127.0.0.1"));
    speak(place.expect("the server's address is one of them")).await.unwrap();

    let lost = caller("nobody.invalid").each_address().await.unwrap_err();
    assert!(matches!(lost, StreamError::Connect { .. }), "{lost}");
}
