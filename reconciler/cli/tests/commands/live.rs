//! `wasmbed logs` and `wasmbed results` with `--live`: several processes' live events as one. The hubs are those that gateways have,
//! served here on Unix sockets; over TLS, and for gateways themselves, the tests of the cluster edition have it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wasmbed_streams::Server;
use wasmbed_streams::live::{LiveEvent, LiveHub, LiveKind, router};

use super::outcome::Outcome;
use super::running::{Running, program};

/// A hub, and where it is served while it is.
struct Gateway {
    hub: LiveHub,
    socket: PathBuf,
    served: Option<Server>,
}

impl Gateway {
    fn new(folder: &Path, name: &str) -> Self {
        Self { hub: LiveHub::default(), socket: folder.join(format!("{name}.sock")), served: None }
    }

    async fn serve(mut self) -> Self {
        self.served = Some(wasmbed_streams::serve(&self.socket, router(self.hub.clone())).await.unwrap());
        self
    }

    fn publish(&self, time_ms: u64, device: &str, kind: LiveKind) {
        let (gateway, application) = ("gateway-1".to_owned(), Some("ticker".to_owned()));
        self.hub.publish(LiveEvent { time_ms, gateway, device: device.to_owned(), application, kind });
    }

    fn log(&self, time_ms: u64, device: &str, text: &str) {
        self.publish(time_ms, device, LiveKind::Log { level: "output".to_owned(), text: text.to_owned() });
    }
}

fn reading(command: &str, from: &[&Gateway]) -> Command {
    let mut reading = program();
    reading.args([command, "--output", "json"]);
    for gateway in from {
        reading.arg("--live").arg(format!("unix:{}", gateway.socket.display()));
    }
    reading
}

/// Runs to its end, while the hubs are served by the same runtime.
fn outcome(mut command: Command) -> Outcome {
    tokio::task::block_in_place(|| Outcome::of(&mut command))
}

fn texts(outcome: &Outcome) -> Vec<String> {
    assert_eq!(outcome.code(), 0, "{}", outcome.errors());
    outcome.lines().iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_gateways_keep_is_shown_in_the_order_of_time_and_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (Gateway::new(folder.path(), "a").serve().await, Gateway::new(folder.path(), "b").serve().await);
    // The device moves from one to the other and back.
    a.log(10, "one", "first");
    b.log(20, "one", "second");
    a.log(15, "two", "between");
    a.log(30, "one", "third");
    a.publish(40, "one", LiveKind::Heartbeat { uptime_ms: 1, memory_free: None });
    b.publish(25, "one", LiveKind::Output { topic: "t".to_owned(), payload: vec![0x18, 0x2a] });
    a.publish(5, "two", LiveKind::Output { topic: "t".to_owned(), payload: vec![0x01] });

    // One of them by two names.
    let read = outcome(reading("logs", &[&a, &b, &a]));
    assert_eq!(texts(&read), ["first", "between", "second", "third"]);
    assert_eq!(read.errors(), "");
    let mut of_one = reading("logs", &[&a, &b]);
    of_one.arg("one");
    assert_eq!(texts(&outcome(of_one)), ["first", "second", "third"]);

    let mut results = reading("results", &[&a, &b]);
    results.arg("ticker");
    let expected = |device: &str, time: u64, value: u64| json!({ "timeMs": time, "device": device, "application": "ticker", "topic": "t", "value": value });
    assert_eq!(outcome(results).lines(), [expected("two", 5, 1), expected("one", 25, 42)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_reached_is_named_and_only_nobody_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (a, gone) = (Gateway::new(folder.path(), "a").serve().await, Gateway::new(folder.path(), "gone"));
    a.log(10, "one", "first");
    let read = outcome(reading("logs", &[&a, &gone]));
    assert_eq!(texts(&read), ["first"]);
    let errors = read.errors();
    assert!(errors.starts_with("not reached: unix:") && errors.contains("gone.sock"), "{errors}");

    for follows in [false, true] {
        let mut nobody = reading("logs", &[&gone]);
        nobody.args(follows.then_some("-f"));
        outcome(nobody).refused("no gateway's live events can be read: unix:");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_follows_survives_who_goes_and_comes_and_shows_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut a, b) = (Gateway::new(folder.path(), "a").serve().await, Gateway::new(folder.path(), "b").serve().await);
    a.log(10, "one", "kept by a");
    b.log(5, "two", "kept by b");
    let mut command = reading("logs", &[&a, &b]);
    command.arg("-f");
    let (mut reader, mut errors) = Running::start_with_errors("the reader", &mut command);
    let mut shown = Vec::new();
    let mut until = |reader: &mut Running, text: &str| {
        tokio::task::block_in_place(|| {
            reader.out.next(text, |line| {
                let event: Value = serde_json::from_str(line).unwrap();
                shown.push(event["text"].as_str().unwrap().to_owned());
                (event["text"] == text).then_some(())
            });
        });
    };
    until(&mut reader, "kept by a");
    a.log(20, "one", "of a");
    until(&mut reader, "of a");

    // It goes, and is said to be gone; the other one is read on.
    a.served = None;
    tokio::task::block_in_place(|| {
        errors.next("it is missed", |line| {
            (line.starts_with("not reached: unix:") && line.contains("a.sock")).then_some(())
        });
    });
    a.log(30, "one", "said to nobody");
    b.log(40, "one", "of b");
    until(&mut reader, "of b");

    // It comes again, and with what it kept meanwhile; then another process in its place.
    let mut a = a.serve().await;
    until(&mut reader, "said to nobody");
    tokio::task::block_in_place(|| {
        errors.next("it is there", |line| line.starts_with("reached again: ").then_some(()))
    });
    a.served = None;
    a.hub = LiveHub::default();
    a.log(50, "one", "of another");
    let a = a.serve().await;
    until(&mut reader, "of another");
    a.log(60, "two", "last");
    until(&mut reader, "last");
    assert_eq!(shown, ["kept by b", "kept by a", "of a", "of b", "said to nobody", "of another", "last"]);
    assert!(reader.is_running());
}
