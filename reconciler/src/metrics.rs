//! What is counted of a reconciler.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use wasmbed_health::Health;

/// What is counted of a reconciler.
pub(crate) struct Metrics {
    passes: Counter,
    duration: Histogram,
    held: Gauge,
    /// 1 while it leads, or is the only one.
    pub(crate) leader: Gauge,
}

impl Metrics {
    pub(crate) fn new(health: &Health) -> Self {
        let (passes, held, leader) = (Counter::default(), Gauge::default(), Gauge::default());
        // From a millisecond to half a minute.
        let duration = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        health.register(|registry| {
            registry.register("wasmbed_reconciler_passes", "Passes made", passes.clone());
            registry.register("wasmbed_reconciler_pass_duration_seconds", "How long passes took", duration.clone());
            registry.register("wasmbed_reconciler_held", "What is held, as the Fleet's status says", held.clone());
            registry.register("wasmbed_reconciler_leader", "Whether this process reconciles", leader.clone());
        });
        Self { passes, duration, held, leader }
    }

    /// A pass that took `duration` left `held` things held, if it came to its end.
    pub(crate) fn count_pass(&self, duration: Duration, held: Option<usize>) {
        self.passes.inc();
        self.duration.observe(duration.as_secs_f64());
        if let Some(held) = held {
            self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
        }
    }
}
