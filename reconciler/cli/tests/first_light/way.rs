//! A network between a device and a gateway that can be made to stop carrying what the gateway says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct Carried {
    /// Where the gateway is.
    gateway: String,
    /// Bytes of the gateway that are still let through; all if none.
    left: Option<usize>,
}

struct Shared {
    carried: Mutex<Carried>,
    changed: Condvar,
}

/// Lives as long as the process of the test.
pub struct Way {
    address: String,
    shared: Arc<Shared>,
}

impl Way {
    /// A way to a gateway, open.
    pub fn to(gateway: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let carried = Mutex::new(Carried { gateway: gateway.to_owned(), left: None });
        let shared = Arc::new(Shared { carried, changed: Condvar::new() });
        let way = Self { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for device in listener.incoming() {
                let to = shared.carried.lock().unwrap().gateway.clone();
                // A gateway that is not there is one that closes at once.
                if let (Ok(device), Ok(gateway)) = (device, TcpStream::connect(to)) {
                    carry(&shared, device, gateway);
                }
            }
        });
        way
    }

    /// What a device is to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where connections lead from now on.
    pub fn leads_to(&self, gateway: &str) {
        gateway.clone_into(&mut self.shared.carried.lock().unwrap().gateway);
    }

    /// Lets so many bytes of the gateway through, and no more.
    pub fn carry_only(&self, bytes: usize) {
        self.shared.carried.lock().unwrap().left = Some(bytes);
    }

    pub fn carry_all(&self) {
        self.shared.carried.lock().unwrap().left = None;
        self.shared.changed.notify_all();
    }

    /// How many bytes of the gateway are still let through.
    pub fn left(&self) -> Option<usize> {
        self.shared.carried.lock().unwrap().left
    }
}

fn carry(shared: &Arc<Shared>, device: TcpStream, gateway: TcpStream) {
    let (from_device, to_gateway) = (device.try_clone().unwrap(), gateway.try_clone().unwrap());
    std::thread::spawn(move || pass(from_device, to_gateway, |_| {}));
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        pass(gateway, device, |bytes| {
            let carried = shared.carried.lock().unwrap();
            let stands_still = |carried: &mut Carried| carried.left.is_some_and(|left| left < bytes);
            let mut carried = shared
                .changed
                .wait_while(carried, |carried| {
                    let waits = stands_still(carried);
                    if waits {
                        carried.left = Some(0);
                    }
                    waits
                })
                .unwrap();
            carried.left = carried.left.map(|left| left - bytes);
        });
    });
}

/// Passes on what comes, after `wait` was asked, until either side closes.
fn pass(mut from: TcpStream, mut to: TcpStream, mut wait: impl FnMut(usize)) {
    let mut bytes = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        wait(read);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
