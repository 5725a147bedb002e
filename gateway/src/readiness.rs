//! What a gateway says of itself to the kubelet and to Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use wasmbed_health::{Condition, Health};

/// What is told of a gateway's being ready.
///
/// A gateway without a signer is ready all the same: devices in session run on with what they have, and a load balancer that
/// took all gateways away with the signer would disconnect a whole fleet. That it is away is told.
pub(crate) struct Readiness {
    /// There is an identity to show to devices.
    pub(crate) identity: Condition,
    /// The declared Devices have been listed.
    pub(crate) devices: Condition,
    /// It takes connections, and goes on doing so.
    pub(crate) serving: Condition,
    /// The signer is reached.
    pub(crate) signer: Condition,
}

/// What is counted of a gateway.
pub(crate) struct Metrics {
    /// Devices in session.
    pub(crate) sessions: Gauge,
    closed: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Readiness {
    pub(crate) fn new(health: &Health) -> Self {
        let (identity, devices, serving) =
            (health.requires("identity"), health.requires("devices"), health.requires("serving"));
        Self { identity, devices, serving, signer: health.tells("signer") }
    }
}

impl Metrics {
    pub(crate) fn new(health: &Health) -> Self {
        let (sessions, closed) = (Gauge::default(), Family::default());
        health.register(|registry| {
            registry.register("wasmbed_gateway_sessions", "Devices in session", sessions.clone());
            let help = "Connections that ended, by reason";
            registry.register("wasmbed_gateway_connections_closed", help, Family::clone(&closed));
        });
        Self { sessions, closed }
    }

    /// A connection ended.
    pub(crate) fn count_closed(&self, reason: &'static str) {
        self.closed.get_or_create(&[("reason", reason)]).inc();
    }
}
