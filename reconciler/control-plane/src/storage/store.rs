//! The store: every object in memory, as of the last durable write.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, RwLock};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::StorageError;
use super::disk::Disk;
use super::history::{Event, History, TooOld};
use super::object::{Draft, Stored};
use super::writer::{self, Change, CommitError, Order};

/// The position of a kind among those of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KindId(pub(crate) usize);

/// A kind to be kept.
#[derive(Debug, Clone)]
pub(crate) struct KindSpec {
    /// Its name in the file: `group/plural`.
    pub(crate) name: String,
    /// Its `apiVersion`; older ones in the file are read as this one.
    pub(crate) api_version: String,
    /// Objects that are given, not stored: by their keys.
    pub(crate) given: Option<Vec<(String, Value)>>,
}

/// All objects of one kind. The key of an object is `namespace/name`, or `name`.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(super) spec_name: Arc<str>,
    objects: BTreeMap<Arc<str>, Arc<Stored>>,
    history: History,
    changed: watch::Sender<u64>,
}

/// Everything, at one version.
#[derive(Debug)]
pub(crate) struct State {
    version: u64,
    kinds: Vec<Kind>,
    /// By the uid of an owner, what it owns.
    dependents: HashMap<Box<str>, HashSet<(KindId, Arc<str>)>>,
}

/// Which part of a kind's objects is asked for.
#[derive(Debug, Default)]
pub(crate) struct PageRequest<'a> {
    pub(crate) namespace: Option<&'a str>,
    /// Objects after this key.
    pub(crate) after: Option<&'a str>,
    /// As they were at this version.
    pub(crate) at: Option<u64>,
    /// At most so many; 0 is all.
    pub(crate) limit: usize,
}

/// A part of a kind's objects.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) version: u64,
    /// The last key of the page, if there is more.
    pub(crate) next: Option<Arc<str>>,
    /// How many more there are, selectors aside.
    pub(crate) remaining: usize,
}

