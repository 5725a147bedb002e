//! The connections that exist, and the box in which each finds its news.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use wasmbed_protocol::{Nonce, PublicKey, ReleaseDigest};
use wasmbed_streams::sessions::{AssignmentPush, Session};

use crate::closing::Closing;
use crate::session::Standing;

/// News for one connection. Each kind has one place and the latest wins, so a slow connection holds up nobody.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) standing: Option<Standing>,
    pub(crate) assignment: Option<(Vec<u8>, Vec<ReleaseDigest>)>,
    pub(crate) close: Option<Closing>,
}

/// One connection's box.
#[derive(Debug)]
pub(crate) struct Inbox {
    key: PublicKey,
    news: Mutex<News>,
    arrived: Notify,
}

impl Inbox {
    /// Waits for news and takes them; an Assignment stays where it is, and may be replaced, unless there is `room` for it.
    pub(crate) async fn take(&self, room: bool) -> News {
        loop {
            let taken = {
                let mut news = lock(&self.news);
                let assignment = if room { news.assignment.take() } else { None };
                News { standing: news.standing.take(), close: news.close.take(), assignment }
            };
            if taken.standing.is_some() || taken.close.is_some() || taken.assignment.is_some() {
                return taken;
            }
            self.arrived.notified().await;
        }
    }

    fn put(&self, put: impl FnOnce(&mut News)) {
        put(&mut lock(&self.news));
        self.arrived.notify_one();
    }
}

/// All connections after their handshake.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Mutex<All>,
    /// A session was opened or closed: the signer is to be told.
    changed: Notify,
    /// How many devices are in session, for Prometheus.
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct All {
    last: u64,
    inboxes: HashMap<u64, Arc<Inbox>>,
    by_key: HashMap<PublicKey, HashSet<u64>>,
    opened: HashMap<u64, Session>,
    by_device: HashMap<String, u64>,
    /// Numbers of sessions that were opened or closed since the signer was told.
    untold: BTreeSet<u64>,
    /// Connections that were told to end while the gateway drains.
    leaving: HashSet<u64>,
}

/// What [`Sessions::open`] found no place for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Sessions {
    /// No connections yet; `gauge` is kept at how many devices are in session.
    pub(crate) fn counted_by(gauge: Gauge) -> Self {
        Self { gauge, ..Self::default() }
    }

    fn count(&self, all: &All) {
        self.gauge.set(i64::try_from(all.by_device.len()).unwrap_or(i64::MAX));
    }

    /// A connection with this key begins. It ends when the handle is dropped.
    pub(crate) fn register(self: &Arc<Self>, key: PublicKey) -> Registration {
        let inbox = Arc::new(Inbox { key, news: Mutex::default(), arrived: Notify::new() });
        let mut all = lock(&self.all);
        all.last += 1;
        let number = all.last;
        all.inboxes.insert(number, inbox.clone());
        all.by_key.entry(key).or_default().insert(number);
        Registration { sessions: self.clone(), number, inbox }
    }

    /// How many devices are in session.
    pub(crate) fn opened(&self) -> usize {
        lock(&self.all).by_device.len()
    }

    /// Puts the standing of a key into the boxes of its connections.
    pub(crate) fn tell_standing(&self, key: &PublicKey, standing: &Standing) {
        let all = lock(&self.all);
        for number in all.by_key.get(key).into_iter().flatten() {
            all.inboxes[number].put(|news| news.standing = Some(standing.clone()));
        }
    }

    /// Puts an Assignment into the box of its session, if that lives.
    pub(crate) fn assign(&self, push: AssignmentPush, releases: Vec<ReleaseDigest>) {
        if let Some(inbox) = lock(&self.all).inboxes.get(&push.session) {
            inbox.put(|news| news.assignment = Some((push.assignment, releases)));
        }
    }

    /// Ends the session of a device because a newer one is held by someone else.
    pub(crate) fn supersede(&self, device: &str) {
        let all = lock(&self.all);
        if let Some(inbox) = all.by_device.get(device).and_then(|number| all.inboxes.get(number)) {
            inbox.put(|news| news.close = Some(Closing::Superseded));
        }
    }

    /// Ends every connection.
    pub(crate) fn close_all(&self, closing: &Closing) {
        for inbox in lock(&self.all).inboxes.values() {
            inbox.put(|news| news.close = Some(closing.clone()));
        }
    }

    /// Ends up to `most` connections, whichever; how many.
    pub(crate) fn close_some(&self, most: usize, closing: &Closing) -> usize {
        let mut all = lock(&self.all);
        let mut told = 0;
        // A connection that was told is left out of the next round: it needs some time to say goodbye.
        let numbers: Vec<u64> =
            all.inboxes.keys().filter(|number| !all.leaving.contains(number)).copied().take(most).collect();
        for number in numbers {
            all.leaving.insert(number);
            all.inboxes[&number].put(|news| news.close = Some(closing.clone()));
            told += 1;
        }
        told
    }

    /// How many connections there are that were not told to end by [`Self::close_some`].
    pub(crate) fn staying(&self) -> usize {
        let all = lock(&self.all);
        all.inboxes.len() - all.leaving.len()
    }

    /// Waits until [`Self::take_untold`] has something to tell.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The sessions opened (with what they are) or closed (without) since this was asked last.
    pub(crate) fn take_untold(&self) -> Vec<(u64, Option<Session>)> {
        let mut all = lock(&self.all);
        let untold = std::mem::take(&mut all.untold);
        untold.into_iter().map(|number| (number, all.opened.get(&number).cloned())).collect()
    }

    /// Every open session: what a signer that knows nothing is told.
    pub(crate) fn take_all(&self) -> Vec<Session> {
        let mut all = lock(&self.all);
        all.untold.clear();
        all.opened.values().cloned().collect()
    }
}

