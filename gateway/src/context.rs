//! What all parts of one gateway share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use wasmbed_api::{Endpoint, Gateway};
use wasmbed_health::Health;
use wasmbed_keys::SecretPlace;
use wasmbed_registry::Registry;
use wasmbed_streams::live::{LiveEvent, LiveHub, LiveKind};

use crate::board::Board;
use crate::closing::Closing;
use crate::directory::Directory;
use crate::identity::{Identity, IdentityError};
use crate::limits::Limits;
use crate::pending::PendingList;
use crate::places::Places;
use crate::readiness::{Metrics, Readiness};
use crate::session::Now;
use crate::sessions::Sessions;
use crate::store::Store;

/// The field manager of everything a gateway writes.
pub(crate) const FIELD_MANAGER: &str = wasmbed_api::labels::GATEWAY_MANAGER;

/// One gateway.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Which of the processes that serve the Gateway this is; none if it is the only one.
    pub(crate) replica: Option<String>,
    /// The Secret with its identity.
    pub(crate) identity_place: SecretPlace,
    pub(crate) readiness: Readiness,
    metrics: Metrics,
    pub(crate) address: Endpoint,
    pub(crate) limits: Limits,
    pub(crate) live: LiveHub,
    pub(crate) store: Store,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) declared: watch::Sender<Option<Arc<Gateway>>>,
    /// Who this gateway is; absent until it has been read.
    pub(crate) identity: watch::Sender<Option<Result<Arc<Identity>, IdentityError>>>,
    /// No new connection is taken.
    pub(crate) draining: CancellationToken,
    /// Every connection ends.
    pub(crate) shutdown: CancellationToken,
    /// Connections of unknown keys.
    pub(crate) strangers: Places,
    /// Whether the declared Devices have been read: before that, every key would look unknown.
    pub(crate) devices_read: watch::Sender<bool>,
    directory: Mutex<Directory>,
    pending: Mutex<PendingList>,
    board: Mutex<Board>,
    closings: Mutex<BTreeMap<&'static str, u64>>,
    /// Device statuses are to be looked at.
    pub(crate) board_changed: Notify,
    /// The Gateway's own status is to be looked at.
    pub(crate) summary_changed: Notify,
}

/// What [`Context::new`] is made from.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) replica: Option<String>,
    pub(crate) identity: SecretPlace,
    pub(crate) health: Health,
    pub(crate) address: Endpoint,
    pub(crate) limits: Limits,
    pub(crate) registry: Option<Registry>,
    pub(crate) live: LiveHub,
}

impl Context {
    pub(crate) fn new(parts: Parts) -> Self {
        let metrics = Metrics::new(&parts.health);
        Self {
            readiness: Readiness::new(&parts.health),
            sessions: Arc::new(Sessions::counted_by(metrics.sessions.clone())),
            metrics,
            strangers: Places::new(parts.limits.strangers, parts.limits.strangers_per_source),
            store: Store::new(parts.client.clone(), &parts.namespace, parts.registry, &parts.limits),
            pending: Mutex::new(PendingList::new(&parts.limits)),
            board: Mutex::new(Board::new(
                parts.replica.clone().unwrap_or_else(|| parts.name.clone()),
                parts.limits.reconnect_grace,
                Instant::now(),
            )),
            replica: parts.replica,
            client: parts.client,
            namespace: parts.namespace,
            name: parts.name,
            identity_place: parts.identity,
            address: parts.address,
            limits: parts.limits,
            live: parts.live,
            declared: watch::Sender::new(None),
            identity: watch::Sender::new(None),
            draining: CancellationToken::new(),
            shutdown: CancellationToken::new(),
            devices_read: watch::Sender::new(false),
            directory: Mutex::default(),
            closings: Mutex::default(),
            board_changed: Notify::new(),
            summary_changed: Notify::new(),
        }
    }

    /// The declared Devices. Never held across an await or together with another of these locks but in this order:
    /// directory, pending, board.
    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory> {
        lock(&self.directory)
    }

    /// The unknown keys.
    pub(crate) fn pending(&self) -> MutexGuard<'_, PendingList> {
        lock(&self.pending)
    }

    /// What Device statuses should say.
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Waits until all that a device is judged by has been read.
    pub(crate) async fn ready(&self) {
        let (mut devices, mut identity) = (self.devices_read.subscribe(), self.identity.subscribe());
        // Neither sender is dropped before `self` is.
        let _ = devices.wait_for(|read| *read).await;
        let _ = identity.wait_for(Option::is_some).await;
    }

    /// Whether the declaration suspends this gateway.
    pub(crate) fn is_suspended(&self) -> bool {
        self.declared.borrow().as_ref().is_some_and(|gateway| gateway.spec.is_suspended())
    }

    /// Tells whoever watches live.
    pub(crate) fn publish(&self, device: &str, application: Option<String>, kind: LiveKind, now: Now) {
        self.live.publish(LiveEvent {
            time_ms: now.unix_ms,
            gateway: self.name.clone(),
            device: device.to_owned(),
            application,
            kind,
        });
    }

    /// Counts a connection that ended.
    pub(crate) fn count(&self, closing: &Closing) {
        self.metrics.count_closed(closing.reason());
        *lock(&self.closings).entry(closing.reason()).or_default() += 1;
    }

    /// How many connections ended, by reason.
    pub(crate) fn closings(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.closings).clone()
    }
}

/// This moment.
pub(crate) fn now() -> Now {
    Now { at: Instant::now(), unix_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
