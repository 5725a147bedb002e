//! The HTTPS port on loopback, and the kubeconfig that reaches it.

mod authority;
mod kubeconfig;
mod secret_file;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use self::authority::Authority;
use crate::api::body::ResponseBody;
use crate::api::{ApiService, Shared};
use crate::status::ApiError;

/// How long a client may take for the handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Only this machine may reach the port.
    #[error("{0} is not a loopback address: the embedded API is for one machine; use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}; choose another port, or 0 for a free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key or certificate cannot be read or written.
    #[error(
        "{path}: {why}; delete the folder it is in to have keys made anew (kubeconfigs made before then end to work)"
    )]
    Keys {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or TLS set-up cannot be made.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The kubeconfig cannot be written.
    #[error("{path}: {source}: the kubeconfig cannot be written; check the folder and its rights")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The served port.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    authority: Authority,
}

impl Served {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.certificate()
    }

    /// A kubeconfig with a new client credential (valid for a year), whose context names the namespace.
    ///
    /// # Errors
    /// When the credential cannot be made.
    pub fn kubeconfig(&self, namespace: &str) -> Result<String, ServeError> {
        let (certificate, key) = self.authority.client("wasmbed-admin")?;
        Ok(kubeconfig::kubeconfig(self.address, self.ca_pem(), &certificate, &key, namespace))
    }

    /// Writes a kubeconfig to a file that only its owner can read, in place of the one that is there.
    ///
    /// # Errors
    /// When the credential cannot be made or the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path, namespace: &str) -> Result<(), ServeError> {
        let content = self.kubeconfig(namespace)?;
        secret_file::write(path, &content)
            .map_err(|source| ServeError::Kubeconfig { path: path.display().to_string(), source })
    }
}

/// Serves until everything closes.
pub(crate) async fn serve(shared: Arc<Shared>, keys: &Path, address: SocketAddr) -> Result<Served, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let authority = Authority::open(keys)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(&authority)?));
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::spawn(accept(listener, acceptor, shared));
    Ok(Served { address, authority })
}

fn tls(authority: &Authority) -> Result<ServerConfig, ServeError> {
    let fail = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der()?).map_err(|error| fail(&error))?;
    // A client without a certificate is answered 401, as Kubernetes does, rather than turned away in the handshake.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| fail(&error))?;
    let (chain, key) = authority.server()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| fail(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let closing = shared.closing.clone();
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, acceptor.clone(), ApiService(shared.clone())));
                }
                // Too many open files, or a connection that is gone again: others still come.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Only descriptors can be short, and they come back as connections end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, service: ApiService) {
    // Small answers should not wait for company; an error shows with the next read.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let known = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    let answer = hyper::service::service_fn(move |request| answer(service.clone(), known, request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    server.http2().timer(TokioTimer::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(
    mut service: ApiService,
    known: bool,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, std::convert::Infallible> {
    if !known {
        return Ok(ApiError::unauthorized().response());
    }
    let is_head = request.method() == http::Method::HEAD;
    let mut response = service.call(request).await?;
    if is_head {
        *response.body_mut() = ResponseBody::full(Bytes::new());
    }
    Ok(response)
}
