//! The collector: what goes because something else has gone.

use std::sync::Arc;
use std::time::Duration;

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
/// How often old events, and things left undone, are looked for; first at once.
const SWEEP: Duration = Duration::from_secs(60);

/// Something the collector is to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// An owner may be gone: by its uid.
    Owner(Box<str>),
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
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: mpsc::UnboundedReceiver<Task>,
}

impl Collector {
    /// Works until everything closes.
    pub(crate) async fn run(mut self) {
        let closing = self.shared.closing.clone();
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = sweep.tick() => {
                    self.begin();
                    self.sweep_events().await;
                }
                task = self.tasks.recv() => match task {
                    None => return,
                    Some(Task::Owner(uid)) => self.owner(&uid).await,
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
        for (kind, key) in self.shared.store.read(|state| state.dependents(uid)) {
            let Some(stored) = self.shared.store.read(|state| state.object(kind, &key).cloned()) else {
                continue;
            };
            let value = stored.value();
            let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            let namespace = metadata::text(&value, "namespace");
            let alive = owners.into_iter().flatten().any(|owner| self.exists(owner, namespace));
            if !alive && let Some(resource) = self.resource(kind) {
                delete::delete_dependent(&self.shared, &resource, &key).await;
            }
        }
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
        for resource in &kinds {
            for (key, going) in inside(resource) {
                if !going {
                    delete::delete_dependent(&self.shared, resource, &key).await;
                }
            }
        }
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
            // It is looked at again at the next sweep.
            Err(error) => tracing::warn!(namespace = name, %error, "a namespace could not be ended yet"),
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
        for (key, event) in all {
            if last_seen(&event.value()).is_some_and(|seen| now - seen > EVENT_SECONDS) {
                delete::delete_dependent(&self.shared, &events, &key).await;
            }
        }
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
    let options = Options::parse("fieldManager=wasmbed-control-plane", &http::HeaderMap::new())?;
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
