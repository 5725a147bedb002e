//! The HTTP server.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::prometheus_text;
use tokio::net::TcpListener;

use crate::Health;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot answer for this component's health on {address}: {source}; give another --listen-health")]
pub struct ServeError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct HealthServer {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl HealthServer {
    /// Where it listens; with port 0 asked for, the port that was drawn.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers for `health` on `listen`, in plaintext: nothing secret is said.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(listen: SocketAddr, health: Health) -> Result<HealthServer, ServeError> {
    let failed = |source| ServeError { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    let task = tokio::spawn(async move {
        // It ends when it is aborted, and never by itself.
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "health is not answered for any more");
        }
    });
    Ok(HealthServer { address, task })
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_text())
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.to_metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
