//! How connections begin and end, and bytes in between.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use wasmbed_link::{Event, LineError, serve};
use wasmbed_protocol::link::{DeviceEvent, End, Reason};

use crate::board::Board;
use crate::watcher::{PATIENCE, Watcher};

struct Bench {
    board: Board,
    watcher: Watcher,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), LineError>>,
}

fn bench(gateways: &[&str]) -> Bench {
    let (line, end) = UnixStream::pair().unwrap();
    let watcher = Watcher::default();
    let options = watcher.options(gateways);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move { serve(line, &options, async { drop(stopped.await) }).await });
    Bench { board: Board::new(end), watcher, stop: Some(stop), serving }
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test]
async fn a_device_reaches_only_the_gateways_that_are_allowed() {
    let (listener, address) = listener().await;
    let mut bench = bench(&["gateway.example:4433"]);
    let refused = bench.board.open(&address).await;
    assert_eq!(refused, DeviceEvent::Ended(End::Refused(Reason::NotAllowed)));
    let told = |event: &Event| matches!(event, Event::Refused { address: of, .. } if *of == address);
    bench.watcher.until("that it was refused", 1, told).await;
    // Whoever is connected to now is the first.
    let ours = tokio::net::TcpStream::connect(&address).await.unwrap();
    let (_, who) = listener.accept().await.unwrap();
    assert_eq!(who, ours.local_addr().unwrap());
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_refused_with_the_reason() {
    let (listener, address) = listener().await;
    drop(listener);
    let mut bench = bench(&[&address]);
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Ended(End::Refused(Reason::Unreachable)));
    let told = |event: &Event| matches!(event, Event::Refused { reason, .. } if reason.contains("refused"));
    bench.watcher.until("why", 1, told).await;
}

#[tokio::test]
async fn a_gateway_that_closes_is_heard_after_its_last_byte() {
    let (listener, address) = listener().await;
    let mut bench = bench(&[&address]);
    let gateway = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[7; 10_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    });
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Opened);
    let mut received = 0;
    let end = loop {
        if let Some(event) = bench.board.link.next_event() {
            break event;
        }
        let count = bench.board.link.received().len();
        received += count;
        bench.board.link.consume(count);
        bench.board.step().await.unwrap();
    };
    assert_eq!((received, end), (10_000, DeviceEvent::Ended(End::ClosedByPeer(Reason::Finished))));
    let told = |event: &Event| matches!(event, Event::Ended { down: 10_000, .. });
    // The bridge hears that all was taken, if the board says it.
    tokio::select! {
        () = bench.watcher.until("the end", 1, told) => {}
        () = async { while bench.board.step().await.is_ok() {} } => panic!("the line ended"),
    }
    assert_eq!(timeout(PATIENCE, gateway).await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn a_device_that_closes_has_its_last_bytes_delivered() {
    let (listener, address) = listener().await;
    let mut bench = bench(&[&address]);
    let gateway = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    });
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Opened);
    assert_eq!(bench.board.link.send(b"goodbye"), 7);
    let now = bench.board.now();
    bench.board.link.close(now);
    tokio::select! {
        all = gateway => assert_eq!(all.unwrap(), b"goodbye"),
        () = async { while bench.board.step().await.is_ok() {} } => panic!("the line ended"),
    }
}

#[tokio::test]
async fn a_megabyte_goes_through_and_back_over_a_noisy_line() {
    const SIZE: usize = 1 << 20;
    let (listener, address) = listener().await;
    let mut bench = bench(&[&address]);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Opened);
    bench.board.noise = 2;
    let byte = |at: usize| (at ^ at >> 8 ^ at >> 16) as u8;
    let (mut sent, mut received) = (0, 0);
    let begun = Instant::now();
    while received < SIZE {
        assert!(
            begun.elapsed() < PATIENCE,
            "{received} of {sent} bytes came back; {:?}",
            bench.board.link.next_event()
        );
        let piece: Vec<u8> = (sent..SIZE.min(sent + 2_048)).map(byte).collect();
        sent += bench.board.link.send(&piece);
        let bytes = bench.board.link.received();
        assert!(bytes.iter().zip(received..).all(|(&is, at)| is == byte(at)), "after {received} bytes");
        received += bytes.len();
        let count = bytes.len();
        bench.board.link.consume(count);
        if received < SIZE {
            bench.board.step().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_link_that_is_shut_down_says_so_and_ends_though_the_device_says_nothing() {
    let (listener, address) = listener().await;
    let mut bench = bench(&[&address]);
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Opened);
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(bench.stop.take());
    // The board does not answer: it does nothing until the bridge has ended.
    timeout(PATIENCE, bench.serving).await.expect("it ends").unwrap().unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    let end = bench.watcher.events().pop();
    assert!(matches!(&end, Some(Event::Ended { reason, .. }) if reason.contains("shut down")), "{end:?}");
    // What it said is still on the line.
    let said = loop {
        let is_over = bench.board.step().await.is_err();
        if let Some(event) = bench.board.link.next_event() {
            break event;
        }
        assert!(!is_over, "the device was not told");
    };
    assert_eq!(said, DeviceEvent::Ended(End::ClosedByPeer(Reason::ShuttingDown)));
}

#[tokio::test]
async fn a_line_that_ends_ends_the_connection() {
    let (listener, address) = listener().await;
    let mut bench = bench(&[&address]);
    assert_eq!(bench.board.open(&address).await, DeviceEvent::Opened);
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(bench.board);
    let ended = timeout(PATIENCE, bench.serving).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(LineError::Closed)), "{ended:?}");
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_devices_log_is_told_line_by_line() {
    let mut bench = bench(&[]);
    bench.board.link.log("booted\nsecond line, \u{e4}\n".as_bytes());
    let told = |event: &Event| matches!(event, Event::Log { text, after_gap: false } if text == "second line, \u{e4}");
    tokio::select! {
        () = bench.watcher.until("the log", 1, told) => {}
        () = async { while bench.board.step().await.is_ok() {} } => panic!("the line ended"),
    }
}
