//! The one writer: takes what waits, makes it durable with one flush, then shows it.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot};

use super::disk::{Disk, Write};
use super::history::Event;
use super::object::{Draft, Stored};
use super::store::{KindId, State};

/// How many changes share a flush at most.
const MAX_BATCH: usize = 1024;

/// What must be so for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No object has this key.
    Absent,
    /// The object is at this version.
    Version(u64),
}

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: KindId,
    pub(crate) key: Arc<str>,
    pub(crate) expect: Expect,
    /// `None` deletes.
    pub(crate) new: Option<Draft>,
    /// A namespace (its kind and key) that must exist and not be on its way out.
    pub(crate) inside: Option<(KindId, Arc<str>)>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("the object exists already")]
    Exists,
    #[error("the object has been modified")]
    Stale,
    #[error("the namespace is gone, or going")]
    NoNamespace,
    #[error("the store is closed")]
    Closed,
    #[error("{0}: nothing was changed; make space on the disk or mend it, and try again")]
    Disk(String),
}

type Reply = oneshot::Sender<Result<Arc<Stored>, CommitError>>;

pub(super) enum Order {
    Commit(Box<Change>, Reply),
    Close(oneshot::Sender<()>),
}

/// Starts the writer on a thread of its own; it ends when told to, or when nobody can send any more.
pub(super) fn start(mut disk: Disk, state: Arc<RwLock<State>>) -> mpsc::UnboundedSender<Order> {
    let (sender, mut orders) = mpsc::unbounded_channel();
    let work = move || {
        let mut closed = None;
        while closed.is_none() {
            let Some(first) = orders.blocking_recv() else {
                return;
            };
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Commit(change, reply) => batch.push((*change, reply)),
                    Order::Close(reply) => closed = Some(reply),
                }
                if closed.is_none() && batch.len() < MAX_BATCH {
                    next = orders.try_recv().ok();
                }
            }
            write(&mut disk, &state, batch);
        }
        drop(disk);
        drop(orders);
        if let Some(reply) = closed {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(());
        }
    };
    std::thread::Builder::new()
        .name("control-plane-writer".to_owned())
        .spawn(work)
        .expect("a thread can be started at start-up");
    sender
}

/// What changes of one batch see of each other.
type Overlay = HashMap<(KindId, Arc<str>), Option<Arc<Stored>>>;

fn write(disk: &mut Disk, state: &RwLock<State>, batch: Vec<(Change, Reply)>) {
    let mut accepted: Vec<(KindId, Event, Reply)> = Vec::new();
    let mut refused: Vec<(CommitError, Reply)> = Vec::new();
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut version;
    {
        let state = state.read().expect("nobody panics while holding it");
        let mut overlay = Overlay::new();
        version = state.version();
        for (change, reply) in batch {
            match event(&state, &overlay, change, version + 1) {
                Err(error) => refused.push((error, reply)),
                Ok((kind, event)) => {
                    version += 1;
                    overlay.insert((kind, event.key.clone()), event.after.clone());
                    names.push(state.kind_name(kind));
                    accepted.push((kind, event, reply));
                }
            }
        }
    }
    if !accepted.is_empty() {
        let writes: Vec<Write<'_>> = accepted
            .iter()
            .zip(&names)
            .map(|((_, event, _), kind)| Write { kind, key: &event.key, object: event.after.as_deref() })
            .collect();
        if let Err(why) = disk.commit(&writes, version) {
            tracing::error!(why, "objects could not be written");
            for (_, _, reply) in accepted {
                // The one who asked may have gone.
                let _ = reply.send(Err(CommitError::Disk(why.clone())));
            }
            accepted = Vec::new();
        }
    }
    let mut answers: Vec<(Reply, Result<Arc<Stored>, CommitError>)> = Vec::with_capacity(accepted.len());
    if !accepted.is_empty() {
        let mut state = state.write().expect("nobody panics while holding it");
        let mut kinds: Vec<KindId> = Vec::new();
        for (kind, event, reply) in accepted {
            let answer = match (&event.after, &event.before) {
                (Some(after), _) => after.clone(),
                (None, Some(before)) => Arc::new(before.reversioned(event.version)),
                (None, None) => unreachable!("a change has a before or an after"),
            };
            state.put(kind, event);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            answers.push((reply, Ok(answer)));
        }
        for kind in kinds {
            state.wake(kind);
        }
    }
    // A refusal comes after the change that caused it can be seen, so that trying again can succeed.
    answers.extend(refused.into_iter().map(|(error, reply)| (reply, Err(error))));
    for (reply, answer) in answers {
        // The one who asked may have gone.
        let _ = reply.send(answer);
    }
}

fn event(state: &State, overlay: &Overlay, change: Change, version: u64) -> Result<(KindId, Event), CommitError> {
    let find = |kind: KindId, key: &Arc<str>| match overlay.get(&(kind, key.clone())) {
        Some(found) => found.clone(),
        None => state.object(kind, key).cloned(),
    };
    if let Some((kind, key)) = &change.inside
        && find(*kind, key).is_none_or(|namespace| namespace.head().deleting)
    {
        return Err(CommitError::NoNamespace);
    }
    let before = find(change.kind, &change.key);
    match (change.expect, &before) {
        (Expect::Absent, None) => {}
        (Expect::Absent, Some(_)) => return Err(CommitError::Exists),
        (Expect::Version(wanted), Some(found)) if found.version == wanted => {}
        (Expect::Version(_), _) => return Err(CommitError::Stale),
    }
    let after = change.new.map(|draft| Arc::new(draft.at_version(version)));
    if before.is_none() && after.is_none() {
        return Err(CommitError::Stale);
    }
    Ok((change.kind, Event { version, key: change.key, before, after }))
}
