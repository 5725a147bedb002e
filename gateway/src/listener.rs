//! Takes connections, as many as the limits allow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::closing::Closing;
use crate::connection;
use crate::context::Context;
use crate::places::{Place, Places};

/// Time to wait when the system has no descriptor left; they come back as connections end.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// How long connections have to end when the gateway stops.
const STOP: Duration = Duration::from_secs(3);

/// Serves connections until the gateway stops, and then until they have ended.
pub(crate) async fn serve(context: Arc<Context>, listener: TcpListener) {
    tokio::select! {
        () = context.ready() => {}
        () = context.draining.cancelled() => return,
    }
    let handshakes = Places::new(context.limits.handshakes, context.limits.handshakes_per_source);
    let mut connections = JoinSet::new();
    context.readiness.serving.holds("connections are taken");
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let source = peer.ip().to_canonical();
                    if context.is_suspended() {
                        context.count(&Closing::Suspended);
                    } else if let Some(place) = admit(&context, &handshakes, connections.len(), source) {
                        connections.spawn(connection::serve(context.clone(), tcp, source, place));
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
            () = context.draining.cancelled() => break,
        }
    }
    // Whoever connects from now on is refused by the system, and goes to another gateway.
    drop(listener);
    let drained = async {
        tokio::select! {
            () = context.shutdown.cancelled() => {}
            () = async { while connections.join_next().await.is_some() {} } => {}
        }
    };
    drained.await;
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP, all_ended).await;
}

fn admit(context: &Context, handshakes: &Places, connections: usize, source: IpAddr) -> Option<Place> {
    if connections >= context.limits.connections {
        return None;
    }
    handshakes.take(source)
}
