//! Applications in slices: beside the device's tasks, one slice a pass of the executor.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Instant, TICK_HZ};
use wasmbed_agent::{ApplicationEvent, HeldBack, Instance, StartApplication};
use wasmbed_runtime::{Application, Budget, Grants, Limits, Outcome, Stats};
use wasmbed_slices::{Clock, SliceEnd, Slot};

use crate::applications::Applications;
use crate::memory::Memory;
use crate::pins::Pin;
use crate::platform::Platform;
use crate::probe::Probes;

/// Native stack of an application: the interpreter's 4 KiB, and what the host functions here need.
const STACK: usize = 8 * 1024;
/// What an arena has beyond its application's limit: its own accounts.
const ARENA_SPARE: usize = 4 * 1024;
/// Events of applications that wait for the device loop; whoever has more to say makes way.
const WAITING_EVENTS: usize = 8;

pub(crate) static EVENTS: Channel<CriticalSectionRawMutex, (Instance, ApplicationEvent), WAITING_EVENTS> =
    Channel::new();

/// The board's clock, as slices count it.
struct BoardClock;

static CLOCK: BoardClock = BoardClock;

impl Clock for BoardClock {
    fn ticks(&self) -> u64 {
        Instant::now().as_ticks()
    }

    fn ticks_per_second(&self) -> u32 {
        TICK_HZ as u32
    }
}

/// What a board has for applications.
#[derive(Clone, Copy)]
pub struct Means {
    /// Their memory.
    pub memory: &'static Memory,
    /// The board's pins.
    pub pins: &'static [Pin],
    /// Whether memory may grow: it takes a copy, which small boards have no room for.
    pub growth: bool,
    /// Cycles of the core in a slice: about 5 ms.
    pub slice: u32,
}

struct Run {
    instance: Instance,
    slot: Slot<BoardClock>,
    stopping: Arc<AtomicBool>,
    waits: Waits,
}

#[derive(Clone, Copy, PartialEq)]
enum Waits {
    No,
    /// Until this time.
    Until(u64),
    /// For somebody: it looks again at every pass.
    Looks,
}

/// The device loop's side.
pub struct Sliced {
    means: Means,
    probes: &'static Probes,
    runs: Rc<RefCell<Vec<Run>>>,
}

/// The executor's side.
pub struct Turns {
    slice: u32,
    runs: Rc<RefCell<Vec<Run>>>,
    next: usize,
}

/// What is left to do after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// An application could go on at once.
    Busy,
    /// Nothing before this time.
    Until(Instant),
    /// Nothing, unless something happens.
    Nothing,
}

/// Both sides of a board's applications.
#[must_use]
pub fn applications(means: Means, probes: &'static Probes) -> (Sliced, Turns) {
    wasmbed_slices::start();
    let runs = Rc::<RefCell<Vec<Run>>>::default();
    (Sliced { means, probes, runs: runs.clone() }, Turns { slice: means.slice, runs, next: 0 })
}

impl Applications for Sliced {
    fn start(&mut self, start: StartApplication, module: &'static [u8]) -> Result<(), String> {
        let StartApplication { instance, arguments, environment, limits, capabilities, .. } = start;
        let application = Application {
            module,
            limits: Limits {
                memory: u64::from(limits.memory),
                cpu_ms_per_s: limits.cpu_ms_per_s,
                log_bytes_per_s: limits.io.log_bytes_per_s,
                publish_per_s: limits.io.publish_per_s,
                publish_bytes_per_s: limits.io.publish_bytes_per_s,
                growth: self.means.growth,
                ..Limits::default()
            },
            grants: Grants {
                publish: capabilities.publish,
                gpio: capabilities.gpio,
                adc: capabilities.adc,
                network: capabilities.network,
            },
            args: arguments,
            env: environment,
        };
        let arena = (limits.memory as usize).saturating_add(ARENA_SPARE);
        let free = self.means.memory.free();
        let no_room = || {
            format!(
                "it needs {} bytes of memory (its config.memoryLimit and {} for its stack and account), and {free} are free \
                 on this device, perhaps in pieces: lower the limit, or give it fewer applications",
                arena.saturating_add(STACK),
                ARENA_SPARE + STACK,
            )
        };
        let stack = self.means.memory.piece(STACK).ok_or_else(no_room)?;
        let arena = self.means.memory.piece(arena).ok_or_else(no_room)?;
        let budget = Budget::in_arena(u64::from(limits.memory), arena).ok_or_else(no_room)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let host = Platform { instance, stopping: stopping.clone(), pins: self.means.pins, probes: self.probes };
        let slot = Slot::new(&application, budget, Box::new(host), stack, &CLOCK).map_err(|error| error.to_string())?;
        self.runs.borrow_mut().push(Run { instance, slot, stopping, waits: Waits::No });
        Ok(())
    }

