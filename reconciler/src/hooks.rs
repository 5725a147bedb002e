//! `POST /hooks/<token>`: a forge says that there is something new.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

#[derive(Clone)]
struct Hooks {
    token: watch::Receiver<Option<String>>,
    trigger: Arc<Notify>,
}

/// Answers webhooks until the process ends. The body is not read: it says nothing that fetching does not say better.
pub(crate) async fn serve(
    listener: TcpListener,
    token: watch::Receiver<Option<String>>,
    trigger: Arc<Notify>,
) -> std::io::Result<()> {
    let router = Router::new().route("/hooks/{token}", post(called)).with_state(Hooks { token, trigger });
    axum::serve(listener, router).await
}

/// Binds the address; what it really is comes back (port 0 draws one).
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

async fn called(State(hooks): State<Hooks>, Path(named): Path<String>) -> StatusCode {
    let is_right = hooks.token.borrow().as_ref().is_some_and(|token| same(token, &named));
    if !is_right {
        return StatusCode::NOT_FOUND;
    }
    hooks.trigger.notify_one();
    StatusCode::ACCEPTED
}

/// Compares digests, so that the time it takes says nothing of the token.
fn same(token: &str, named: &str) -> bool {
    Sha256::digest(token) == Sha256::digest(named)
}
