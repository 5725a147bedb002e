//! An application on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::control::Control;
use crate::load::{ENTRY, load};
use crate::session::{Belongings, Session};
use crate::wamr::{Budget, Instance, Return};
use crate::{Application, Host, Limits, Outcome, StartError, Stats};

/// The native stack of an application's thread: the interpreter needs 4 KiB of it, the rest is for the platform's host functions.
/// What is not touched costs nothing.
const NATIVE_STACK: usize = 256 * 1024;

/// Starts an application on a thread of its own, where its module is also loaded: a hostile one takes seconds. `host` gives it
/// what it may reach; `ended` is called once on that thread, after the application's memory is freed.
///
/// An `Err` is about the limits or the system; then `ended` is never called. A module that is refused ends the application with
/// [`Outcome::Refused`].
pub fn start(
    application: &Application<'_>,
    host: Box<dyn Host>,
    ended: impl FnOnce(Outcome, Stats) + Send + 'static,
) -> Result<Running, StartError> {
    let limits = application.limits;
    limits.check()?;
    let budget = Budget::new(limits.memory);
    let control = Arc::new(Control::new(Arc::clone(&budget)));
    let end: Arc<Mutex<Option<Outcome>>> = Arc::default();
    let belongings = Belongings::from(application);
    let module = application.module.to_vec();
    let thread = Builder::new()
        .name("application".to_owned())
        .stack_size(NATIVE_STACK)
        .spawn({
            let (control, end) = (Arc::clone(&control), Arc::clone(&end));
            move || {
                let loaded = load(module, &limits, Arc::clone(&budget));
                control.loaded();
                let outcome = match loaded {
                    Ok(instance) => run(instance, &limits, belongings, host, &control, &budget),
                    Err(_) if control.is_stopping() => Outcome::Stopped,
                    Err(error) => Outcome::Refused(error),
                };
                *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
                // A panic of the owner's is the owner's; the application has ended either way.
                let _ = catch_unwind(AssertUnwindSafe(|| ended(outcome, control.stats())));
            }
        })
        .map_err(|e| StartError::System(format!("no thread: {e}")))?;
    Ok(Running { control, end, thread: Some(thread) })
}

/// Runs the instance to its end and says how it ended. The instance is gone afterwards.
fn run(
    instance: Instance,
    limits: &Limits,
    belongings: Belongings,
    host: Box<dyn Host>,
    control: &Arc<Control>,
    budget: &Budget,
) -> Outcome {
    let refused_before = budget.refused();
    let Belongings { grants, args, env } = belongings;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut session = Session::new(limits, grants, args, env, host, Arc::clone(control));
        if control.is_stopping() {
            return (Return::Ended, None);
        }
        session.host.started();
        let end = instance.run(ENTRY, &mut session);
        (end, session.finish())
    }));
    match ended {
        Ok((Return::Finished, _)) => Outcome::Returned,
        // It ended by its own word, or else because it was stopped.
        Ok((Return::Ended, outcome)) => outcome.unwrap_or(Outcome::Stopped),
        Ok((Return::Trapped(reason), _)) => trap(reason, limits, budget.refused() > refused_before),
        Ok((Return::Panicked(words), _)) => {
            Outcome::Trapped { reason: format!("the device failed in a host function: {words}") }
        }
        Err(_) => Outcome::Trapped { reason: "the device failed in a host function".to_owned() },
    }
}

fn trap(reason: String, limits: &Limits, memory_refused: bool) -> Outcome {
    if reason.contains("stack overflow") {
        Outcome::StackOverflow { limit: limits.stack }
    } else if memory_refused {
        Outcome::MemoryLimit { limit: limits.memory }
    } else {
        Outcome::Trapped { reason }
    }
}

/// An application that was started. Dropping it stops the application and waits for its end, but not for a module that is
/// still being loaded.
#[derive(Debug)]
pub struct Running {
    control: Arc<Control>,
    end: Arc<Mutex<Option<Outcome>>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Asks it to end and returns at once. It ends within milliseconds, be it in an endless loop, held back or asleep; in a call
    /// of [`Host`] when that returns; while its module is loaded, when the function being translated is done.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.outcome().is_some()
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has used so far. CPU time is brought up to date every millisecond it runs.
    pub fn stats(&self) -> Stats {
        self.control.stats()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> (Outcome, Stats) {
        self.join();
        let outcome = self.outcome().unwrap_or(Outcome::Stopped);
        (outcome, self.stats())
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Its own thread, in `ended`, cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if !self.control.is_loading() {
            self.join();
        }
    }
}
