//! Takes connections, as many as the limits allow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::closing::Closing;
use crate::connection;
use crate::context::Context;
use crate::limits::Limits;

/// Time to wait when the system has no descriptor left; they come back as connections end.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// How long connections have to end when the gateway stops.
const STOP: Duration = Duration::from_secs(3);

/// Serves connections until the gateway stops, and then until they have ended.
pub(crate) async fn serve(context: Arc<Context>, listener: TcpListener) {
    tokio::select! {
        () = context.ready() => {}
        () = context.shutdown.cancelled() => return,
    }
    let handshakes = Handshakes::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let source = peer.ip().to_canonical();
                    if context.is_suspended() {
                        context.count(&Closing::Suspended);
                    } else if let Some(ticket) = admit(&context, &handshakes, connections.len(), source) {
                        connections.spawn(connection::serve(context.clone(), tcp, source, ticket));
                    } else {
                        context.count(&Closing::Crowded);
                    }
                }
                Err(error) => {
                    tracing::warn!(gateway = context.name, %error, "cannot take a connection");
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(gateway = context.name, %error, "a connection's task failed");
                }
            }
            () = context.shutdown.cancelled() => break,
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP, all_ended).await;
}

fn admit(context: &Context, handshakes: &Handshakes, connections: usize, source: IpAddr) -> Option<Ticket> {
    if connections >= context.limits.connections {
        return None;
    }
    handshakes.begin(source, &context.limits)
}

/// The handshakes under way, all together and by source.
#[derive(Clone, Debug, Default)]
struct Handshakes(Arc<Mutex<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Handshakes {
    fn begin(&self, source: IpAddr, limits: &Limits) -> Option<Ticket> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.all >= limits.handshakes {
            return None;
        }
        let from_source = under_way.by_source.entry(source).or_default();
        if *from_source >= limits.handshakes_per_source {
            return None;
        }
        *from_source += 1;
        under_way.all += 1;
        Some(Ticket { handshakes: self.clone(), source })
    }
}

/// The right to a handshake; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    handshakes: Handshakes,
    source: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut under_way = self.handshakes.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.all -= 1;
        if let Some(count) = under_way.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                under_way.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_by_source_and_together_and_places_come_back() {
        let limits = Limits { handshakes: 3, handshakes_per_source: 2, ..Limits::default() };
        let handshakes = Handshakes::default();
        let (a, b) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = handshakes.begin(a, &limits).expect("there is a place");
        let _second = handshakes.begin(a, &limits).expect("there is a place");
        assert!(handshakes.begin(a, &limits).is_none());
        let _third = handshakes.begin(b, &limits).expect("there is a place");
        assert!(handshakes.begin(b, &limits).is_none());
        drop(first);
        assert!(handshakes.begin(b, &limits).is_some());
    }
}
