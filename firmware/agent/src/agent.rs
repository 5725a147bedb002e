//! The agent: everything a device does, without doing any of it itself.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::action::Action;
use crate::event::Event;
use crate::provisioning::Provisioning;
use crate::store::{Geometry, GeometryError};
use crate::tls::Entropy;

/// What an agent needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identity, trust and addresses.
    pub provisioning: Provisioning,
    /// What the device is.
    pub board: Board,
    /// The flash region its store lives in.
    pub geometry: Geometry,
    /// Where randomness comes from.
    pub entropy: Entropy,
}

/// What the device is, as it tells the gateway in its `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The `mcuType` this program was built for, such as `Host` or `Mps2An386`.
    pub name: String,
    /// Memory for applications, in bytes.
    pub memory: u64,
    /// What else it offers, such as names of pins; for people.
    pub features: Vec<String>,
}

/// A device: events in ([`handle`](Self::handle)), actions out ([`next_action`](Self::next_action)).
///
/// The platform's whole loop: take every action, wait for an event or for
/// [`next_deadline`](Self::next_deadline), hand it over, repeat. Times are milliseconds of a clock that never
/// goes back (of one that does, the agent keeps the highest value it saw).
#[derive(Debug)]
pub struct Agent {
    actions: VecDeque<Action>,
}

impl Agent {
    /// An agent that has just been switched on; its first actions read the store.
    ///
    /// # Errors
    /// No store can work with this geometry.
    pub fn new(options: Options, now_ms: u64) -> Result<Self, GeometryError> {
        let _ = (options, now_ms);
        Ok(Self { actions: VecDeque::new() })
    }

    /// Takes in one event.
    pub fn handle(&mut self, event: Event, now_ms: u64) {
        let _ = (event, now_ms);
    }

    /// The next thing to do, until there is none.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to hand over the next [`Event::Tick`], if nothing else happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }

    /// The time of day, in Unix milliseconds, as the gateway told it; only good for logs.
    pub fn unix_time_ms(&self, now_ms: u64) -> Option<u64> {
        let _ = now_ms;
        None
    }
}
