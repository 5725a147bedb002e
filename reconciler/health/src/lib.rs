//! What a component says of itself over HTTP, to the kubelet and to Prometheus:
//!
//! - `/healthz`: it is alive.
//! - `/readyz`: each condition of its being ready, a line each; 503 while one that is required does not hold.
//! - `/metrics`: its metrics, in the Prometheus text format.
//!
//! A [`Health`] costs next to nothing where nobody serves it, so that components have one on a single machine too.

mod condition;
mod serve;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use condition::Condition;
use condition::State;
pub use serve::{HealthServer, ServeError, serve};

/// What is known of one component's health; clones are the same.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    conditions: Mutex<Vec<Arc<Mutex<State>>>>,
    registry: Mutex<Registry>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

impl Default for Health {
    /// A component without conditions is ready; of metrics there is `wasmbed_build_info`.
    fn default() -> Self {
        let mut registry = Registry::default();
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("wasmbed_build", "The version of Wasmbed that runs", info);
        let shared = Shared { conditions: Mutex::default(), registry: Mutex::new(registry) };
        Self { shared: Arc::new(shared) }
    }
}

impl Health {
    /// A condition without which the component is not ready. It does not hold until it is said to.
    #[must_use]
    pub fn requires(&self, name: &'static str) -> Condition {
        self.condition(name, true)
    }

    /// A condition that is told, and without which the component is ready all the same.
    #[must_use]
    pub fn tells(&self, name: &'static str) -> Condition {
        self.condition(name, false)
    }

    fn condition(&self, name: &'static str, required: bool) -> Condition {
        let state = Arc::new(Mutex::new(State::unknown(name, required)));
        lock(&self.shared.conditions).push(Arc::clone(&state));
        Condition::new(state)
    }

    /// Lets a component register its metrics.
    pub fn register(&self, metrics: impl FnOnce(&mut Registry)) {
        metrics(&mut lock(&self.shared.registry));
    }

    /// Whether all conditions that are required hold. A component that requires none yet has not begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let conditions = lock(&self.shared.conditions);
        conditions.iter().any(|state| lock(state).required) && conditions.iter().all(|state| lock(state).permits())
    }

    /// The conditions, a line each: whether it holds, its name, and what there is to say.
    #[must_use]
    pub fn to_text(&self) -> String {
        lock(&self.shared.conditions).iter().map(|state| format!("{}\n", lock(state))).collect()
    }

    /// The metrics in the Prometheus text format.
    ///
    /// # Errors
    /// When a metric cannot be written as text, which none of this workspace does.
    pub fn to_metrics(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &lock(&self.shared.registry))?;
        Ok(text)
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
