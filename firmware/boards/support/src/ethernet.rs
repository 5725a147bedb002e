//! TCP over an Ethernet: embassy-net under the device's port.

use alloc::format;
use alloc::string::{String, ToString};
use core::convert::Infallible;
use core::fmt::Display;
use core::net::Ipv4Addr;
use core::pin::pin;

use embassy_futures::select::{Either, Either3, select, select3};
use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::{ConnectError, TcpSocket};
use embassy_net::{Config, DhcpConfig, IpAddress, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::Driver;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use wasmbed_agent::{Connection, Level, StaticAddress};

use crate::console;
use crate::network::{Network, Setup};
use crate::port::{Order, PIECE, Port, What};
use crate::probe::{Probe, ProbeError, Probes};
use crate::together;

/// Sockets at once: DHCP, DNS, the session, a probe.
const SOCKETS: usize = 4;
/// Bytes of the session that may come before they are read: a frame and its TLS.
const RECEIVE: usize = 4_096;
/// Bytes of the session that may wait to be acknowledged.
const SEND: usize = 2_048;
/// How long a name may take to resolve and a gateway to answer; the agent tries the next one, or again, later.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a gateway may not be heard of, whether or not anything waits for it.
const SILENCE: Duration = Duration::from_secs(20);
/// How often an idle connection asks the gateway whether it is there: without an answer within [`SILENCE`] it ends, and the
/// session's own heartbeat may be slower than that.
const ALIVE: Duration = Duration::from_secs(5);
/// How long a connection that is to be closed may take for its last bytes.
const FAREWELL: Duration = Duration::from_secs(1);

/// An Ethernet, by what starts its driver with a hardware address.
pub struct Ethernet<S>(S);

impl<S, D, E> Ethernet<S>
where
    S: FnOnce([u8; 6]) -> Result<D, E>,
    D: Driver,
    E: Display,
{
    /// An Ethernet whose driver is started by `start` when the device's address is known.
    pub fn new(start: S) -> Self {
        Self(start)
    }
}

impl<S, D, E> Network for Ethernet<S>
where
    S: FnOnce([u8; 6]) -> Result<D, E>,
    D: Driver,
    E: Display,
{
    async fn serve(self, setup: Setup, port: &Port, probes: &Probes) -> Infallible {
        match (self.0)(setup.hardware_address) {
            Ok(driver) => {
                let mut resources = StackResources::<SOCKETS>::new();
                let (stack, mut runner) = embassy_net::new(driver, config(setup.address), &mut resources, setup.random);
                let runner = pin!(async { runner.run().await });
                let (serve, answer) = (pin!(serve(stack, port)), pin!(answer(stack, probes)));
                together::forever([runner, serve, answer]).await
            }
            Err(error) => {
                let reason = error.to_string();
                console::line(Level::Error, None, &reason);
                refuse(&reason, port, probes).await
            }
        }
    }
}

fn config(address: Option<StaticAddress>) -> Config {
    let Some(address) = address else { return Config::dhcpv4(DhcpConfig::default()) };
    let cidr = Ipv4Cidr::new(Ipv4Addr::from(address.address), address.prefix);
    let gateway = address.router.map(Ipv4Addr::from);
    let mut config = StaticConfigV4 { address: cidr, gateway, dns_servers: Default::default() };
    config.dns_servers.extend(address.dns.map(Ipv4Addr::from));
    Config::ipv4_static(config)
}

/// Without a network every attempt fails, with the reason.
async fn refuse(reason: &str, port: &Port, probes: &Probes) -> ! {
    loop {
        match select(port.next_order(), probes.next()).await {
            Either::First(Order::Open { connection, .. }) => port.tell(connection, What::Ended(reason.into())).await,
            Either::First(_) => {}
            Either::Second(_) => probes.tell(Err(ProbeError::NoNetwork)),
        }
    }
}

/// Serves one connection after the other.
async fn serve(stack: Stack<'_>, port: &Port) -> Infallible {
    let mut receive = [0; RECEIVE];
    let mut send = [0; SEND];
    let mut next = None;
    loop {
        let order = match next.take() {
            Some(order) => order,
            None => port.next_order().await,
        };
        // What else is ordered is of a connection that ended meanwhile.
        let Order::Open { connection, address } = order else { continue };
        let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
        socket.set_timeout(Some(SILENCE));
        socket.set_keep_alive(Some(ALIVE));
        socket.set_nagle_enabled(false);
        match select(open(stack, &mut socket, &address), port.next_order()).await {
            Either::First(Ok(())) => {
                port.tell(connection, What::Opened).await;
                next = converse(&mut socket, connection, port).await;
            }
            Either::First(Err(reason)) => port.tell(connection, What::Ended(reason)).await,
            // It is to be closed, or another to be opened.
            Either::Second(order) => next = Some(order),
        }
        socket.abort();
        // The peer should hear of it.
        let _ = with_timeout(FAREWELL, socket.flush()).await;
    }
}

async fn open(stack: Stack<'_>, socket: &mut TcpSocket<'_>, address: &str) -> Result<(), String> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| format!("{address} is not host:port"))?;
    let port: u16 = port.parse().map_err(|_| format!("{address} is not host:port"))?;
    let connect = async {
        let address = resolve(stack, host).await?;
        socket.connect((address, port)).await.map_err(|error| match error {
            ConnectError::ConnectionReset => format!("{host}:{port} refused the connection"),
            ConnectError::TimedOut => format!("{host}:{port} does not answer"),
            ConnectError::NoRoute | ConnectError::InvalidState => format!("there is no way to {host}:{port}"),
        })
    };
    match with_timeout(CONNECT, connect).await {
        Ok(result) => result,
        Err(_) if stack.config_v4().is_none() => Err("the network gives no address (DHCP)".into()),
        Err(_) => Err(format!("{host}:{port} does not answer")),
    }
}

