//! A pipe between standard input and output and a TCP connection: how a guest of QEMU reaches its gateway.

use std::fs::File;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;

/// Connects to `address` (`host:port`) and carries bytes both ways, until either side ends.
///
/// It says nothing on standard error: QEMU gives its child one socket for all three, so that words of ours would reach the
/// guest in the middle of what the gateway says.
///
/// # Errors
/// When nothing listens there.
pub fn connect(address: &str) -> io::Result<()> {
    let gateway = TcpStream::connect(address)?;
    gateway.set_nodelay(true)?;
    // Not `Stdin` and `Stdout`, which hold back what is not a whole line.
    let guest_in = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let guest_out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    pipe(guest_in, guest_out, &gateway)
}

fn pipe(mut guest_in: File, mut guest_out: File, gateway: &TcpStream) -> io::Result<()> {
    let (mut to_gateway, mut from_gateway) = (gateway.try_clone()?, gateway.try_clone()?);
    let (ended, end) = mpsc::channel();
    let also_ended = ended.clone();
    // Whichever direction ends first ends both; the other thread, which may wait for ever, goes with the process.
    std::thread::spawn(move || ended.send(io::copy(&mut guest_in, &mut to_gateway).map(drop)));
    std::thread::spawn(move || also_ended.send(io::copy(&mut from_gateway, &mut guest_out).map(drop)));
    let ended = end.recv().unwrap_or(Ok(()));
    let _ = gateway.shutdown(Shutdown::Both);
    // A side that is gone while it was written to has ended, too.
    ended.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread::JoinHandle;

    use super::*;

    /// The guest's end, the gateway's end, and the pipe between them.
    fn piped() -> (UnixStream, TcpStream, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
        let out = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (gateway, _) = listener.accept().expect("it connected");
        let (guest, ours) = UnixStream::pair().expect("sockets work");
        let ours_too = ours.try_clone().expect("descriptors are there");
        let file = |socket: UnixStream| File::from(OwnedFd::from(socket));
        let pipe = std::thread::spawn(move || pipe(file(ours), file(ours_too), &out));
        (guest, gateway, pipe)
    }

    #[test]
    fn bytes_go_both_ways_at_once_and_not_by_the_line() {
        let (mut guest, mut gateway, _) = piped();
        let mut bytes = [0; 3];
        guest.write_all(b"\x16\x03\x01").expect("it is piped");
        gateway.read_exact(&mut bytes).expect("it is piped");
        assert_eq!(&bytes, b"\x16\x03\x01");
        gateway.write_all(b"\x02\n\x04").expect("it is piped");
        guest.read_exact(&mut bytes).expect("it is piped");
        assert_eq!(&bytes, b"\x02\n\x04");
    }

    #[test]
    fn it_ends_when_the_guest_does_and_the_gateway_hears_of_it() {
        let (mut guest, mut gateway, pipe) = piped();
        guest.write_all(b"the last words").expect("it is piped");
        drop(guest);
        let mut heard = String::new();
        gateway.read_to_string(&mut heard).expect("it is piped");
        assert_eq!(heard, "the last words");
        pipe.join().expect("it does not panic").expect("that is a good end");
    }

    #[test]
    fn it_ends_when_the_gateway_does() {
        let (guest, mut gateway, pipe) = piped();
        gateway.write_all(b"the last words").expect("it is piped");
        drop(gateway);
        pipe.join().expect("it does not panic").expect("that is a good end");
        let mut heard = [0; 14];
        (&guest).read_exact(&mut heard).expect("all of it came");
        assert_eq!(&heard, b"the last words");
    }

    #[test]
    fn a_gateway_that_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback works");
        let address = listener.local_addr().expect("it is bound").to_string();
        drop(listener);
        assert_eq!(connect(&address).expect_err("nothing listens").kind(), io::ErrorKind::ConnectionRefused);
    }
}
