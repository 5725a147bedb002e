//! Real builds in real sandboxes.

mod support;

use support::{Sources, Worker};

/// The whole of a valid application.
const SEED: &str = r#"pub fn main() { println!("Hello from Wasmbed!"); }"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_example_is_the_whole_of_a_valid_application_of_at_most_256_bytes() {
    let sources = Sources::new();
    sources.package("apps/hello", SEED);
    let worker = Worker::start().await;
    let built = worker.built(&sources.request("apps/hello")).await;
    let bytes = built.module.bytes().len();
    println!("the seed example is {bytes} bytes, built in {:?}", built.duration);
    assert!(bytes <= 256, "{bytes} bytes");
    assert_eq!(built.module.needs().imports, ["wasmbed.log"]);
    assert!(!built.module.needs().grows);
}
