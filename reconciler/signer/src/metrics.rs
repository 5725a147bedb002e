//! What is counted of a signer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use wasmbed_health::Health;

/// What is counted of a signer.
pub(crate) struct Metrics {
    pub(crate) streams: Gauge,
    pub(crate) assignments: Counter,
}

impl Metrics {
    pub(crate) fn new(health: &Health) -> Self {
        let (streams, assignments) = (Gauge::default(), Counter::default());
        health.register(|registry| {
            registry.register("wasmbed_signer_streams", "Gateways with a stream open", streams.clone());
            registry.register("wasmbed_signer_assignments", "Assignments signed and sent", assignments.clone());
        });
        Self { streams, assignments }
    }
}
