//! A whole session: a host device with the unchanged agent behind a board's end of the link, a pseudo-terminal with noise and a
//! pause of two seconds, the bridge, and a gateway over TCP and TLS.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use wasmbed_device::Swarm;
use wasmbed_link::{Event, Port, run};
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::link::DeviceEvent;
use wasmbed_protocol::message::Level;

use crate::board::Board;
use crate::fleet::{Built, Fleet, key};
use crate::gateway::{Gateway, Plan};
use crate::port::pty;
use crate::watcher::{PATIENCE, Watcher};

const GATEWAY: &str = "gateway.example:4433";

/// Says hello and sleeps for ever; the filler makes it worth a download.
fn hello() -> Built {
    let filler: String = (0..24_000).map(|at: u32| char::from(b'a' + (at * at % 25) as u8)).collect();
    let text = format!(
        r#"(module
            (import "wasmbed" "log" (func $log (param i32 i32 i32)))
            (import "wasmbed" "sleep_ms" (func $sleep (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "Hello over the line\n")
            (data (i32.const 1024) "{filler}")
            (func (export "_start")
                (call $log (i32.const 0) (i32.const 0) (i32.const 20))
                (loop $for_ever (call $sleep (i32.const 1000)) (br $for_ever))))"#
    );
    let mut built = Built::new("hello", "");
    built.module = wat::parse_str(text).unwrap();
    built.release.artifacts[0].digest = wasmbed_protocol::ModuleDigest::of(&built.module);
    built.release.artifacts[0].size = built.module.len() as u32;
    built.release.limits.memory = 256 * 1024;
    built
}

/// Serves one connection after the other with the gateway of the agent's tests.
async fn serve_gateway(listener: TcpListener, plan: Rc<RefCell<Plan>>, heard: Rc<Notify>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut gateway = Gateway::new(&plan.borrow().fleet);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            gateway.receive(&bytes[..count], &mut plan.borrow_mut());
            heard.notify_one();
            let out = gateway.output();
            if stream.write_all(&out).await.is_err() {
                break;
            }
        }
    }
}

/// What firmware does between its agent and its UART, with a TCP connection of the host device in the agent's place.
async fn serve_board(mut board: Board, device: TcpListener, erase: Rc<Notify>) {
    loop {
        let mut stream = tokio::select! {
            accepted = device.accept() => accepted.unwrap().0,
            stepped = board.step() => match stepped {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        board.link.open(GATEWAY, board.now()).unwrap();
        if !serve_stream(&mut board, &mut stream, &erase).await {
            return;
        }
    }
}

/// Whether the line is still there after the stream.
async fn serve_stream(board: &mut Board, stream: &mut TcpStream, erase: &Notify) -> bool {
    let mut unsent = Vec::new();
    loop {
        match board.link.next_event() {
            Some(DeviceEvent::Ended(_)) => return true,
            Some(DeviceEvent::Opened) | None => {}
        }
        let received = board.link.received().to_vec();
        board.link.consume(received.len());
        if stream.write_all(&received).await.is_err() {
            board.link.close(board.now());
            return true;
        }
        let taken = board.link.send(&unsent);
        unsent.drain(..taken);
        if !board.link.received().is_empty() {
            continue;
        }
        let mut bytes = [0; 1024];
        let is_writable = unsent.is_empty() && board.link.is_open();
        tokio::select! {
            read = stream.read(&mut bytes), if is_writable => match read {
                Ok(count @ 1..) => unsent.extend_from_slice(&bytes[..count]),
                _ => {
                    board.link.close(board.now());
                    return true;
                }
            },
            () = erase.notified() => board.pause(Duration::from_secs(2)).await,
            stepped = board.step() => if stepped.is_err() { return false },
        }
    }
}

async fn until(what: &str, plan: &RefCell<Plan>, changed: &Notify, is: impl Fn(&Plan) -> bool) {
    let waiting = async {
        while !is(&plan.borrow()) {
            changed.notified().await;
        }
    };
    let came = timeout(PATIENCE, waiting).await;
    came.unwrap_or_else(|_| panic!("not in time: {what}; {:?}", plan.borrow().heard));
}

/// Carries bytes between a pseudo-terminal and a socket, on two threads that end when the other side of either does.
fn wire(master: File, socket: std::os::unix::net::UnixStream) {
    let (mut from_pty, mut to_pty) = (master.try_clone().unwrap(), master);
    let (mut from_socket, mut to_socket) = (socket.try_clone().unwrap(), socket);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_pty, &mut to_socket);
        let _ = to_socket.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_socket, &mut to_pty);
        let _ = to_pty.flush();
    });
}

