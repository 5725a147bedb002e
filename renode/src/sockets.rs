//! Unix sockets in a device's folder.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Connections of a guest at a time; further ones are closed.
const CONNECTIONS: usize = 8;
/// After an accept that failed, which happens when this process has too many files open.
const AGAIN: Duration = Duration::from_secs(1);

/// Listens on `name` in `folder`, whatever was left there by an earlier process. Whoever may enter the folder may connect.
pub(crate) fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The path of a socket has at most 107 bytes (unix(7)), and a device's folder may lie deeper.
    let folder = File::open(folder)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

/// Carries each connection to the gateway at `address` (`host:port`), until it is dropped.
pub(crate) async fn to_gateway(listener: UnixListener, address: String) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((guest, _)) if connections.len() < CONNECTIONS => {
                    connections.spawn(carry(guest, address.clone()));
                }
                Ok(_) => tracing::warn!(gateway = address, "a guest has too many connections; one is closed"),
                Err(error) => {
                    tracing::warn!(%error, "a guest's connection cannot be accepted");
                    tokio::time::sleep(AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut guest: UnixStream, address: String) {
    let carried = async {
        let mut gateway = TcpStream::connect(&address).await?;
        gateway.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut guest, &mut gateway).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(gateway = address, %error, "a guest's connection ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_guest_reaches_the_gateway_from_a_folder_of_any_depth() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("d".repeat(150));
        std::fs::create_dir(&deep).expect("the disk works");
        std::fs::write(deep.join("s"), "left by an earlier process").expect("the disk works");
        let gateway = TcpListener::bind("127.0.0.1:0").await.expect("loopback works");
        let address = gateway.local_addr().expect("it is bound").to_string();
        let carrying = tokio::spawn(to_gateway(listen(&deep, "s").expect("it listens"), address));
        let open = File::open(&deep).expect("it is there");
        let path = format!("/proc/self/fd/{}/s", open.as_raw_fd());
        let mut guest = UnixStream::connect(path).await.expect("it listens");
        guest.write_all(b"hello").await.expect("it is carried");
        let (mut accepted, _) = gateway.accept().await.expect("it is carried");
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).await.expect("it is carried");
        assert_eq!(&heard, b"hello");
        drop(accepted);
        assert_eq!(guest.read(&mut heard).await.expect("it ends"), 0, "the end of one side is the end of the other");
        carrying.abort();
    }
}