impl State {
    /// The version of the last write.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn object(&self, kind: KindId, key: &str) -> Option<&Arc<Stored>> {
        self.kinds[kind.0].objects.get(key)
    }

    /// The keys and objects of a kind, in one namespace or all.
    pub(crate) fn objects<'a>(
        &'a self,
        kind: KindId,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Stored>)> + use<'a> {
        let (low, high) = bounds(namespace, None);
        self.kinds[kind.0].objects.range::<str, _>((as_str(&low), as_str(&high)))
    }

    /// What is owned by the object with this uid.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(KindId, Arc<str>)> {
        self.dependents.get(uid).map(|set| set.iter().cloned().collect()).unwrap_or_default()
    }

    /// Every uid that something names as its owner.
    pub(crate) fn owners(&self) -> Vec<Box<str>> {
        self.dependents.keys().cloned().collect()
    }

    /// Every change of a kind after a version.
    pub(crate) fn changes(&self, kind: KindId, after: u64) -> Result<Vec<Event>, TooOld> {
        Ok(self.kinds[kind.0].history.after(after)?.cloned().collect())
    }

    /// A page of a kind's objects; `keep` says which ones count.
    pub(crate) fn page(
        &self,
        kind: KindId,
        request: &PageRequest<'_>,
        keep: impl Fn(&str, &Stored) -> bool,
    ) -> Result<Page, TooOld> {
        let (low, high) = bounds(request.namespace, request.after);
        let range = (as_str(&low), as_str(&high));
        let now = &self.kinds[kind.0];
        let then = match request.at {
            Some(version) if version < self.version => now.history.as_it_was(version)?,
            _ => BTreeMap::new(),
        };
        if then.is_empty() {
            let objects = now.objects.range::<str, _>(range);
            return Ok(fill(objects, request, self.version, keep));
        }
        let mut merged: BTreeMap<&Arc<str>, &Arc<Stored>> = now.objects.range::<str, _>(range).collect();
        for (key, object) in then.range::<str, _>(range) {
            match object {
                Some(object) => merged.insert(key, object),
                None => merged.remove(key),
            };
        }
        Ok(fill(merged.into_iter(), request, self.version, keep))
    }

    /// Puts a durable change into place.
    pub(super) fn put(&mut self, kind: KindId, event: Event) {
        self.version = event.version;
        if let Some(before) = &event.before {
            self.unlink(kind, &event.key, before);
        }
        let objects = &mut self.kinds[kind.0].objects;
        match &event.after {
            Some(after) => {
                objects.insert(event.key.clone(), after.clone());
                self.link(kind, &event.key, &after.clone());
            }
            None => {
                objects.remove(&event.key);
            }
        }
        self.kinds[kind.0].history.push(event);
    }

    /// Wakes those who watch a kind.
    pub(super) fn wake(&self, kind: KindId) {
        self.kinds[kind.0].changed.send_replace(self.version);
    }

    pub(super) fn kind_name(&self, kind: KindId) -> Arc<str> {
        self.kinds[kind.0].spec_name.clone()
    }

    fn link(&mut self, kind: KindId, key: &Arc<str>, object: &Stored) {
        for owner in &object.head().owners {
            let set = self.dependents.entry(owner.clone()).or_default();
            set.insert((kind, key.clone()));
        }
    }

    fn unlink(&mut self, kind: KindId, key: &Arc<str>, object: &Stored) {
        for owner in &object.head().owners {
            if let Some(set) = self.dependents.get_mut(owner) {
                set.remove(&(kind, key.clone()));
                if set.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

fn bounds(namespace: Option<&str>, after: Option<&str>) -> (Bound<String>, Bound<String>) {
    let (low, high) = match namespace {
        None => (Bound::Unbounded, Bound::Unbounded),
        // '0' follows '/'.
        Some(namespace) => (Bound::Included(format!("{namespace}/")), Bound::Excluded(format!("{namespace}0"))),
    };
    match after {
        Some(key) if namespace.is_none_or(|namespace| key.starts_with(&format!("{namespace}/"))) => {
            (Bound::Excluded(key.to_owned()), high)
        }
        _ => (low, high),
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_str()),
        Bound::Excluded(key) => Bound::Excluded(key.as_str()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

fn fill<'a>(
    mut objects: impl Iterator<Item = (&'a Arc<str>, &'a Arc<Stored>)>,
    request: &PageRequest<'_>,
    version: u64,
    keep: impl Fn(&str, &Stored) -> bool,
) -> Page {
    let mut page = Page { objects: Vec::new(), version: request.at.unwrap_or(version), next: None, remaining: 0 };
    let mut last = None;
    for (key, object) in objects.by_ref() {
        if !keep(key, object) {
            continue;
        }
        if request.limit > 0 && page.objects.len() == request.limit {
            page.next = last;
            page.remaining = 1 + objects.count();
            break;
        }
        page.objects.push(object.clone());
        last = Some(key.clone());
    }
    page
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    state: Arc<RwLock<State>>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Store {
    /// Opens the file (or makes it) and reads all of it.
    pub(crate) fn open(path: &Path, specs: Vec<KindSpec>) -> Result<Self, StorageError> {
        let disk = Disk::open(path)?;
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for (index, spec) in specs.iter().enumerate() {
            by_name.insert(spec.name.clone(), index);
        }
        let mut loaded: Vec<BTreeMap<Arc<str>, Arc<Stored>>> = specs.iter().map(|_| BTreeMap::new()).collect();
        let mut foreign = 0_usize;
        let version = disk.load(|kind, key, object| match by_name.get(kind) {
            Some(&index) if specs[index].given.is_none() => {
                let object = in_version(object, &specs[index].api_version);
                loaded[index].insert(key.into(), Arc::new(object));
            }
            _ => foreign += 1,
        })?;
        if foreign > 0 {
            tracing::warn!(foreign, file = %path.display(), "objects of kinds that are no longer served are kept in the file, unseen");
        }
        let kinds = specs.into_iter().zip(loaded).map(|(spec, mut objects)| {
            for (key, object) in spec.given.unwrap_or_default() {
                objects.insert(key.into(), Arc::new(Draft::new(&object).at_version(version)));
            }
            Kind {
                spec_name: spec.name.into(),
                objects,
                history: History::new(version),
                changed: watch::Sender::new(version),
            }
        });
        let mut state = State { version, kinds: kinds.collect(), dependents: HashMap::new() };
        for kind in (0..state.kinds.len()).map(KindId) {
            let owned: Vec<_> = state.kinds[kind.0]
                .objects
                .iter()
                .filter(|(_, object)| !object.head().owners.is_empty())
                .map(|(key, object)| (key.clone(), object.clone()))
                .collect();
            for (key, object) in owned {
                state.link(kind, &key, &object);
            }
        }
        let state = Arc::new(RwLock::new(state));
        let orders = writer::start(disk, state.clone());
        Ok(Self { state, orders })
    }

    /// Looks at the state. `look` must be short: writes wait for it.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.read().expect("nobody panics while holding it"))
    }

    /// Signals every change of a kind.
    pub(crate) fn subscribe(&self, kind: KindId) -> watch::Receiver<u64> {
        self.read(|state| state.kinds[kind.0].changed.subscribe())
    }

    /// Makes a change durable; returns the object as it is now, or as it was when it was deleted.
    pub(crate) async fn commit(&self, change: Change) -> Result<Arc<Stored>, CommitError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Commit(Box::new(change), reply));
        sent.map_err(|_| CommitError::Closed)?;
        answer.await.map_err(|_| CommitError::Closed)?
    }

    /// Ends writing; returns when the file is closed.
    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).is_ok() {
            // An error means that the writer is gone already.
            let _ = answer.await;
        }
    }
}

/// The object in the version that is served now, should the file hold another.
fn in_version(object: Stored, api_version: &str) -> Stored {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        api_version: String,
    }
    match serde_json::from_slice::<Kind>(object.json()) {
        Ok(kind) if kind.api_version == api_version => object,
        _ => {
            let mut value = object.value();
            value["apiVersion"] = api_version.into();
            Draft::new(&value).at_version(object.version)
        }
    }
}
