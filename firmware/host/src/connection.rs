use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream as StdStream, ToSocketAddrs};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::post::{Letter, Post};
use wasmbed_agent::Connection as Number;

/// How long one address of a gateway may take to answer; the agent tries the next one, or again, later.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that is to be closed may take for its last bytes.
const FAREWELL: Duration = Duration::from_secs(1);
/// Native stack of threads that resolve names, which the C library does; what is not touched costs nothing.
pub(crate) const SMALL_STACK: usize = 256 * 1024;

/// The device's connection to a gateway: at most one.
pub(crate) enum Connection {
    None,
    /// A thread resolves the name and connects: both may take long.
    Connecting(Number),
    Open(Open),
}

pub(crate) struct Open {
    number: Number,
    stream: TcpStream,
    /// What the system did not take yet.
    unsent: Vec<u8>,
    readable: bool,
}

/// What came of looking at a connection.
pub(crate) enum News {
    Received(Vec<u8>),
    Sent,
    Ended(String),
}

impl Connection {
    /// Begins to connect; a letter tells how it ended.
    pub(crate) fn open(&mut self, number: Number, address: String, post: Post) {
        *self = Connection::Connecting(number);
        let reply = post.clone();
        let connect = move || post.send(Letter::Connection { connection: number, result: connect(&address) });
        let spawned = std::thread::Builder::new().name("connect".into()).stack_size(SMALL_STACK).spawn(connect);
        if let Err(error) = spawned {
            reply.send(Letter::Connection { connection: number, result: Err(error) });
        }
    }

    /// Takes over what the thread made. `None` if nobody waits for it any more.
    pub(crate) fn connected(
        &mut self,
        number: Number,
        result: io::Result<StdStream>,
        registry: &Registry,
        token: Token,
    ) -> Option<io::Result<()>> {
        if !matches!(self, Connection::Connecting(waiting) if *waiting == number) {
            return None;
        }
        let open = result.and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(Open { number, stream, unsent: Vec::new(), readable: true })
        });
        match open {
            Ok(open) => {
                *self = Connection::Open(open);
                Some(Ok(()))
            }
            Err(error) => {
                *self = Connection::None;
                Some(Err(error))
            }
        }
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Connection::None => None,
            Connection::Connecting(number) => Some(*number),
            Connection::Open(open) => Some(open.number),
        }
    }

    /// Sends bytes; says whether they were all taken, or how it ended.
    pub(crate) fn send(&mut self, number: Number, bytes: &[u8]) -> Option<News> {
        match self {
            Connection::Open(open) if open.number == number => {
                open.unsent.extend_from_slice(bytes);
                let news = open.flush();
                self.after(news)
            }
            _ => None,
        }
    }

    /// The system says that something can be read or written.
    pub(crate) fn ready(&mut self) -> Option<News> {
        let Connection::Open(open) = self else { return None };
        open.readable = true;
        let news = if open.unsent.is_empty() { None } else { open.flush() };
        self.after(news)
    }

    /// Whether [`read`](Connection::read) may give something.
    pub(crate) fn is_readable(&self) -> bool {
        matches!(self, Connection::Open(Open { readable: true, .. }))
    }

    /// Reads one piece, if there is any: a gateway that never stops sending does not fill the memory.
    pub(crate) fn read(&mut self) -> Option<News> {
        let Connection::Open(open) = self else { return None };
        let news = open.read();
        self.after(news)
    }

    /// Closes it, after what was given to it is sent.
    pub(crate) fn close(&mut self, number: Number) {
        if self.number() != Some(number) {
            return;
        }
        let Connection::Open(open) = std::mem::replace(self, Connection::None) else { return };
        if open.unsent.is_empty() {
            return;
        }
        // The last bytes, an alert perhaps, are worth a moment, but not of the event loop.
        let _ = std::thread::Builder::new().name("farewell".into()).stack_size(SMALL_STACK).spawn(move || {
            let mut stream = StdStream::from(open.stream);
            let _ = stream.set_nonblocking(false);
            let _ = stream.set_write_timeout(Some(FAREWELL));
            let _ = stream.write_all(&open.unsent);
        });
    }

    fn after(&mut self, news: Option<News>) -> Option<News> {
        if matches!(news, Some(News::Ended(_))) {
            *self = Connection::None;
        }
        news
    }
}

impl Open {
    fn flush(&mut self) -> Option<News> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return Some(News::Ended("the gateway takes no more".into())),
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => return Some(News::Ended(error.to_string())),
            }
        }
        Some(News::Sent)
    }

    fn read(&mut self) -> Option<News> {
        let mut bytes = [0; 4096];
        while self.readable {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Some(News::Ended("the gateway closed the connection".into())),
                Ok(length) => return Some(News::Received(bytes[..length].to_vec())),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Readiness is told once: only this takes it back.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) => return Some(News::Ended(error.to_string())),
            }
        }
        None
    }
}

/// Resolves `host:port` and connects to the first of its addresses that answers.
fn connect(address: &str) -> io::Result<StdStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, format!("{address} has no address"));
    for candidate in address.to_socket_addrs()? {
        match StdStream::connect_timeout(&candidate, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
