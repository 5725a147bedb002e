//! A Service: one address for several pods.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};

/// A Service that carries connections to its pods while the test runs.
pub struct PlayedService {
    /// Where it is reached.
    pub address: SocketAddr,
    backends: Arc<Mutex<Vec<SocketAddr>>>,
}

impl PlayedService {
    /// One without pods.
    pub async fn listen(address: SocketAddr) -> Self {
        let backends = Arc::default();
        tokio::spawn(carry(TcpListener::bind(address).await.unwrap(), Arc::clone(&backends)));
        Self { address, backends }
    }

    /// Adds a pod.
    pub fn join(&self, pod: SocketAddr) {
        self.backends.lock().unwrap().push(pod);
    }
}

/// Carries connections to its pods: to one that takes them, the next one first each time.
async fn carry(listener: TcpListener, backends: Arc<Mutex<Vec<SocketAddr>>>) {
    let mut next = 0;
    while let Ok((mut client, _)) = listener.accept().await {
        next += 1;
        let mut order = backends.lock().unwrap().clone();
        if !order.is_empty() {
            let by = next % order.len();
            order.rotate_left(by);
        }
        tokio::spawn(async move {
            for backend in order {
                if let Ok(mut pod) = TcpStream::connect(backend).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut pod).await;
                    return;
                }
            }
        });
    }
}