    fn stop(&mut self, instance: Instance) {
        if let Some(run) = self.runs.borrow_mut().iter_mut().find(|run| run.instance == instance) {
            run.stopping.store(true, Ordering::Relaxed);
            run.slot.stop();
            run.waits = Waits::No;
        }
    }

    fn account(&mut self, tell: &mut dyn FnMut(Instance, ApplicationEvent)) {
        for run in self.runs.borrow().iter() {
            tell(run.instance, account(&run.slot.stats()));
        }
    }

    fn is_empty(&self) -> bool {
        self.runs.borrow().is_empty()
    }

    async fn next_event(&mut self) -> (Instance, ApplicationEvent) {
        EVENTS.receive().await
    }
}

impl Turns {
    /// Gives the next application that can go on a slice.
    pub fn turn(&mut self) -> Left {
        let mut runs = self.runs.borrow_mut();
        let count = runs.len();
        let mut left = Left::Nothing;
        let mut had_turn = false;
        for index in in_turn(self.next, count) {
            let run = &mut runs[index];
            let ready = match run.waits {
                Waits::No => true,
                Waits::Looks => !had_turn,
                Waits::Until(until) if until <= Instant::now().as_ticks() => true,
                Waits::Until(until) => {
                    left = left.or_until(until);
                    false
                }
            };
            if ready && had_turn {
                left = Left::Busy;
            }
            if !ready || had_turn {
                continue;
            }
            let looked = run.waits == Waits::Looks;
            match run.slot.resume(self.slice) {
                SliceEnd::Preempted => {
                    run.waits = Waits::No;
                    left = Left::Busy;
                }
                SliceEnd::Waiting { until: Some(until) } => {
                    run.waits = Waits::Until(until);
                    left = left.or_until(until);
                }
                SliceEnd::Waiting { until: None } => run.waits = Waits::Looks,
                SliceEnd::Finished => run.waits = Waits::No,
            }
            // Who only looked had no turn.
            if !(looked && run.waits == Waits::Looks) {
                had_turn = true;
                self.next = index + 1;
            }
        }
        let before = runs.len();
        runs.retain(|run| !is_told(run));
        // Who could not be told the end of is told at the next pass, which the device loop's listening brings.
        if runs.len() < before { Left::Busy } else { left }
    }
}

/// All of `count`, each once, beginning with the one whose turn it is.
fn in_turn(next: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |offset| (next + offset) % count)
}

impl Left {
    fn or_until(self, ticks: u64) -> Self {
        let until = Instant::from_ticks(ticks);
        match self {
            Self::Busy => self,
            Self::Until(other) => Self::Until(other.min(until)),
            Self::Nothing => Self::Until(until),
        }
    }
}

/// Tells the end of a run, once there is room for it; whether it is told.
fn is_told(run: &Run) -> bool {
    let Some(outcome) = run.slot.outcome() else { return false };
    // Only complete: what it used at last, and how it ended.
    if EVENTS.free_capacity() < 2 {
        return false;
    }
    let used = EVENTS.try_send((run.instance, account(&run.slot.stats()))).is_ok();
    used && EVENTS.try_send((run.instance, last_event(outcome))).is_ok()
}

fn account(stats: &Stats) -> ApplicationEvent {
    ApplicationEvent::Stats {
        cpu_ms: u64::try_from(stats.cpu.as_millis()).unwrap_or(u64::MAX),
        memory: u32::try_from(stats.memory).unwrap_or(u32::MAX),
        held_back: HeldBack { cpu_time: stats.held_back, log: stats.log_lines_dropped, output: stats.publish_refused },
    }
}

fn last_event(outcome: &Outcome) -> ApplicationEvent {
    match outcome {
        Outcome::Returned => ApplicationEvent::Exited { code: 0 },
        Outcome::Exited { code } => ApplicationEvent::Exited { code: code.cast_signed() },
        Outcome::Stopped => ApplicationEvent::Stopped,
        Outcome::Refused(error) => ApplicationEvent::Refused { reason: error.to_string() },
        Outcome::Trapped { reason } if reason == "unreachable" => ApplicationEvent::Trapped {
            reason: "it panicked (the module ran into `unreachable`); with `source.profile: dev` it says why".into(),
        },
        Outcome::Trapped { reason } => ApplicationEvent::Trapped { reason: reason.clone() },
        Outcome::MemoryLimit { .. } | Outcome::StackOverflow { .. } => {
            ApplicationEvent::Trapped { reason: outcome.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_whoever_had_the_last() {
        for count in 0..6 {
            for next in 0..=count {
                let mut order: Vec<usize> = in_turn(next, count).collect();
                assert_eq!(order.first().copied(), (count > 0).then(|| next % count));
                order.sort_unstable();
                assert!(order.into_iter().eq(0..count), "{next} of {count}");
            }
        }
    }
}
