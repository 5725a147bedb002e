//! Streams over a real Unix socket.
#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Router;
use wasmbed_streams::live::{LiveEvent, LiveFilter, LiveHub, LiveKind};
use wasmbed_streams::{Receiver, Sender, StreamError, bidirectional, live, open, read, serve};

fn line(device: &str, text: &str) -> LiveEvent {
    LiveEvent {
        time_ms: 1,
        gateway: "gateway-1".to_owned(),
        device: device.to_owned(),
        application: Some("hello".to_owned()),
        kind: LiveKind::Log { level: "output".to_owned(), text: text.to_owned() },
    }
}

#[tokio::test]
async fn both_sides_speak_at_once_and_the_end_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/echo.sock");
    let echo = |mut from: Receiver<u64>, to: Sender<String>| async move {
        while let Some(Ok(number)) = from.next().await {
            to.send(&format!("<{number}>")).await.unwrap();
        }
    };
    let _server = serve(&socket, Router::new().route("/echo", bidirectional(echo))).await.unwrap();
    let (to, mut from) = open::<u64, String>(&socket, "/echo").await.unwrap();
    for number in 0..1000 {
        to.send(&number).await.unwrap();
        assert_eq!(from.next().await.unwrap().unwrap(), format!("<{number}>"));
    }
    drop(to);
    assert!(from.next().await.is_none());
}

#[tokio::test]
async fn an_item_of_megabytes_passes() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("big.sock");
    let size = |mut from: Receiver<Vec<u32>>, to: Sender<usize>| async move {
        while let Some(Ok(item)) = from.next().await {
            to.send(&item.len()).await.unwrap();
        }
    };
    let _server = serve(&socket, Router::new().route("/size", bidirectional(size))).await.unwrap();
    let (to, mut from) = open::<Vec<u32>, usize>(&socket, "/size").await.unwrap();
    to.send(&vec![u32::MAX; 1_000_000]).await.unwrap();
    assert_eq!(from.next().await.unwrap().unwrap(), 1_000_000);
}

#[tokio::test]
async fn a_socket_that_is_served_is_not_taken_and_a_stale_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("one.sock");
    let first = serve(&socket, Router::new()).await.unwrap();
    assert!(matches!(serve(&socket, Router::new()).await, Err(StreamError::InUse { .. })));
    drop(first);
    std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(socket.exists(), "a socket file that nobody serves");
    serve(&socket, Router::new()).await.unwrap();
}

#[tokio::test]
async fn a_socket_is_its_owners_and_a_folder_that_was_there_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, Permissions::from_mode(0o755)).unwrap();
    for folder in [&theirs, &ours] {
        let socket = folder.join("one.sock");
        let _server = serve(&socket, Router::new()).await.unwrap();
        assert_eq!(mode(&socket), 0o600);
    }
    assert_eq!((mode(&theirs), mode(&ours)), (0o755, 0o700));
}

#[tokio::test]
async fn a_path_that_nobody_answers_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("empty.sock");
    let _server = serve(&socket, Router::new()).await.unwrap();
    let refused = read::<u8>(&socket, "/nothing").await.err().unwrap();
    assert!(matches!(refused, StreamError::Refused { status: 404, .. }), "{refused}");
    let nobody = read::<u8>(&dir.path().join("none.sock"), "/").await.err().unwrap();
    assert!(nobody.to_string().contains("is the component that serves it running?"), "{nobody}");
}

#[tokio::test]
async fn a_reader_gets_the_kept_events_and_then_the_live_ones_that_it_wants() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("live.sock");
    let hub = LiveHub::default();
    let _server = serve(&socket, live::router(hub.clone())).await.unwrap();
    hub.publish(line("device-1", "first"));
    hub.publish(line("device-2", "not wanted"));
    let filter = LiveFilter { device: Some("device-1".to_owned()), follow: true, ..LiveFilter::default() };
    let mut events = read::<LiveEvent>(&socket, &filter.path()).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), line("device-1", "first"));
    hub.publish(line("device-1", "second"));
    assert_eq!(events.next().await.unwrap().unwrap(), line("device-1", "second"));
    let output =
        LiveEvent { kind: LiveKind::Output { topic: "t".to_owned(), payload: vec![0xf6] }, ..line("device-1", "") };
    hub.publish(output.clone());
    assert_eq!(events.next().await.unwrap().unwrap(), output);
}

#[tokio::test]
async fn a_flood_of_one_device_leaves_the_others_their_kept_events() {
    let hub = LiveHub::default();
    hub.publish(line("quiet", "here"));
    for number in 0..10_000 {
        hub.publish(line("loud", &number.to_string()));
    }
    let kept: Vec<_> = hub.subscribe().0.into_iter().map(|published| published.event).collect();
    assert!(kept.contains(&line("quiet", "here")));
    assert!(kept.contains(&line("loud", "9999")));
    assert!(kept.len() < 100);
}
