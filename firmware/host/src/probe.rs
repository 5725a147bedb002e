use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use wasmbed_runtime::Errno;

use crate::connection::SMALL_STACK;

/// Connects to `host:port` by TCP and closes again; the time from the first packet to the answer, without finding the
/// name's address. Returns within `timeout`.
pub(crate) fn probe(host: &str, port: u16, timeout: Duration) -> Result<Duration, Errno> {
    let deadline = Instant::now() + timeout;
    let addresses = resolve(host, port, timeout)?;
    let mut last = Errno::HOSTUNREACH;
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Errno::TIMEDOUT);
        }
        let begun = Instant::now();
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(begun.elapsed()),
            Err(error) => last = errno(&error),
        }
    }
    Err(last)
}

/// The system's resolver takes as long as it likes, so it does so on a thread that nobody waits for.
fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Errno> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let host = host.to_owned();
    let find = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        // The application may have given up.
        let _ = sender.send(found);
    };
    std::thread::Builder::new().name("resolve".into()).stack_size(SMALL_STACK).spawn(find).map_err(|_| Errno::AGAIN)?;
    match receiver.recv_timeout(timeout) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(_)) => Err(Errno::HOSTUNREACH),
        Err(_) => Err(Errno::TIMEDOUT),
    }
}

fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Errno::CONNREFUSED,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Errno::TIMEDOUT,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Errno::NETUNREACH,
        ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => Errno::HOSTUNREACH,
        _ => Errno::IO,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_peer_that_listens_answers_and_one_that_does_not_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        for host in ["127.0.0.1", "localhost"] {
            let round_trip = probe(host, port, Duration::from_secs(5)).expect("it listens");
            assert!(round_trip < Duration::from_secs(5), "{round_trip:?}");
        }
        drop(listener);
        assert_eq!(probe("127.0.0.1", port, Duration::from_secs(5)), Err(Errno::CONNREFUSED));
    }

    #[test]
    fn a_name_without_address_is_unreachable() {
        let error = probe("no-such-host.invalid", 80, Duration::from_secs(5)).expect_err("nobody has it");
        assert!([Errno::HOSTUNREACH, Errno::TIMEDOUT].contains(&error), "{error}");
    }
}
