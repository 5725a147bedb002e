//! The collector: what goes because something else has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::delete;
use super::metadata;
use super::options::Options;
use super::request::ObjectPath;
use super::service::Shared;
use super::{changes, create};
use crate::resource::{Resource, Rules};
use crate::status::ApiError;
use crate::storage::{Change, CommitError, Expect, KindId};

/// How long an event is kept after it was last seen, in seconds, as in Kubernetes.
const EVENT_SECONDS: i64 = 3600;
/// How often old events, and things that could not be done, are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Something the collector is to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// An owner is gone: by its uid.
    Owner(Box<str>),
    /// An object names owners, which may be gone.
    Owned(KindId, Arc<str>),
    /// A namespace is on its way out.
    Namespace(String),
}

impl Shared {
    /// Gives the collector something to look at.
    pub(crate) fn tell(&self, task: Task) {
        // It is gone only while all is closing; it looks at everything again when it is opened.
        let _ = self.collector.send(task);
    }
}

/// Deletes what belongs to what is gone.
#[derive(Debug)]
pub(crate) struct Collector {
    shared: Arc<Shared>,
    tasks: mpsc::UnboundedReceiver<Task>,
    /// Whether something could not be done, for the next sweep to take up.
    unfinished: AtomicBool,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>, tasks: mpsc::UnboundedReceiver<Task>) -> Self {
        Self { shared, tasks, unfinished: AtomicBool::new(false) }
    }

    /// Works until everything closes.
    pub(crate) async fn run(mut self) {
        let closing = self.shared.closing.clone();
        self.begin();
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = sweep.tick() => {
                    if self.unfinished.swap(false, Ordering::Relaxed) {
                        self.begin();
                    }
                    self.sweep_events().await;
                }
                task = self.tasks.recv() => match task {
                    None => return,
                    Some(Task::Owner(uid)) => self.owner(&uid).await,
                    Some(Task::Owned(kind, key)) => self.owned(vec![(kind, key)]).await,
                    Some(Task::Namespace(name)) => self.namespace(&name).await,
                },
            }
        }
    }

    /// Takes up what was left undone: when everything was closed, or for want of disk space.
    fn begin(&self) {
        let namespaces = self.shared.registry.of_rules(Rules::Namespace).storage;
        let (owners, going) = self.shared.store.read(|state| {
            let going: Vec<String> = state
                .objects(namespaces, None)
                .filter(|(_, object)| object.head().deleting)
                .map(|(key, _)| key.to_string())
                .collect();
            (state.owners(), going)
        });
        for uid in owners {
            self.shared.tell(Task::Owner(uid));
        }
        for name in going {
            self.shared.tell(Task::Namespace(name));
        }
    }

    /// Deletes what an owner left behind, unless another owner of it is still there.
    async fn owner(&self, uid: &str) {
        self.owned(self.shared.store.read(|state| state.dependents(uid))).await;
    }

    /// Deletes those objects that have owners of which none is there any more.
    async fn owned(&self, objects: Vec<(KindId, Arc<str>)>) {
        let abandoned = objects.into_iter().filter_map(|(kind, key)| {
            let stored = self.shared.store.read(|state| state.object(kind, &key).cloned())?;
            let value = stored.value();
            let owners = value.pointer("/metadata/ownerReferences")?.as_array()?;
            let namespace = metadata::text(&value, "namespace");
            let alive = owners.iter().any(|owner| self.exists(owner, namespace));
            (!alive).then(|| Some((self.resource(kind)?, key))).flatten()
        });
        self.delete(abandoned.collect()).await;
    }

    /// Deletes objects, many at a time. What cannot be deleted is tried again at the next sweep.
    async fn delete(&self, objects: Vec<(Arc<Resource>, Arc<str>)>) {
        let deletions = stream::iter(objects).for_each_concurrent(delete::AT_ONCE, |(resource, key)| async move {
            if let Err(error) = delete::delete_dependent(&self.shared, &resource, &key).await {
                tracing::warn!(%key, %error, "an object could not be deleted with what it belongs to");
                self.unfinished.store(true, Ordering::Relaxed);
            }
        });
        deletions.await;
    }

    /// Whether an owner exists. One of a kind that is not served is believed to.
    fn exists(&self, owner: &Value, namespace: &str) -> bool {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let Some(resource) = self.shared.registry.of_kind(text("apiVersion"), text("kind")) else {
            return true;
        };
        let key = resource.key(Some(namespace), text("name"));
        self.shared.store.read(|state| {
            let found = state.object(resource.storage, &key);
            found.is_some_and(|found| *found.head().uid == *text("uid"))
        })
    }

    fn resource(&self, kind: KindId) -> Option<Arc<Resource>> {
        let all = self.shared.registry.all();
        all.iter().find(|resource| resource.storage == kind).cloned()
    }

    /// Empties a namespace that is going, and ends it when it is empty.
    async fn namespace(&self, name: &str) {
        let namespaces = self.shared.registry.of_rules(Rules::Namespace).clone();
        let find = || {
            let found = self.shared.store.read(|state| state.object(namespaces.storage, name).cloned());
            found.filter(|namespace| namespace.head().deleting)
        };
        if find().is_none() {
            return;
        }
        let kinds: Vec<Arc<Resource>> = self
            .shared
            .registry
            .all()
            .iter()
            .filter(|resource| resource.namespaced && resource.rules != Rules::EventView)
            .cloned()
            .collect();
        let inside = |resource: &Resource| -> Vec<(Arc<str>, bool)> {
            self.shared.store.read(|state| {
                let objects = state.objects(resource.storage, Some(name));
                objects.map(|(key, object)| (key.clone(), object.head().deleting)).collect()
            })
        };
        let mut staying = Vec::new();
        for resource in &kinds {
            let objects = inside(resource).into_iter().filter(|(_, going)| !going);
            staying.extend(objects.map(|(key, _)| (resource.clone(), key)));
        }
        self.delete(staying).await;
        // What finalizers hold tells the collector when it goes.
        let empty = kinds.iter().all(|resource| inside(resource).is_empty());
        let Some(namespace) = find().filter(|_| empty) else {
            return;
        };
        if metadata::has_finalizers(&namespace.value()) {
            return;
        }
        let change = Change {
            kind: namespaces.storage,
            key: name.into(),
            expect: Expect::Version(namespace.version),
            new: None,
            inside: None,
        };
        match self.shared.store.commit(change).await {
            Ok(_) => {}
            Err(CommitError::Stale) => self.shared.tell(Task::Namespace(name.to_owned())),
            Err(error) => {
                tracing::warn!(namespace = name, %error, "a namespace could not be ended yet");
                self.unfinished.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Deletes events that were last seen long ago.
    async fn sweep_events(&self) {
        let events = self.shared.registry.of_rules(Rules::Event).clone();
        let now = Timestamp::now().as_second();
        let all: Vec<_> = self.shared.store.read(|state| {
            let objects = state.objects(events.storage, None);
            objects.map(|(key, object)| (key.clone(), object.clone())).collect()
        });
        let old = all
            .into_iter()
            .filter(|(_, event)| last_seen(&event.value()).is_some_and(|seen| now - seen > EVENT_SECONDS));
        self.delete(old.map(|(key, _)| (events.clone(), key)).collect()).await;
    }
}

fn last_seen(event: &Value) -> Option<i64> {
    let paths = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    let times = paths.iter().filter_map(|path| {
        let time: Timestamp = event.pointer(path)?.as_str()?.parse().ok()?;
        Some(time.as_second())
    });
    times.max()
}

/// Creates a namespace, unless it is there.
pub(crate) async fn create_namespace(shared: &Arc<Shared>, name: &str) -> Result<(), ApiError> {
    let path = ObjectPath {
        resource: shared.registry.of_rules(Rules::Namespace).clone(),
        namespace: None,
        name: None,
        subresource: String::new(),
    };
    let options = Options::parse(&http::Method::PATCH, "fieldManager=wasmbed-control-plane", &http::HeaderMap::new())?;
    let write =
        changes::Write { shared, path: &path, options: &options, now: crate::names::now(), duplicates: Vec::new() };
    let exists = shared.store.read(|state| state.object(path.resource.storage, name).is_some());
    if exists {
        return Ok(());
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    match create::create(&write, object).await {
        Err(error) if error.code != StatusCode::CONFLICT => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_was_last_seen_at_the_newest_of_its_times() {
        let event = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "lastTimestamp": null,
            "eventTime": "2026-01-01T00:00:01.5Z", "series": {"lastObservedTime": "2026-01-01T01:00:00Z"}});
        let expected: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
        assert_eq!(last_seen(&event), Some(expected.as_second()));
        assert_eq!(last_seen(&json!({})), None);
    }
}
