//! Neither side believes the other: the client checks what a worker gives it, the worker what it is asked.

mod support;

use ciborium::Value;
use support::{Sources, Worker};
use wasmbed_builder::{BuildOutcome, Cache, Client, ClientError, FailureReason};
use wasmbed_streams::{Receiver, Sender};

const SEED: &str = r#"pub fn main() { println!("Hello from Wasmbed!"); }"#;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A worker that answers every build with `reply`, or with nothing.
async fn lying_worker(socket: &std::path::Path, reply: Option<Value>) -> wasmbed_streams::Server {
    let answer = move |mut asks: Receiver<Value>, replies: Sender<Value>| {
        let reply = reply.clone();
        async move {
            let _ = asks.next().await;
            if let Some(reply) = reply {
                let _ = replies.send(&reply).await;
            }
        }
    };
    let router = axum::Router::new().route("/v1/builds", wasmbed_streams::bidirectional(answer));
    wasmbed_streams::serve(socket, router).await.expect("the socket can be served")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_a_worker_should_not_have_given_is_refused_and_not_kept() {
    let sources = Sources::new();
    sources.package("apps/hello", SEED);
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let socket = folder.path().join("builder.sock");
    let bad = wat::parse_str(
        r#"(module (import "env" "launch" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let built = Value::Map(vec![
        (text("module"), Value::Bytes(bad.expect("it is valid text"))),
        (text("warnings"), Value::Array(Vec::new())),
        (text("milliseconds"), Value::Integer(1.into())),
    ]);
    let _server = lying_worker(&socket, Some(Value::Map(vec![(text("built"), built)]))).await;
    let client = Client::new(&socket, Cache::open(folder.path().join("cache")).expect("the cache can be made"));
    match client.build(&sources.request("apps/hello"), |_| {}).await.expect("it answers") {
        BuildOutcome::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::ModuleRefused);
            assert!(failure.message.contains("env.launch"), "{failure}");
        }
        BuildOutcome::Built(_) => panic!("it was believed"),
    }
    let kept = std::fs::read_dir(folder.path().join("cache/modules")).expect("it is there").count();
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_away_is_an_error_and_not_a_failed_build() {
    let sources = Sources::new();
    sources.package("apps/hello", SEED);
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let socket = folder.path().join("builder.sock");
    let client = Client::new(&socket, Cache::open(folder.path().join("cache")).expect("the cache can be made"));
    let request = sources.request("apps/hello");
    let error = client.build(&request, |_| {}).await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Stream(_)), "{error}");
    let _server = lying_worker(&socket, None).await;
    let error = client.build(&request, |_| {}).await.expect_err("it says nothing");
    assert!(error.to_string().contains("the builder"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_version_says_so_instead_of_giving_another_digest() {
    let sources = Sources::new();
    sources.package("apps/hello", SEED);
    let worker = Worker::start().await;
    let build = Value::serialized(&sources.request("apps/hello")).expect("it can be sent");
    let ask = Value::Map(vec![(text("toolchain"), text("rust-1.0.0-0")), (text("build"), build)]);
    let socket = worker.folder.path().join("builder.sock");
    let (asks, mut replies) =
        wasmbed_streams::open::<Value, Value>(&socket, "/v1/builds").await.expect("the worker is there");
    asks.send(&ask).await.expect("it listens");
    let reply = replies.next().await.expect("it answers").expect("it is CBOR");
    assert!(format!("{reply:?}").contains("is of another version"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_bytes_are_checked_and_kept_by_their_digest() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let client =
        Client::new(std::path::Path::new("/nowhere"), Cache::open(folder.path()).expect("the cache can be made"));
    let good =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).expect("it is valid text");
    let limits = wasmbed_builder::Limits::default();
    let module = client.keep_given(good.clone(), &limits).expect("it can be kept").expect("it is taken");
    let again = client.module(module.digest()).expect("it can be read").expect("it is there");
    assert_eq!(again.bytes(), good);
    assert!(client.keep_given(b"no module".to_vec(), &limits).expect("nothing broke").is_err());
}
