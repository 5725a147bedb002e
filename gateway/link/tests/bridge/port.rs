//! Ports that come and go.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::pty::openpty;
use nix::unistd::ttyname;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmbed_link::{Event, Port, PortError, run};
use wasmbed_protocol::link::DeviceEvent;

use crate::board::Board;
use crate::watcher::{PATIENCE, Watcher};

/// A pseudo-terminal: the board's side of it, and the path of the other. The second descriptor keeps it alive until the
/// link has opened it.
pub(crate) fn pty() -> (OwnedFd, OwnedFd, PathBuf) {
    let pty = openpty(None, None).unwrap();
    let path = ttyname(&pty.slave).unwrap();
    (pty.master, pty.slave, path)
}

#[tokio::test]
async fn a_port_that_is_lost_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uart");
    let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gateway.local_addr().unwrap().to_string();
    let watcher = Watcher::default();
    let options = watcher.options(&[&address]);
    let (stop, stopped) = oneshot::channel::<()>();
    let port = Port { path: path.clone(), baud: 115_200 };
    let running = tokio::spawn(async move { run(&port, &options, async { drop(stopped.await) }).await });
    // It is not there yet, and that is said.
    watcher.until("that it is not there", 1, |event| matches!(event, Event::PortLost { .. })).await;
    for round in 1..=2 {
        let plugged = UnixListener::bind(&path).unwrap();
        let (line, _) = timeout(PATIENCE, plugged.accept()).await.unwrap().unwrap();
        let mut board = Board::new(line);
        assert_eq!(board.open(&address).await, DeviceEvent::Opened);
        watcher.until("the connection", round, |event| matches!(event, Event::Opened { .. })).await;
        std::fs::remove_file(&path).unwrap();
        drop((board, plugged));
        watcher.until("its end", round, |event| matches!(event, Event::Ended { .. })).await;
    }
    drop(stop);
    timeout(PATIENCE, running).await.expect("it ends, in the middle of waiting").unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_can_never_be_opened_is_not_tried_again() {
    let (_master, _slave, path) = pty();
    let options = Watcher::default().options(&[]);
    let wrong = Port { path, baud: 12_345 };
    let ended = timeout(PATIENCE, run(&wrong, &options, std::future::pending())).await.unwrap();
    assert!(matches!(ended, Err(PortError::Baud(12_345))), "{ended:?}");
    let ended = Port { path: PathBuf::from("/dev/null"), baud: 115_200 }.open().await;
    assert!(matches!(ended, Err(PortError::NoPort(_))), "{ended:?}");
}

#[tokio::test]
async fn two_links_do_not_share_a_port() {
    let (_master, _slave, path) = pty();
    let port = Port { path, baud: 115_200 };
    let first = port.open().await.unwrap();
    let second = port.open().await;
    assert!(matches!(second, Err(PortError::InUse(_))), "{second:?}");
    drop(first);
    port.open().await.unwrap();
}
