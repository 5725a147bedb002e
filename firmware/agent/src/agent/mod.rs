//! The agent: everything a device does, without doing any of it itself.

mod boot;
mod collect;
mod conversation;
mod durable;
mod install;
mod room;
mod runs;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::limits::MAX_LOG;
use wasmbed_protocol::message::{Level, Log};
use wasmbed_protocol::signed::Entry;
use wasmbed_protocol::{PublicKey, SigningKey};

use crate::action::Action;
use crate::event::Event;
use crate::library::Library;
use crate::link::Link;
use crate::outbox::{Outbox, bounded};
use crate::provisioning::{Pairing, Provisioning};
use crate::session::{Session, Trust};
use crate::store::{Geometry, GeometryError, Store};
use crate::supervisor::Supervisor;
use crate::tls::{Entropy, TlsIdentity};
use durable::Purposes;
use install::Installer;

/// Most features that fit a `Hello`.
const MAX_FEATURES: usize = 16;

/// What an agent needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identity, trust and addresses.
    pub provisioning: Provisioning,
    /// What the device is.
    pub board: Board,
    /// The flash region its store lives in.
    pub geometry: Geometry,
    /// Bytes of memory that it has for what the agent keeps of applications. Of more than it is enough for, the first by name run, and
    /// the others are reported as failed, with the numbers. More than [`MAX_APPLICATIONS`] are never assigned.
    pub memory_for_applications: usize,
    /// Where randomness comes from.
    pub entropy: Entropy,
}

/// What the device is, as it tells the gateway in its `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The `mcuType` this program was built for, such as `Host` or `Mps2An386`.
    pub name: String,
    /// Memory for applications, in bytes.
    pub memory: u32,
    /// What it can run and do, such as `wasm32` and `gpio`. The first 16 are told.
    pub features: Vec<String>,
}

/// A device: events in ([`handle`](Self::handle)), actions out ([`next_action`](Self::next_action)).
///
/// The platform's whole loop: take every action, wait for an event or for
/// [`next_deadline`](Self::next_deadline), hand it over, repeat. Times are milliseconds of a clock that never
/// goes back (of one that does, the agent keeps the highest value it saw).
pub struct Agent {
    board: Board,
    entropy: Entropy,
    pairing: Option<Pairing>,
    trust: Trust,
    memory_for_applications: usize,
    started: u64,
    now: u64,
    /// The gateway's clock, and when it was told.
    clock: Option<(u64, u64)>,
    booted: bool,
    store: Store,
    purposes: Purposes,
    library: Library,
    supervisor: Supervisor,
    installer: Installer,
    /// The entries last accepted, be they durable yet or not.
    assigned: Option<Vec<Entry>>,
    link: Link,
    session: Option<Session>,
    /// Why there was no session last time.
    down: Option<String>,
    outbox: Outbox,
    /// Frames that go before what is in the outbox.
    urgent: Vec<u8>,
    actions: VecDeque<Action>,
    /// Whether something happened after which there may be something to install or to collect.
    changed: bool,
}

impl Agent {
    /// An agent that has just been switched on; its first actions read the store.
    ///
    /// # Errors
    /// No store can work with this geometry.
    pub fn new(options: Options, now_ms: u64) -> Result<Self, GeometryError> {
        let Options { provisioning, mut board, geometry, memory_for_applications, entropy } = options;
        board.features.truncate(MAX_FEATURES);
        let key = SigningKey::from_seed(&provisioning.seed);
        let trust = Trust {
            key: key.public(),
            root: PublicKey(provisioning.root),
            fleet: provisioning.fleet.clone(),
            epoch: 0,
        };
        let identity = TlsIdentity::new(&key, entropy);
        let mut agent = Self {
            board,
            entropy,
            pairing: provisioning.pairing.clone(),
            trust,
            memory_for_applications,
            started: now_ms,
            now: now_ms,
            clock: None,
            booted: false,
            store: Store::new(geometry)?,
            purposes: Purposes::default(),
            library: Library::new(memory_for_applications),
            supervisor: Supervisor::default(),
            installer: Installer::default(),
            assigned: None,
            link: Link::new(identity, entropy, provisioning.gateways.clone(), now_ms),
            session: None,
            down: None,
            outbox: Outbox::default(),
            urgent: Vec::new(),
            actions: VecDeque::new(),
            changed: false,
        };
        agent.settle();
        Ok(agent)
    }

    /// The device's public key.
    pub fn public_key(&self) -> PublicKey {
        self.trust.key
    }

    /// Takes in one event. An event that fits nothing (of an older connection, of a run that is over) changes nothing.
    pub fn handle(&mut self, event: Event, now_ms: u64) {
        self.now = self.now.max(now_ms);
        match event {
            Event::Tick => self.changed = true,
            Event::Connected { connection } => self.connected(connection),
            Event::Received { connection, bytes } => {
                self.link.received(connection, &bytes, self.now, &mut self.actions);
            }
            Event::Sent { connection } => self.link.sent(connection),
            Event::Disconnected { connection, reason } => self.link.disconnected(connection, &reason, self.now),
            Event::Flash { id, result } => self.store.complete(id, result),
            Event::Say { level, text } => self.say(level, text),
            Event::Application { instance, event } => self.application(instance, event),
        }
        self.settle();
    }

    /// The next thing to do, until there is none.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to hand over the next [`Event::Tick`], if nothing else happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        if !self.booted {
            return None;
        }
        let session = self.session.as_ref().map(Session::next_deadline);
        let welcomed = self.session.as_ref().is_some_and(Session::is_welcomed);
        // What could go now waits for the platform to take what went before, which is an event of its own.
        let paced = self.outbox.next_deadline().filter(|deadline| welcomed && *deadline > self.now);
        [self.link.next_deadline(), session, paced, self.supervisor.next_deadline(), self.installer.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The time of day, in Unix milliseconds, as the gateway told it; only good for logs.
    pub fn unix_time_ms(&self, now_ms: u64) -> Option<u64> {
        self.clock.map(|(time, told)| time.saturating_add(now_ms.saturating_sub(told)))
    }

    /// Does everything that can be done now.
    fn settle(&mut self) {
        if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.supervisor.tick(self.now);
        }
        loop {
            let mut busy = self.take_store_events();
            busy |= self.take_link_events();
            busy |= self.take_effects();
            if self.booted && self.changed {
                self.changed = false;
                self.make_room();
                self.collect();
                self.install();
                busy = true;
            }
            if !busy {
                break;
            }
        }
        if self.booted {
            self.link.tick(self.now, &mut self.actions);
            self.converse();
        }
        if let Some(action) = self.store.next_action() {
            self.actions.push_back(Action::Flash(action));
        }
    }

    /// A line for the device's own log, and for people at the other end.
    fn say(&mut self, level: Level, text: String) {
        self.actions.push_back(Action::Log { level, text: text.clone() });
        self.outbox.log(Log { application: None, level, text: bounded(text, MAX_LOG), dropped: None });
    }
}

impl core::fmt::Debug for Agent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Agent").field("key", &self.trust.key).field("session", &self.session).finish_non_exhaustive()
    }
}
