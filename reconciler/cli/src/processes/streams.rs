//! How a component reaches another one, and is reached.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use wasmbed_streams::{Admission, Connector, Credentials, Door, Endpoint, TlsDoor, TokenReviews};

use crate::arguments::StreamArguments;

/// The audience of the tokens that callers show on a cluster.
const AUDIENCE: &str = "wasmbed";

/// Reaches `endpoint`, or the socket that is usual.
///
/// # Errors
/// When there is no usual one, or what an https endpoint is known by is missing.
pub(crate) fn connector_or(
    endpoint: Option<Endpoint>,
    streams: &StreamArguments,
    usual: impl FnOnce() -> Result<PathBuf>,
) -> Result<Connector> {
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => Endpoint::Unix(usual()?),
    };
    connector(endpoint, streams)
}

/// Reaches `endpoint`.
///
/// # Errors
/// When what an https endpoint is known by is missing.
pub(crate) fn connector(endpoint: Endpoint, streams: &StreamArguments) -> Result<Connector> {
    let credentials = Credentials {
        ca: streams.streams_ca.clone(),
        token: streams.streams_token.clone(),
        certificate: streams.streams_certificate.clone(),
    };
    Ok(Connector::new(endpoint, credentials)?)
}

/// A port that speaks TLS, for the users named: they show tokens, and `client` asks the API whose those are.
pub(crate) fn door(client: &kube::Client, listen: SocketAddr, tls: &Path, allow: &[String]) -> Door {
    let reviews = TokenReviews::new(client.clone(), AUDIENCE, allow.iter().cloned().collect());
    TlsDoor::new(listen, tls.to_owned(), Admission::Tokens(Arc::new(reviews))).into()
}
