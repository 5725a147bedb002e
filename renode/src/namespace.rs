//! A network that holds one guest and its gateways, and nothing else: a network namespace with a TAP in it.
//!
//! The program `wasmbed in-network` is in it alone with the emulator. What a guest says to `10.0.2.100:4433` goes by a Unix
//! socket, which no network namespace holds back, to the emulator's own process, and from there to the gateway.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid, getppid};

use crate::guard::guarded;
use crate::qemu::gateway_address;
use crate::renode::TAP;

/// The guest's own address.
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// Bits of the network's address.
pub(crate) const PREFIX: u8 = 24;
/// Connections of a guest at a time; further ones are closed.
const CONNECTIONS: usize = 8;

/// Runs `program` in a network of its own until it ends. The gateways are the `sockets`, in their order.
///
/// This has to be called while the process has one thread. `parent` is the process that ends this one with its own end; `own`
/// is the program `wasmbed`.
///
/// # Errors
/// The system lets this user make no such network, or the program cannot be started.
pub fn run_in_network(
    parent: u32,
    sockets: &[PathBuf],
    own: &Path,
    program: &Path,
    arguments: Vec<OsString>,
) -> io::Result<ExitStatus> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|error| {
        io::Error::other(format!(
            "this user may make no network namespace ({error}); docs/getting-started.md says what to do where no sandbox starts"
        ))
    })?;
    // Root in here is this user outside: no more than before, except over this network.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    // A change of what a process may do can take this setting away (prctl(2)).
    set_pdeathsig(Signal::SIGKILL)?;
    if u32::try_from(getppid().as_raw()).ok() != Some(parent) {
        return Err(io::Error::other(format!("the process {parent} that started this one is gone")));
    }
    make_network(sockets.len())?;
    for (index, socket) in (0..).zip(sockets) {
        let listener = TcpListener::bind(gateway_address(index))?;
        let socket = socket.clone();
        std::thread::spawn(move || serve(&listener, &socket));
    }
    Command::new(own).args(guarded(program, arguments, None)).status()
}

/// Loopback, and a TAP where there are gateways: a guest with a link needs none.
fn make_network(gateways: usize) -> io::Result<()> {
    let ip = |words: &str| {
        let output = Command::new("ip")
            .args(words.split(' '))
            .output()
            .map_err(|error| io::Error::other(format!("the program ip (Debian package iproute2): {error}")))?;
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(()).ok_or_else(|| io::Error::other(format!("ip {words}: {}", said.trim())))
    };
    // That of this network, which is not the computer's.
    ip("link set lo up")?;
    if gateways == 0 {
        return Ok(());
    }
    ip(&format!("tuntap add dev {TAP} mode tap"))?;
    for index in (0..).take(gateways) {
        let address = gateway_address(index);
        let host = address.split(':').next().unwrap_or_default();
        ip(&format!("address add {host}/{PREFIX} dev {TAP}"))?;
    }
    ip(&format!("link set {TAP} up"))
}

fn serve(listener: &TcpListener, socket: &Path) {
    let places = std::sync::Arc::new(());
    for guest in listener.incoming().map_while(Result::ok) {
        // Each connection holds a place; the listener holds one, too.
        let place = std::sync::Arc::clone(&places);
        if std::sync::Arc::strong_count(&places) > CONNECTIONS + 1 {
            continue;
        }
        // Not there: the guest sees its connection closed, as it would with a gateway that is away.
        let Ok(gateway) = UnixStream::connect(socket) else { continue };
        std::thread::spawn(move || {
            let _place = place;
            let _ = carry(&guest, &gateway);
        });
    }
}

fn carry(guest: &TcpStream, gateway: &UnixStream) -> io::Result<()> {
    guest.set_nodelay(true)?;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _ = io::copy(&mut { guest }, &mut { gateway });
            let _ = gateway.shutdown(Shutdown::Both);
        });
        let _ = io::copy(&mut { gateway }, &mut { guest });
        let _ = guest.shutdown(Shutdown::Both);
    });
    Ok(())
}
