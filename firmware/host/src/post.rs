use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use wasmbed_agent::{ApplicationEvent, Connection, Instance};

/// What other threads tell the event loop.
#[derive(Debug)]
pub(crate) enum Letter {
    /// An attempt to connect is over.
    Connection { connection: Connection, result: io::Result<TcpStream> },
    /// An application did something.
    Application { instance: Instance, event: ApplicationEvent },
    /// The process is to end.
    Stop,
}

/// The way to the event loop, for one device.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    device: usize,
    sender: Sender<(usize, Letter)>,
    waker: Arc<mio::Waker>,
}

impl Post {
    pub(crate) fn new(sender: Sender<(usize, Letter)>, waker: Arc<mio::Waker>) -> Post {
        Post { device: 0, sender, waker }
    }

    pub(crate) fn of(&self, device: usize) -> Post {
        Post { device, ..self.clone() }
    }

    /// Sends a letter. A loop that is gone needs none.
    pub(crate) fn send(&self, letter: Letter) {
        if self.sender.send((self.device, letter)).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!("cannot wake the event loop: {error}");
        }
    }
}