#[tokio::test]
async fn a_device_on_a_noisy_line_downloads_and_runs_what_it_is_assigned() {
    LocalSet::new()
        .run_until(async {
            let heard = Rc::new(Notify::new());
            let device_key = key(9);
            let plan = Rc::new(RefCell::new(Plan::new(Fleet::default(), device_key.public())));
            let built = hello();
            plan.borrow_mut().publish(&built);
            plan.borrow_mut().entries = vec![built.entry()];
            let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let reached = gateway.local_addr().unwrap().to_string();
            tokio::task::spawn_local(serve_gateway(gateway, plan.clone(), heard.clone()));

            // The line: a pseudo-terminal.
            let (master, slave, path) = pty();
            let watcher = Watcher::default();
            let mut options = watcher.options(&[GATEWAY]);
            options.gateways[0].address = reached;
            let (stop, stopped) = oneshot::channel::<()>();
            let port = Port { path, baud: 1_000_000 };
            let link = tokio::spawn(async move { run(&port, &options, async { drop(stopped.await) }).await });
            watcher.until("the port", 1, |event| *event == Event::PortOpened).await;
            drop(slave);
            let (line, end) = std::os::unix::net::UnixStream::pair().unwrap();
            wire(File::from(master), end);
            line.set_nonblocking(true).unwrap();
            let mut board = Board::new(UnixStream::from_std(line).unwrap());
            board.noise = 100;
            board.link.log(b"board: booted\n");
            let at_board = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let beside = at_board.local_addr().unwrap().port();
            let erase = Rc::new(Notify::new());
            let board = tokio::task::spawn_local(serve_board(board, at_board, erase.clone()));

            // The device: its agent, its runtime and its flash are the real ones.
            let folder = tempfile::tempdir().unwrap();
            let mut provisioning = Fleet::default().provisioning(&device_key);
            provisioning.gateways = vec![format!("127.0.0.1:{beside}")];
            std::fs::write(folder.path().join("provisioning.cbor"), provisioning.encode().unwrap()).unwrap();
            let mut swarm = Swarm::new().unwrap();
            swarm.add(folder.path()).unwrap();
            let stopper = swarm.stopper();
            let device = std::thread::spawn(move || swarm.run());

            until("half of the download", &plan, &heard, |plan| plan.fetched >= 4).await;
            erase.notify_one();
            let printed = |message: &DeviceMessage| {
                matches!(message, DeviceMessage::Log(log) if log.level == Level::Stdout && log.text == "Hello over the line")
            };
            until("its output", &plan, &heard, |plan| plan.heard.iter().any(printed)).await;

            // One session all the way: neither the noise nor the pause ended it.
            let is_hello = |message: &&DeviceMessage| matches!(message, DeviceMessage::Hello(_));
            assert_eq!(plan.borrow().heard.iter().filter(is_hello).count(), 1);
            let ended = watcher.events().into_iter().find(|event| matches!(event, Event::Ended { .. }));
            assert_eq!(ended, None);
            watcher
                .until("the board's own log", 1, |event| matches!(event, Event::Log { text, .. } if text == "board: booted"))
                .await;

            drop(stop);
            timeout(PATIENCE, link).await.expect("the link ends").unwrap().unwrap();
            timeout(PATIENCE, board).await.expect("the board's line ends").unwrap();
            let told = watcher.events();
            let end = told.iter().rev().find(|event| matches!(event, Event::Ended { .. }));
            println!("{end:?}");
            assert!(matches!(end, Some(Event::Ended { down, .. }) if *down as usize > built.module.len()), "{told:?}");
            stopper.stop();
            device.join().unwrap().unwrap();
        })
        .await;
}
