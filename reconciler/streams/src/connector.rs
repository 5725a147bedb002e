//! How another component is reached, and how the caller shows who it is.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::pem_files::{self, ALPN};
use crate::{StreamError, pem_files::unusable};

/// How long it may take until TLS is spoken.
const CONNECT: Duration = Duration::from_secs(10);

/// Reaches one [`Endpoint`]. Nothing is kept between two connections: a token or a CA that was renewed counts at once.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    /// The one address of its name to connect to; if `None`, any that answers.
    address: Option<SocketAddr>,
    credentials: Credentials,
}

/// Files by which both sides of a TLS connection know each other. A Unix socket needs none of them.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The CA certificates (PEM) that sign the server's.
    pub ca: Option<PathBuf>,
    /// A bearer token, such as a projected ServiceAccount token.
    pub token: Option<PathBuf>,
    /// A folder with the client's own `tls.crt` and `tls.key` (PEM).
    pub certificate: Option<PathBuf>,
}

/// A byte stream to the server.
pub(crate) trait Bytes: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Bytes for T {}

impl Connector {
    /// Reaches `endpoint` with `credentials`.
    ///
    /// # Errors
    /// When an `https` endpoint has no CA to know its certificate by.
    pub fn new(endpoint: Endpoint, credentials: Credentials) -> Result<Self, StreamError> {
        if matches!(endpoint, Endpoint::Https { .. }) && credentials.ca.is_none() {
            return Err(StreamError::NoCa { endpoint });
        }
        Ok(Self { endpoint, address: None, credentials })
    }

    /// Reaches a Unix socket.
    #[must_use]
    pub fn unix(socket: &Path) -> Self {
        Self { endpoint: socket.into(), address: None, credentials: Credentials::default() }
    }

    /// What it reaches.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One for each address that the endpoint's name leads to now, as that of a Service without an address of its own leads to
    /// every pod. Their certificates are all for that name.
    ///
    /// # Errors
    /// When the name leads nowhere.
    pub async fn each_address(&self) -> Result<Vec<Self>, StreamError> {
        let Endpoint::Https { host, port } = &self.endpoint else { return Ok(vec![self.clone()]) };
        let connect = |source| StreamError::Connect { endpoint: self.endpoint.clone(), source };
        let addresses: BTreeSet<_> = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(connect)?.collect();
        Ok(addresses.into_iter().map(|address| Self { address: Some(address), ..self.clone() }).collect())
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Bytes>, StreamError> {
        let connect = |source| StreamError::Connect { endpoint: self.endpoint.clone(), source };
        match &self.endpoint {
            Endpoint::Unix(socket) => Ok(Box::new(UnixStream::connect(socket).await.map_err(connect)?)),
            Endpoint::Https { host, port } => {
                let shaking = self.shake(host, *port);
                let shaken = tokio::time::timeout(CONNECT, shaking).await;
                shaken.unwrap_or_else(|_| {
                    Err(connect(std::io::Error::new(
                        std::io::ErrorKind::TimedOut,
                        format!("no TLS session within {} s", CONNECT.as_secs()),
                    )))
                })
            }
        }
    }

    async fn shake(&self, host: &str, port: u16) -> Result<Box<dyn Bytes>, StreamError> {
        let config = Arc::new(self.config()?);
        let connect = |source| StreamError::Connect { endpoint: self.endpoint.clone(), source };
        let tls = |reason: String| StreamError::Tls { endpoint: self.endpoint.clone(), reason };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| tls(error.to_string()))?;
        let tcp = match self.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((host, port)).await,
        }
        .map_err(connect)?;
        // A failure costs some milliseconds of delay and nothing else.
        let _ = tcp.set_nodelay(true);
        let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| tls(error.to_string()))?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(tls("it speaks no HTTP/2".to_owned()));
        }
        Ok(Box::new(stream))
    }

    fn config(&self) -> Result<ClientConfig, StreamError> {
        let Some(ca) = &self.credentials.ca else {
            return Err(StreamError::NoCa { endpoint: self.endpoint.clone() });
        };
        let builder = ClientConfig::builder_with_provider(pem_files::provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| unusable(ca, &error))?
            .with_root_certificates(pem_files::roots(ca)?);
        let mut config = match &self.credentials.certificate {
            Some(folder) => {
                let (chain, key) = pem_files::certificate(folder)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| unusable(folder, &error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    /// The header that shows who calls, if a token does.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, StreamError> {
        let (Endpoint::Https { .. }, Some(path)) = (&self.endpoint, &self.credentials.token) else { return Ok(None) };
        let token = pem_files::token(path)?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| unusable(path, &error))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.endpoint, self.address) {
            (Endpoint::Https { host, .. }, Some(address)) if *host != address.ip().to_string() => {
                write!(f, "{} at {}", self.endpoint, address.ip())
            }
            (endpoint, _) => write!(f, "{endpoint}"),
        }
    }
}

impl From<&Self> for Connector {
    fn from(connector: &Self) -> Self {
        connector.clone()
    }
}

impl From<&Path> for Connector {
    fn from(socket: &Path) -> Self {
        Self::unix(socket)
    }
}

impl From<&PathBuf> for Connector {
    fn from(socket: &PathBuf) -> Self {
        Self::unix(socket)
    }
}

impl From<PathBuf> for Connector {
    fn from(socket: PathBuf) -> Self {
        Self::unix(&socket)
    }
}