/// A connection's entry; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    sessions: Arc<Sessions>,
    number: u64,
    inbox: Arc<Inbox>,
}

impl Registration {
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The device is in session here. An older session of it is told to end.
    ///
    /// # Errors
    /// `most` devices are in session already, and this is not one of them.
    pub(crate) fn open(&self, gateway: &str, device: &str, nonce: Nonce, most: Option<u32>) -> Result<(), Full> {
        let mut all = lock(&self.sessions.all);
        let most = most.map_or(usize::MAX, |most| most as usize);
        if all.by_device.len() >= most && !all.by_device.contains_key(device) {
            return Err(Full);
        }
        if let Some(older) = all.by_device.insert(device.to_owned(), self.number)
            && older != self.number
        {
            all.opened.remove(&older);
            all.untold.insert(older);
            if let Some(inbox) = all.inboxes.get(&older) {
                inbox.put(|news| news.close = Some(Closing::Superseded));
            }
        }
        let session = Session {
            session: self.number,
            gateway: gateway.to_owned(),
            device: device.to_owned(),
            thumbprint: self.inbox.key.thumbprint().0,
            nonce: nonce.0,
        };
        all.opened.insert(self.number, session);
        all.untold.insert(self.number);
        self.sessions.count(&all);
        drop(all);
        self.sessions.changed.notify_one();
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut all = lock(&self.sessions.all);
        all.inboxes.remove(&self.number);
        all.leaving.remove(&self.number);
        if let Some(numbers) = all.by_key.get_mut(&self.inbox.key) {
            numbers.remove(&self.number);
            if numbers.is_empty() {
                all.by_key.remove(&self.inbox.key);
            }
        }
        if let Some(session) = all.opened.remove(&self.number) {
            all.untold.insert(self.number);
            if all.by_device.get(&session.device) == Some(&self.number) {
                all.by_device.remove(&session.device);
            }
            self.sessions.count(&all);
            drop(all);
            self.sessions.changed.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey([1; 32]);

    fn open(registration: &Registration, device: &str, most: Option<u32>) -> Result<(), Full> {
        registration.open("gateway-1", device, Nonce([0; 16]), most)
    }

    #[tokio::test]
    async fn the_newer_session_of_a_device_wins() {
        let sessions = Arc::new(Sessions::default());
        let (old, new) = (sessions.register(KEY), sessions.register(KEY));
        open(&old, "a", None).expect("there is room");
        open(&new, "a", None).expect("there is room");
        assert_eq!(old.inbox().take(true).await.close, Some(Closing::Superseded));
        let told: Vec<_> = sessions.take_untold().into_iter().map(|(number, open)| (number, open.is_some())).collect();
        assert_eq!(told, [(old.number, false), (new.number, true)]);
        drop(old);
        assert_eq!(sessions.opened(), 1, "the old one's end is not the new one's");
        drop(new);
        assert_eq!(sessions.opened(), 0);
    }

    #[test]
    fn no_more_devices_than_declared_are_let_in_but_a_reconnecting_one_is() {
        let sessions = Arc::new(Sessions::default());
        let (a, b) = (sessions.register(KEY), sessions.register(PublicKey([2; 32])));
        assert_eq!(open(&a, "a", Some(1)), Ok(()));
        assert_eq!(open(&b, "b", Some(1)), Err(Full));
        assert_eq!(open(&sessions.register(KEY), "a", Some(1)), Ok(()));
    }

    #[tokio::test]
    async fn only_the_latest_assignment_waits_in_the_box() {
        let sessions = Arc::new(Sessions::default());
        let registration = sessions.register(KEY);
        for n in 0..3 {
            let push = AssignmentPush { session: registration.number, assignment: vec![n], releases: Vec::new() };
            sessions.assign(push, Vec::new());
        }
        assert_eq!(registration.inbox().take(true).await.assignment, Some((vec![2], Vec::new())));
    }

    #[test]
    fn a_signer_that_knows_nothing_is_told_every_session() {
        let sessions = Arc::new(Sessions::default());
        let a = sessions.register(KEY);
        open(&a, "a", None).expect("there is room");
        assert_eq!(sessions.take_all().len(), 1);
        assert!(sessions.take_untold().is_empty());
        drop(a);
        assert_eq!(sessions.take_untold(), [(1, None)]);
    }
}
