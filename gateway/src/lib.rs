//! A courier between the cluster and the devices.
//!
//! [`run`] serves one Gateway: devices connect to it over TLS 1.3, each side known by its raw Ed25519 key, and speak
//! [`wasmbed_protocol`]. It tells the signer which sessions there are, carries the signed Assignments, Releases and the
//! modules to the devices, and writes what devices tell into their statuses. It signs nothing and decides nothing: all it
//! could do wrong is to withhold.
//!
//! A connection is one task. The session in it is a state machine without I/O (`session.rs`), the loop around it
//! (`connection.rs`) takes nothing more from a device while something is left to be read or written for it. An idle
//! session costs about 21 KB of resident memory, all told (`benches/idle_sessions.rs` measures it).

mod board;
mod cache;
mod closing;
mod connection;
mod context;
mod directory;
mod drain;
mod identity;
mod limits;
mod link;
mod listener;
mod pending;
mod places;
mod rate;
mod readiness;
mod replica;
mod session;
mod sessions;
mod signer;
mod store;
mod summary;
mod tls;
mod watch;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use wasmbed_api::{Endpoint, Gateway};
use wasmbed_health::Health;
use wasmbed_keys::SecretPlace;
use wasmbed_registry::Registry;
use wasmbed_streams::Connector;
use wasmbed_streams::live::LiveHub;

use crate::context::{Context, Parts};
pub use crate::limits::Limits;

/// How long the last statuses may take to be written when the gateway stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What one gateway is to serve, and with what.
pub struct Options {
    /// The API that holds the fleet.
    pub client: Client,
    /// The fleet's namespace.
    pub namespace: String,
    /// The Gateway's name.
    pub name: String,
    /// Namespace of the Secret with this gateway's identity.
    pub identity_namespace: String,
    /// Name of that Secret: entries `tls.seed` and `credential.cose`.
    pub identity_secret: String,
    /// Names this process among those that serve the Gateway: it holds a Lease for that time, and tells of itself alone. Absent
    /// where no other process serves the Gateway.
    pub replica: Option<String>,
    /// Where to listen. With port 0, the port in `Gateway.status.address` if it is free, so that devices find the gateway
    /// again; else any.
    pub listen: SocketAddr,
    /// What devices are told to connect to; where it listens if absent. All replicas say the same.
    pub advertise: Option<Endpoint>,
    /// Reaches the signer.
    pub signer: Connector,
    /// Where modules lie that no ConfigMap holds.
    pub registry: Option<Registry>,
    /// How long ending the sessions may take when the gateway stops. They end spread over it, so that the devices do not come
    /// to other gateways in one wave; with zero they end at once, where there is no other one.
    pub drain: Duration,
    /// Where it says how it is.
    pub health: Health,
    /// Where heartbeats, logs, outputs and phases go.
    pub live: LiveHub,
    /// Bounds on memory, time and rates.
    pub limits: Limits,
}

/// Why a gateway cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API does not answer.
    #[error("cannot read Gateway {name}: {source}")]
    Api {
        /// The Gateway.
        name: String,
        /// What the API, or the way to it, said.
        source: Box<kube::Error>,
    },
    /// The address cannot be listened on.
    #[error("gateway {name} cannot listen on {address}: {source}; is another process there?")]
    Listen {
        /// The Gateway.
        name: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Serves one Gateway until `shutdown` completes, then ends its sessions and writes their last statuses.
///
/// # Errors
/// Only before anything is served: see [`Error`]. That it cannot listen, and what fails later and is tried again, is said in
/// the Gateway's conditions too.
pub async fn run(options: Options, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
    let name = options.name;
    let api = Api::<Gateway>::namespaced(options.client.clone(), &options.namespace);
    let declared =
        api.get_opt(&name).await.map_err(|source| Error::Api { name: name.clone(), source: Box::new(source) })?;
    let bound =
        bind(options.listen, declared.as_ref()).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (local, listener) = match bound {
        Ok(bound) => bound,
        Err(source) => {
            let error = Error::Listen { name, address: options.listen, source };
            if let Some(declared) = &declared {
                summary::write_unserved(&api, declared, &error.to_string()).await;
            }
            return Err(error);
        }
    };
    let address =
        options.advertise.unwrap_or_else(|| Endpoint { host: local.ip().to_string(), port: Some(local.port()) });
    tracing::info!(gateway = name, %address, "listening for devices");

    let context = Arc::new(Context::new(Parts {
        health: options.health,
        client: options.client,
        namespace: options.namespace,
        identity: SecretPlace { namespace: options.identity_namespace, name: options.identity_secret },
        replica: options.replica,
        name,
        address,
        limits: options.limits,
        registry: options.registry,
        live: options.live,
    }));
    context.declared.send_replace(declared.map(Arc::new));

    // Whoever drops this future ends the connections too.
    let serving = AbortOnDropHandle::new(tokio::spawn(listener::serve(context.clone(), listener)));
    let work = async {
        tokio::join!(
            watch::devices(&context),
            watch::declaration(&context),
            watch::credentials(&context),
            writer::run(&context),
            summary::run(&context),
            signer::run(&context, &options.signer),
            replica::hold(&context),
        )
    };
    // A part that ends, which none does by itself, is not asked again.
    let work = work.fuse();
    tokio::pin!(work);
    tokio::select! {
        _ = &mut work => {}
        () = shutdown => {}
    }
    context.readiness.serving.fails("the gateway stops");
    context.draining.cancel();
    if !options.drain.is_zero() {
        // Sessions live on meanwhile, and so does all that serves them.
        tokio::select! {
            _ = &mut work => {}
            () = drain::drain(&context, options.drain) => {}
        }
    }
    context.shutdown.cancel();
    if let Err(error) = serving.await {
        tracing::error!(gateway = context.name, %error, "the listener's task failed");
    }
    let last_words = async {
        writer::round(&context).await;
        summary::write_last(&context).await;
        replica::release(&context).await;
    };
    if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
        tracing::warn!(gateway = context.name, "stopped before the last statuses were written");
    }
    tracing::info!(gateway = context.name, closings = ?context.closings(), "stopped");
    Ok(())
}

/// Listens, on the port devices know if any will do.
async fn bind(listen: SocketAddr, declared: Option<&Gateway>) -> std::io::Result<TcpListener> {
    let known = declared.and_then(|gateway| gateway.status.as_ref()?.address.as_ref()?.port);
    if listen.port() == 0
        && let Some(port) = known
        && let Ok(listener) = TcpListener::bind(SocketAddr::new(listen.ip(), port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(listen).await
}
