//! Serving streams.

use std::fs::{DirBuilder, File, Permissions};
use std::future::Future;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::header;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use crate::StreamError;
use crate::door::Door;
use crate::endpoint::Endpoint;
use crate::item::{IN_FLIGHT, Receiver, Sender};

/// Connections that may wait to be accepted.
const WAITING: u32 = 128;

/// A CBOR sequence (RFC 8742, section 6).
pub(crate) const CONTENT_TYPE: &str = "application/cbor-seq";

/// On a stream to another machine each side asks this often whether the other one is still there.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long the other one has to say so.
pub(crate) const KEEP_ALIVE_PATIENCE: Duration = Duration::from_secs(10);

/// Streams that are being served. It stops, connections and all, when this is dropped.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Where; with port 0 asked for, the port that was drawn.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if let Endpoint::Unix(socket) = &self.endpoint {
            // Whoever finds the socket gone knows at once that nobody serves it.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Serves `router` over HTTP/2 until the [`Server`] is dropped: on a port over TLS, or on a Unix socket of mode 0600, where
/// a socket file that nobody serves any more is replaced.
///
/// # Errors
/// When another process serves the socket or the port, the system refuses it, or the certificate cannot be used.
pub async fn serve(door: impl Into<Door>, router: Router) -> Result<Server, StreamError> {
    let socket = match door.into() {
        Door::Owner(socket) => socket,
        Door::Tls(door) => {
            let (address, serving) = crate::tls_server::start(*door, router).await?;
            let endpoint = Endpoint::Https { host: address.ip().to_string(), port: address.port() };
            return Ok(Server { endpoint, task: tokio::spawn(serving) });
        }
    };
    let listener = listen(&socket).await?;
    let task = tokio::spawn(accept(listener, router));
    Ok(Server { endpoint: Endpoint::Unix(socket), task })
}

async fn listen(socket: &Path) -> Result<UnixListener, StreamError> {
    let listen = |source| StreamError::Listen { socket: socket.to_owned(), source };
    if UnixStream::connect(socket).await.is_ok() {
        return Err(StreamError::InUse { socket: socket.to_owned() });
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(listen(error)),
        _ => {}
    }
    if let Some(parent) = socket.parent() {
        // One that is there, `/tmp` perhaps, is not ours to close.
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(listen)?;
    }
    bind(socket).map_err(listen)
}

/// Binds a socket that only its owner may open, from its first moment on.
fn bind(socket: &Path) -> std::io::Result<UnixListener> {
    let unbound = UnixSocket::new_stream()?;
    // Linux makes the file with the mode that the socket has when it is bound.
    File::from(unbound.as_fd().try_clone_to_owned()?).set_permissions(Permissions::from_mode(0o600))?;
    unbound.bind(socket)?;
    unbound.listen(WAITING)
}

async fn accept(listener: UnixListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = TowerToHyperService::new(router.clone());
                    connections.spawn(async move {
                        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .initial_stream_window_size(1 << 20)
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                        if let Err(error) = served {
                            tracing::debug!(%error, "a stream's connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a stream");
                    // Only descriptors can be short here; they come back as connections end.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers a POST with a stream in both directions; `handler` runs until it returns, which ends the answer.
pub fn bidirectional<In, Out, F, Fut, S>(handler: F) -> MethodRouter<S>
where
    In: DeserializeOwned + 'static,
    Out: Serialize + 'static,
    F: Fn(Receiver<In>, Sender<Out>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
    S: Clone + Send + Sync + 'static,
{
    post(move |body: Body| {
        let handler = handler.clone();
        async move {
            let incoming = body.into_data_stream().map_err(|error| StreamError::Http(error.to_string())).boxed();
            respond(move |sender| handler(Receiver::new(incoming), sender))
        }
    })
}

/// An answer whose body `handler` writes; for a GET that streams.
pub fn respond<Out, F, Fut>(handler: F) -> Response
where
    Out: Serialize,
    F: FnOnce(Sender<Out>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (sender, outgoing) = mpsc::channel::<Bytes>(IN_FLIGHT);
    tokio::spawn(handler(Sender::new(sender)));
    let body = Body::from_stream(ReceiverStream::new(outgoing).map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}
