//! Live events: what devices say now, for the people and programs that watch. Nothing is decided by them and nothing
//! is stored but the last few in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::respond;

/// HTTP path of the stream.
pub const PATH: &str = "/v1/live";

/// Events kept for each device, for `wasmbed logs` without `-f` and for results.
const KEPT_PER_DEVICE: usize = 64;
/// Devices with kept events; the one that has been silent longest goes first.
const KEPT_DEVICES: usize = 1024;
/// Events a slow reader may be behind before it loses the oldest.
const BEHIND: usize = 4096;

/// Something a device said or did, or a gateway saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveEvent {
    /// When the gateway saw it, Unix milliseconds.
    pub time_ms: u64,
    /// Name of the Gateway.
    pub gateway: String,
    /// Name of the Device; empty for a key that is not known yet.
    pub device: String,
    /// Name of the Application, where the event is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: LiveKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum LiveKind {
    /// A line an application printed or logged, or a word of the device's own.
    #[serde(rename_all = "camelCase")]
    Log {
        /// `output` (standard output), `error`, `warn`, `info` or `debug`.
        level: String,
        /// The line, without its end.
        text: String,
    },
    /// What an application published.
    #[serde(rename_all = "camelCase")]
    Output {
        /// The topic.
        topic: String,
        /// One CBOR data item.
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// A heartbeat.
    #[serde(rename_all = "camelCase")]
    Heartbeat {
        /// Milliseconds since the device started.
        uptime_ms: u64,
        /// Bytes of memory free on the device, where it tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory_free: Option<u64>,
    },
    /// A Device or an application on it changed its phase.
    #[serde(rename_all = "camelCase")]
    Phase {
        /// The new phase.
        phase: String,
        /// Why, where there is more to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An unknown key asked to be let in.
    #[serde(rename_all = "camelCase")]
    Pending {
        /// The key, `ssh-ed25519 AAAA...`.
        public_key: String,
    },
}

/// An event as it is published and streamed: with what tells it from every other one, for who reads several hubs, or one again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The hub it was published in; drawn by chance.
    pub hub: u64,
    /// Its number there. A stream carries them in this order.
    pub number: u64,
    /// The event.
    #[serde(flatten)]
    pub event: LiveEvent,
}

/// Which events a reader wants; an absent field wants all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct LiveFilter {
    /// Only of this Device.
    pub device: Option<String>,
    /// Only of this Application.
    pub application: Option<String>,
    /// Only of this kind: `log`, `output`, `heartbeat`, `phase` or `pending`.
    pub kind: Option<String>,
    /// Go on with what comes after the kept events.
    #[serde(default)]
    pub follow: bool,
}

impl LiveFilter {
    /// Whether the reader wants `event`.
    #[must_use]
    pub fn wants(&self, event: &LiveEvent) -> bool {
        let same =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
        same(&self.device, Some(&event.device))
            && same(&self.application, event.application.as_deref())
            && same(&self.kind, Some(event.kind.name()))
    }

    /// The path and query that [`router`] answers.
    #[must_use]
    pub fn path(&self) -> String {
        let mut query = vec![format!("follow={}", self.follow)];
        for (name, value) in [("device", &self.device), ("application", &self.application), ("kind", &self.kind)] {
            // Names of Kubernetes objects need no escaping in a query (RFC 1123 labels).
            query.extend(value.as_ref().map(|value| format!("{name}={value}")));
        }
        format!("{PATH}?{}", query.join("&"))
    }
}

impl LiveKind {
    /// The kind's name, as in [`LiveFilter::kind`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Log { .. } => "log",
            Self::Output { .. } => "output",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Phase { .. } => "phase",
            Self::Pending { .. } => "pending",
        }
    }
}

/// Where gateways publish and readers subscribe; clones are the same hub. Memory is bounded by the constants above.
#[derive(Clone, Debug)]
pub struct LiveHub {
    id: u64,
    now: broadcast::Sender<Published>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Number of the next event, which orders the events of all devices.
    next: u64,
    devices: HashMap<String, VecDeque<Published>>,
}

impl Default for LiveHub {
    fn default() -> Self {
        Self { id: rand::random(), now: broadcast::channel(BEHIND).0, kept: Arc::default() }
    }
}

impl LiveHub {
    /// Publishes an event to whoever listens, and keeps it for a while unless it is a heartbeat.
    pub fn publish(&self, event: LiveEvent) {
        let mut kept = self.kept();
        let event = Published { hub: self.id, number: kept.next, event };
        kept.next += 1;
        if !matches!(event.event.kind, LiveKind::Heartbeat { .. }) {
            kept.keep(event.clone());
        }
        // Nobody listening is no error. Sent under the lock, so that a subscriber misses and repeats nothing.
        let _ = self.now.send(event);
    }

    /// The kept events, oldest first, and what comes after them.
    #[must_use]
    pub fn subscribe(&self) -> (Vec<Published>, broadcast::Receiver<Published>) {
        self.subscribe_to(&LiveFilter::default())
    }

    /// As [`Self::subscribe`], with the kept events that `filter` wants; what comes after them comes whole.
    fn subscribe_to(&self, filter: &LiveFilter) -> (Vec<Published>, broadcast::Receiver<Published>) {
        let kept = self.kept();
        let receiver = self.now.subscribe();
        // Gateways wait for the lock: what nobody wants is not copied under it.
        let wanted = kept.devices.values().flatten().filter(|published| filter.wants(&published.event));
        let mut events: Vec<_> = wanted.cloned().collect();
        drop(kept);
        events.sort_by_key(|published| published.number);
        (events, receiver)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, published: Published) {
        let device = &published.event.device;
        if self.devices.len() >= KEPT_DEVICES && !self.devices.contains_key(device) {
            let silent = self.devices.iter().min_by_key(|(_, events)| events.back().map(|last| last.number));
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.devices.remove(&name);
            }
        }
        let events = self.devices.entry(device.clone()).or_default();
        if events.len() == KEPT_PER_DEVICE {
            events.pop_front();
        }
        events.push_back(published);
    }
}

/// Serves `hub` at [`PATH`] as a stream of [`Published`] events.
pub fn router(hub: LiveHub) -> Router {
    Router::new().route(PATH, get(stream)).with_state(hub)
}

async fn stream(State(hub): State<LiveHub>, Query(filter): Query<LiveFilter>) -> Response {
    respond(|sender| async move {
        let (kept, mut now) = hub.subscribe_to(&filter);
        for event in &kept {
            if sender.send(event).await.is_err() {
                return;
            }
        }
        if !filter.follow {
            return;
        }
        loop {
            let event = tokio::select! {
                event = now.recv() => event,
                () = sender.closed() => return,
            };
            match event {
                Ok(event) if filter.wants(&event.event) => {
                    if sender.send(&event).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::debug!(lost, "a reader of live events is too slow");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    })
}