async fn resolve(stack: Stack<'_>, host: &str) -> Result<IpAddress, String> {
    stack.wait_config_up().await;
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(IpAddress::Ipv4(address));
    }
    let found = stack.dns_query(host, DnsQueryType::A).await.map_err(|error| match error {
        embassy_net::dns::Error::Failed => format!("{host} has no address, or no name server answers"),
        _ => format!("{host} is not a name"),
    })?;
    found.first().copied().ok_or_else(|| format!("{host} has no address"))
}

/// Carries bytes both ways until the connection ends or is to be closed. Returns an order that is not of it.
async fn converse(socket: &mut TcpSocket<'_>, connection: Connection, port: &Port) -> Option<Order> {
    let (mut reader, mut writer) = socket.split();
    let mut pending = alloc::vec::Vec::new();
    let mut sent = 0;
    let mut piece = [0; PIECE];
    loop {
        let read = async {
            port.room().await;
            reader.read(&mut piece).await
        };
        let write = async {
            if pending.is_empty() { core::future::pending().await } else { writer.write(&pending[sent..]).await }
        };
        match select3(read, write, port.next_order()).await {
            Either3::First(Ok(0)) => {
                port.tell(connection, What::Ended("the gateway closed the connection".into())).await;
                return None;
            }
            Either3::First(Ok(length)) => port.tell(connection, What::Received(piece[..length].to_vec())).await,
            Either3::Second(Ok(length)) => {
                sent += length;
                if sent == pending.len() {
                    pending.clear();
                    sent = 0;
                    port.tell(connection, What::Sent).await;
                }
            }
            Either3::First(Err(_)) | Either3::Second(Err(_)) => {
                port.tell(connection, What::Ended("the gateway or the network broke it off".into())).await;
                return None;
            }
            Either3::Third(Order::Send { connection: of, bytes }) if of == connection => pending.extend(bytes),
            Either3::Third(Order::Close { connection: of }) if of == connection => {
                // The last bytes, an alert perhaps, are worth a moment.
                let farewell = async {
                    while sent < pending.len() {
                        match writer.write(&pending[sent..]).await {
                            Ok(length) => sent += length,
                            Err(_) => return,
                        }
                    }
                    let _ = writer.flush().await;
                };
                let _ = with_timeout(FAREWELL, farewell).await;
                socket.close();
                let _ = with_timeout(FAREWELL, socket.flush()).await;
                return None;
            }
            Either3::Third(order @ Order::Open { .. }) => return Some(order),
            Either3::Third(_) => {}
        }
    }
}

/// Answers what applications ask of the network.
async fn answer(stack: Stack<'_>, probes: &Probes) -> Infallible {
    loop {
        let probe = probes.next().await;
        let answer = select(attempt(stack, &probe), Timer::after(probe.timeout)).await;
        probes.tell(match answer {
            Either::First(answer) => answer,
            Either::Second(()) => Err(ProbeError::TimedOut),
        });
    }
}

async fn attempt(stack: Stack<'_>, probe: &Probe) -> Result<Duration, ProbeError> {
    if stack.config_v4().is_none() {
        return Err(ProbeError::NoNetwork);
    }
    let address = resolve(stack, &probe.host).await.map_err(|_| ProbeError::Unknown)?;
    let (mut receive, mut send) = ([0; 16], [0; 16]);
    let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
    let begun = Instant::now();
    let result = socket.connect((address, probe.port)).await;
    let took = begun.elapsed();
    socket.abort();
    let _ = socket.flush().await;
    match result {
        Ok(()) => Ok(took),
        Err(ConnectError::ConnectionReset) => Err(ProbeError::Refused),
        Err(ConnectError::TimedOut) => Err(ProbeError::TimedOut),
        Err(ConnectError::NoRoute | ConnectError::InvalidState) => Err(ProbeError::NoNetwork),
    }
}
