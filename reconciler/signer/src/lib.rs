//! The signer: holds the assignment key and has one duty. Gateways open a stream to it and name their sessions; it
//! pushes a signed Assignment for each of them, and a new one whenever what the device should run changes.
//!
//! It keeps nothing: what it signs follows from the Devices, Applications and Rollouts of the API and from the
//! sessions it is told of, so that one that is killed and started again goes on where the last one was.

mod intent;
mod metrics;
mod numbers;
mod stream;
mod watch;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use wasmbed_health::Health;
use wasmbed_keys::{CurrentKey, KeySource};
use wasmbed_streams::{Door, StreamError, bidirectional, sessions};

use crate::metrics::Metrics;

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
    pub door: Door,
    /// Where it says how it is: ready once what the API holds has been listed.
    pub health: Health,
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
    let Options { client, namespace, fleet, assignment_key, door, health } = options;
    let key = CurrentKey::of(assignment_key, &client);
    let (watching, intents) = watch::start(&client, &namespace);
    let listed = health.requires("listed");
    listed.fails("Devices, Applications and Rollouts are being listed");
    let listing = tell_listed(intents.clone(), listed);
    let signing = Arc::new(stream::Signing::new(fleet, key, intents, Metrics::new(&health)));
    let router = Router::new().route(
        sessions::PATH,
        bidirectional(move |from, to| {
            let signing = Arc::clone(&signing);
            async move { signing.serve(from, to).await }
        }),
    );
    let server = wasmbed_streams::serve(door, router).await?;
    tracing::info!(endpoint = %server.endpoint(), "the signer is ready");
    tokio::select! {
        () = shutdown => {}
        _ = async { tokio::join!(watching, listing) } => {}
    }
    Ok(())
}

/// Says once everything that decides what devices run has been listed.
async fn tell_listed(mut intents: tokio::sync::watch::Receiver<Intents>, listed: wasmbed_health::Condition) {
    if intents.wait_for(Intents::is_listed).await.is_ok() {
        listed.holds("Devices, Applications and Rollouts are known");
    }
}
