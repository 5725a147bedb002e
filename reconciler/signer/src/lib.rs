//! The signer: holds the assignment key and has one duty. Gateways open a stream to it and name their sessions; it
//! pushes a signed Assignment for each of them, and a new one whenever what the device should run changes.
//!
//! It keeps nothing: what it signs follows from the Devices, Applications and Rollouts of the API and from the
//! sessions it is told of, so that one that is killed and started again goes on where the last one was.

mod intent;
mod numbers;
mod stream;
mod watch;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use wasmbed_keys::{CurrentKey, KeySource};
use wasmbed_streams::{StreamError, bidirectional, sessions};

pub use intent::{Entries, Intents};

/// What a signer needs.
pub struct Options {
    /// The API.
    pub client: kube::Client,
    /// The fleet's namespace.
    pub namespace: String,
    /// Name of the Fleet.
    pub fleet: String,
    /// The key that signs Assignments. When it is replaced, every session gets its Assignment anew.
    pub assignment_key: KeySource,
    /// Where gateways reach it.
    pub socket: PathBuf,
}

/// Why a signer ended.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The socket cannot be served.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Signs until `shutdown` completes.
///
/// # Errors
/// When the socket cannot be served. A lost API or gateway is no error: both come back.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), SignerError> {
    let Options { client, namespace, fleet, assignment_key, socket } = options;
    let key = CurrentKey::of(assignment_key, &client);
    let (watching, intents) = watch::start(&client, &namespace);
    let signing = Arc::new(stream::Signing::new(fleet, key, intents));
    let router = Router::new().route(
        sessions::PATH,
        bidirectional(move |from, to| {
            let signing = Arc::clone(&signing);
            async move { signing.serve(from, to).await }
        }),
    );
    let _server = wasmbed_streams::serve(&socket, router).await?;
    tracing::info!(socket = %socket.display(), "the signer is ready");
    tokio::select! {
        () = shutdown => {}
        () = watching => {}
    }
    Ok(())
}
