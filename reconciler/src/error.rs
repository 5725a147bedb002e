//! What ends a pass early. It is tried again.

use crate::source::SourceError;

/// Why a pass, or the reconciler, ended.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The Kubernetes API could not be used.
    #[error("the Kubernetes API: {0}")]
    Api(#[from] Box<kube::Error>),
    /// The repository or its cache could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The build cache could not be opened.
    #[error(transparent)]
    Cache(#[from] wasmbed_builder::cache::CacheError),
    /// The webhook address could not be bound.
    #[error("cannot listen for webhooks on {address}: {source}")]
    Hooks {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process may lead.
    #[error(
        "the Lease {lease} of namespace {namespace} could not be renewed in time, and another reconciler may lead: start this one again"
    )]
    LeadershipLost {
        /// The Lease.
        lease: &'static str,
        /// Its namespace.
        namespace: String,
    },
    /// A thread ended before its work did.
    #[error("work was cut short: {0}")]
    CutShort(#[from] tokio::task::JoinError),
    /// There is no Fleet to reconcile, or more than one.
    #[error(
        "namespace {namespace} has {count} Fleets; exactly one is expected (`wasmbed up` or `kubectl apply` makes it)"
    )]
    FleetCount {
        /// The namespace.
        namespace: String,
        /// How many there are.
        count: usize,
    },
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}
