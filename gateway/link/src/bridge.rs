//! One line and the connection to the gateway behind it.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout};
use wasmbed_protocol::link::{End, FrameBuffer, HostLink, HostState, MAX_WIRE, Reason, StreamId};

use crate::event::Event;
use crate::lines::Lines;
use crate::{Gateway, Options};

/// How long a gateway may take to be connected to. Shorter than a device waits for the answer to OPEN.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the goodbye to the device may take when the link is shut down.
const GOODBYE: Duration = Duration::from_secs(1);
/// Why connections end then.
const SHUT_DOWN: &str = "the link was shut down";
/// Bytes read from either side at once.
const READ: usize = 2048;

/// The line is gone.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The other end closed it: an emulator ended, a cable was unplugged.
    #[error("the line was closed")]
    Closed,
    /// It failed.
    #[error("the line failed: {0}")]
    Failed(#[from] io::Error),
}

/// Serves a device's line until `shutdown` completes: connects the device to the gateways of `options`, and tells what its
/// log says. The device hears that the link ends; so does it when this future is dropped, but later.
///
/// # Errors
/// When the line itself ends or fails. What happens to connections is told to the observer, and ends nothing.
pub async fn serve<S>(line: S, options: &Options, shutdown: impl Future<Output = ()>) -> Result<(), LineError>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(line);
    let mut bridge = Bridge::new(options);
    let mut shutdown = std::pin::pin!(shutdown);
    let mut stop_by: Option<Instant> = None;
    let (mut from_line, mut from_gateway) = ([0; READ], [0; READ]);
    let mut out = Vec::with_capacity(MAX_WIRE);
    let mut frame = FrameBuffer::new();
    let ended = loop {
        bridge.follow();
        if out.is_empty() {
            // One frame at a time, so that answers are not behind a queue of bytes.
            out.extend_from_slice(bridge.link.transmit(bridge.now(), &mut frame).unwrap_or_default());
        }
        if stop_by.is_some_and(|by| Instant::now() >= by || (out.is_empty() && bridge.is_quiet())) {
            break Ok(());
        }
        let deadline = bridge.deadline().into_iter().chain(stop_by).min();
        let space = bridge.link.space().min(READ);
        let Bridge { link, connection, .. } = &mut bridge;
        tokio::select! {
            () = &mut shutdown, if stop_by.is_none() => {
                stop_by = Some(Instant::now() + GOODBYE);
                bridge.stop();
            }
            read = reader.read(&mut from_line) => match read {
                Ok(0) => break Err(LineError::Closed),
                Ok(count) => bridge.receive(&from_line[..count]),
                Err(error) => break Err(error.into()),
            },
            written = writer.write(&out), if !out.is_empty() => match written {
                Ok(0) => break Err(LineError::Closed),
                Ok(count) => drop(out.drain(..count)),
                Err(error) => break Err(error.into()),
            },
            news = connection.progress(link.received(), &mut from_gateway[..space]) => bridge.take(news, &from_gateway),
            () = sleep(deadline) => {}
        }
    };
    bridge.end(if stop_by.is_some() { SHUT_DOWN } else { "the line was lost" });
    ended
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

struct Bridge<'a> {
    options: &'a Options,
    link: HostLink,
    started: Instant,
    connection: Connection,
    log: Lines,
    is_stopping: bool,
}

/// The connection to a gateway that belongs to the device's stream.
enum Connection {
    None,
    Connecting(StreamId, Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open(Box<Open>),
}

struct Open {
    id: StreamId,
    address: String,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// The gateway has ended it, or it broke: nothing is read or written any more.
    is_over: bool,
    up: u64,
    down: u64,
}

/// What came of waiting for a connection.
enum News {
    Connected(io::Result<TcpStream>),
    /// The gateway took bytes.
    Wrote(io::Result<usize>),
    /// The gateway sent bytes.
    Read(io::Result<usize>),
}

impl Connection {
    fn id(&self) -> Option<StreamId> {
        match self {
            Self::None => None,
            Self::Connecting(id, _) => Some(*id),
            Self::Open(open) => Some(open.id),
        }
    }

