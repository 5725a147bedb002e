//! Applications ask whether a peer answers (`net_probe`); the network answers.

use core::cell::RefCell;

use alloc::string::String;
use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Duration;

/// A question to the network.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Name or address of the peer.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why a peer did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeError {
    /// The board has no network, or it is not up.
    NoNetwork,
    /// The name has no address.
    Unknown,
    /// The peer refused.
    Refused,
    /// It took too long.
    TimedOut,
}

/// Where the question of one application at a time lies. Applications run on stacks of their own and wait by yielding, so
/// both sides only look.
pub struct Probes {
    state: Mutex<RefCell<State>>,
    asked: Signal<CriticalSectionRawMutex, Probe>,
}

enum State {
    Free,
    Asked(u32),
    Answered(u32, Result<Duration, ProbeError>),
}

impl Probes {
    /// No question.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: Mutex::new(RefCell::new(State::Free)), asked: Signal::new() }
    }

    /// The application's side: asks, if nobody else waits for an answer. `who` names who asks.
    pub fn ask(&self, who: u32, probe: Probe) -> bool {
        let free = critical_section::with(|cs| {
            let mut state = self.state.borrow_ref_mut(cs);
            let free = matches!(*state, State::Free);
            if free {
                *state = State::Asked(who);
            }
            free
        });
        if free {
            self.asked.signal(probe);
        }
        free
    }

    /// The application's side: takes the answer, if it is there.
    pub fn answer(&self, who: u32) -> Option<Result<Duration, ProbeError>> {
        critical_section::with(|cs| {
            let mut state = self.state.borrow_ref_mut(cs);
            match *state {
                State::Answered(asked, answer) if asked == who => {
                    *state = State::Free;
                    Some(answer)
                }
                _ => None,
            }
        })
    }

    /// The application is gone: nobody waits for its answer any more.
    pub fn forget(&self, who: u32) {
        critical_section::with(|cs| {
            let mut state = self.state.borrow_ref_mut(cs);
            match *state {
                State::Answered(asked, _) if asked == who => *state = State::Free,
                // The network is at it; its answer finds nobody and frees the place.
                State::Asked(asked) if asked == who => *state = State::Asked(u32::MAX),
                _ => {}
            }
        });
    }

    /// The network's side: waits for a question.
    pub async fn next(&self) -> Probe {
        self.asked.wait().await
    }

    /// The network's side: answers it.
    pub fn tell(&self, answer: Result<Duration, ProbeError>) {
        critical_section::with(|cs| {
            let mut state = self.state.borrow_ref_mut(cs);
            *state = match *state {
                State::Asked(u32::MAX) | State::Free => State::Free,
                State::Asked(who) | State::Answered(who, _) => State::Answered(who, answer),
            };
        });
    }
}

impl Default for Probes {
    fn default() -> Self {
        Self::new()
    }
}
