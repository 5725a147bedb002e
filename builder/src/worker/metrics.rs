//! What is counted of a worker.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use wasmbed_health::Health;

/// What is counted of a worker.
pub(super) struct Metrics {
    builds: Family<[(&'static str, &'static str); 1], Counter>,
    duration: Histogram,
    running: Gauge,
}

/// A build that is counted while it goes on, and timed.
pub(super) struct Running<'a> {
    metrics: &'a Metrics,
    began: Instant,
}

impl Metrics {
    pub(super) fn new(health: &Health) -> Self {
        let (builds, running) = (Family::default(), Gauge::default());
        // From half a second to four minutes; a build may take five.
        let duration = Histogram::new(exponential_buckets(0.5, 2.0, 10));
        health.register(|registry| {
            registry.register("wasmbed_builder_builds", "Builds that ended, by outcome", Family::clone(&builds));
            registry.register("wasmbed_builder_build_duration_seconds", "How long builds took", duration.clone());
            registry.register("wasmbed_builder_builds_running", "Builds that go on", running.clone());
        });
        Self { builds, duration, running }
    }

    /// A build ended: `built`, `failed` or `given-up`.
    pub(super) fn count(&self, outcome: &'static str) {
        self.builds.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A build goes on until what is returned is dropped.
    pub(super) fn running(&self) -> Running<'_> {
        self.running.inc();
        Running { metrics: self, began: Instant::now() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.running.dec();
        self.metrics.duration.observe(self.began.elapsed().as_secs_f64());
    }
}
