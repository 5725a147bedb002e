//! A way to a gateway that spoils what the gateway says, each connection in the way that a test says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A record that was made longer waits for bytes that do not come, until the board's own patience ends; this ends it before.
const AFTER_A_CHANGE: Duration = Duration::from_millis(500);

/// What becomes of what the gateway says in one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it comes.
    Whole,
    /// So many bytes come, and then the connection is closed.
    Closed(usize),
    /// All of it comes, with the byte after so many bytes changed; a moment later the connection is closed.
    Changed(usize),
    /// So many bytes come, and then nothing does.
    Still(usize),
}

/// Lives as long as the process of the test.
pub struct Liar {
    address: String,
    fates: Sender<Fate>,
    /// The connection of now.
    device: Arc<Mutex<Option<TcpStream>>>,
}

impl Liar {
    /// Takes connections, and each of them waits for its fate.
    pub fn before(gateway: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, fates) = channel();
        let now = Arc::new(Mutex::new(None));
        let (gateway, device) = (gateway.to_owned(), Arc::clone(&now));
        std::thread::spawn(move || serve(&listener, &gateway, &fates, &now));
        Self { address, fates: sender, device }
    }

    /// What a board is to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What becomes of the next connection.
    pub fn next(&self, fate: Fate) {
        self.fates.send(fate).unwrap();
    }

    /// Closes the connection of now.
    pub fn close(&self) {
        if let Some(device) = self.device.lock().unwrap().take() {
            let _ = device.shutdown(Shutdown::Both);
        }
    }
}

fn serve(listener: &TcpListener, gateway: &str, fates: &Receiver<Fate>, now: &Mutex<Option<TcpStream>>) {
    for device in listener.incoming().flatten() {
        let Ok(fate) = fates.recv() else { return };
        let gateway = TcpStream::connect(gateway).unwrap();
        *now.lock().unwrap() = Some(device.try_clone().unwrap());
        let (from_device, to_gateway) = (device.try_clone().unwrap(), gateway.try_clone().unwrap());
        std::thread::spawn(move || pass(from_device, to_gateway, Fate::Whole));
        std::thread::spawn(move || pass(gateway, device, fate));
    }
}

/// Passes on what comes as `fate` has it, until either side closes.
fn pass(mut from: TcpStream, mut to: TcpStream, fate: Fate) {
    let mut buffer = [0; 1024];
    let mut passed = 0;
    loop {
        let room = match fate {
            // Nothing is read when nothing may come.
            Fate::Closed(at) if passed == at => break,
            Fate::Closed(at) => buffer.len().min(at - passed),
            _ => buffer.len(),
        };
        let Ok(read @ 1..) = from.read(&mut buffer[..room]) else { break };
        let mut bytes = &mut buffer[..read];
        match fate {
            Fate::Still(at) => {
                let length = at.saturating_sub(passed).min(read);
                bytes = &mut bytes[..length];
            }
            Fate::Changed(at) if (passed..passed + read).contains(&at) => {
                bytes[at - passed] ^= 0x40;
                let to = to.try_clone().unwrap();
                std::thread::spawn(move || {
                    std::thread::sleep(AFTER_A_CHANGE);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
            _ => {}
        }
        if to.write_all(bytes).is_err() {
            break;
        }
        passed += read;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
