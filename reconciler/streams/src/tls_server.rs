//! Serving streams on a port that speaks TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use crate::StreamError;
use crate::admission::Admission;
use crate::door::TlsDoor;
use crate::server::{KEEP_ALIVE, KEEP_ALIVE_PATIENCE};
use crate::server_certificate::ServerTls;

/// Connections at once. A component has as many as it has callers; who else comes is kept from taking all memory.
const CONNECTIONS: usize = 1024;
/// How long a caller has for TLS, and then again until it is let in.
const PATIENCE: Duration = Duration::from_secs(15);
/// The wait when the system has no descriptor left; they come back as connections end.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

struct Shared {
    tls: ServerTls,
    admission: Admission,
    router: Router,
    longest: Duration,
}

/// Binds the port; gives its address, and what serves it for ever.
pub(crate) async fn start(
    door: TlsDoor,
    router: Router,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send + 'static), StreamError> {
    let TlsDoor { listen, certificate, admission, longest } = door;
    let tls = ServerTls::new(&certificate, admission.client_ca())?;
    let bind = |source| StreamError::Bind { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let shared = Arc::new(Shared { tls, admission, router, longest });
    Ok((address, accept(listener, shared)))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => drop(connections.spawn(serve(Arc::clone(&shared), tcp, peer, place))),
                    Err(_) => tracing::debug!(%peer, "a caller is turned away: there are too many"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a stream");
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(shared: Arc<Shared>, tcp: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
    // A failure costs some milliseconds of delay and nothing else.
    let _ = tcp.set_nodelay(true);
    let shaking = TlsAcceptor::from(shared.tls.current()).accept(tcp);
    let stream = match tokio::time::timeout(PATIENCE, shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS session"),
        Err(_) => return tracing::debug!(%peer, "no TLS session in time"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned().map(Arc::new);
    let admitted = Arc::new(Notify::new());
    let service = {
        let (shared, admitted) = (Arc::clone(&shared), Arc::clone(&admitted));
        hyper::service::service_fn(move |request: Request<Incoming>| {
            let (shared, admitted, certificate) = (Arc::clone(&shared), Arc::clone(&admitted), certificate.clone());
            async move {
                let answer: Result<Response, Infallible> =
                    match shared.admission.admit(request.headers(), certificate.as_deref()).await {
                        Ok(()) => {
                            admitted.notify_one();
                            shared.router.clone().call(request).await
                        }
                        Err(refusal) => Ok(refusal.into_response()),
                    };
                answer
            }
        })
    };
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(1 << 20)
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_PATIENCE);
    let end = tokio::time::sleep(shared.longest.mul_f64(rand::random_range(0.75..1.0)));
    let is_let_in_late = async {
        if tokio::time::timeout(PATIENCE, admitted.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(%peer, %error, "a stream's connection ended");
            }
        }
        () = end => tracing::debug!(%peer, "a connection has reached its greatest age; its caller opens another one"),
        () = is_let_in_late => tracing::debug!(%peer, "a caller showed nothing in time that lets it in"),
    }
}