    /// Waits until it is made, takes some of `up`, or puts something into `down`.
    async fn progress(&mut self, up: &[u8], down: &mut [u8]) -> News {
        match self {
            Self::Connecting(_, connecting) => News::Connected(connecting.await),
            Self::Open(open) if !open.is_over => {
                let Open { reader, writer, .. } = &mut **open;
                let has_space = !down.is_empty();
                tokio::select! {
                    wrote = writer.write(up), if !up.is_empty() => News::Wrote(wrote),
                    read = reader.read(down), if has_space => News::Read(read),
                    else => pending().await,
                }
            }
            Self::None | Self::Open(_) => pending().await,
        }
    }
}

impl<'a> Bridge<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            link: HostLink::new(rand::random()),
            started: Instant::now(),
            connection: Connection::None,
            log: Lines::default(),
            is_stopping: false,
        }
    }

    /// The link's clock, in milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn deadline(&self) -> Option<Instant> {
        let at = self.link.next_deadline(self.now())?;
        Some(self.started + Duration::from_millis(at))
    }

    /// Whether nothing is left to say to the device.
    fn is_quiet(&self) -> bool {
        !matches!(self.link.state(), HostState::Open(_)) && self.link.next_deadline(self.now()).is_none()
    }

    /// Brings the connection to what the device wants.
    fn follow(&mut self) {
        match self.link.state() {
            HostState::Idle => self.leave(None),
            HostState::Asked(id) if self.connection.id() != Some(id) => {
                self.leave(Some(End::Replaced));
                self.connect(id);
            }
            HostState::Asked(_) => {}
            HostState::Open(id) if self.connection.id() != Some(id) => self.link.close(Reason::Broken, self.now()),
            HostState::Open(_) => {}
            HostState::Ended(id, end) if self.connection.id() == Some(id) => self.leave(Some(end)),
            // Refused without being asked for here: another version, or no address.
            HostState::Ended(..) => self.leave(Some(End::Replaced)),
        }
    }

    fn connect(&mut self, id: StreamId) {
        let named = self.link.address().to_owned();
        if self.is_stopping {
            return self.refuse(id, named, Reason::ShuttingDown, None);
        }
        match self.options.gateways.iter().find(|gateway| gateway.named == named) {
            None => self.refuse(id, named, Reason::NotAllowed, None),
            Some(Gateway { address, .. }) => {
                let address = address.clone();
                let connecting = async move {
                    let connected = timeout(CONNECT, TcpStream::connect(address)).await;
                    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                    stream.set_nodelay(true)?;
                    Ok(stream)
                };
                self.connection = Connection::Connecting(id, Box::pin(connecting));
            }
        }
    }

    fn refuse(&mut self, id: StreamId, address: String, reason: Reason, why: Option<io::Error>) {
        self.link.refuse(id, reason);
        let reason = why.map_or_else(|| reason.to_string(), |why| format!("{reason}: {why}"));
        self.tell(Event::Refused { address, reason });
    }

    /// Takes what the line brought.
    fn receive(&mut self, bytes: &[u8]) {
        self.link.receive(bytes, self.now());
        while !self.link.log().is_empty() {
            let text = self.link.log();
            self.log.take(text, &*self.options.observer);
            self.link.consume_log(text.len());
        }
    }

    /// Takes what the gateway's side did.
    fn take(&mut self, news: News, bytes: &[u8]) {
        let now = self.now();
        match (news, &mut self.connection) {
            (News::Connected(result), Connection::Connecting(id, _)) => {
                let id = *id;
                self.connection = Connection::None;
                // The device may have asked for another meanwhile.
                let address = self.link.address().to_owned();
                match result {
                    _ if self.link.state() != HostState::Asked(id) => {}
                    Ok(stream) => {
                        let (reader, writer) = stream.into_split();
                        let open =
                            Open { id, address: address.clone(), reader, writer, is_over: false, up: 0, down: 0 };
                        self.connection = Connection::Open(Box::new(open));
                        self.link.accept(id);
                        self.tell(Event::Opened { address });
                    }
                    Err(error) => self.refuse(id, address, Reason::Unreachable, Some(error)),
                }
            }
            (News::Wrote(Ok(count)), Connection::Open(open)) if count > 0 => {
                open.up += count as u64;
                self.link.consume(count);
            }
            (News::Read(Ok(count)), Connection::Open(open)) if count > 0 => {
                let taken = self.link.send(&bytes[..count]);
                debug_assert_eq!(taken, count, "no more is read than there is space for");
                open.down += count as u64;
            }
            (News::Read(Ok(_)), Connection::Open(open)) => {
                open.is_over = true;
                self.link.close(Reason::Finished, now);
            }
            (_, Connection::Open(open)) => {
                open.is_over = true;
                self.link.close(Reason::Broken, now);
            }
            (_, Connection::None | Connection::Connecting(..)) => {}
        }
    }

    /// Ends the connection, if there is one.
    fn leave(&mut self, end: Option<End>) {
        if let Connection::Open(open) = std::mem::replace(&mut self.connection, Connection::None) {
            let Open { address, up, down, .. } = *open;
            let end = end.unwrap_or(End::PeerReset);
            let reason = if self.is_stopping { SHUT_DOWN.to_owned() } else { end.to_string() };
            self.tell(Event::Ended { address, reason, up, down });
        }
    }

    fn stop(&mut self) {
        self.is_stopping = true;
        self.link.close(Reason::ShuttingDown, self.now());
        if let Connection::Open(open) = &mut self.connection {
            open.is_over = true;
        }
    }

    fn end(&mut self, why: &str) {
        self.log.end(&*self.options.observer);
        if let Connection::Open(open) = std::mem::replace(&mut self.connection, Connection::None) {
            let Open { address, up, down, .. } = *open;
            self.tell(Event::Ended { address, reason: why.to_owned(), up, down });
        }
    }

    fn tell(&self, event: Event) {
        (self.options.observer)(event);
    }
}
