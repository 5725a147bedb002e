//! An application on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::control::Control;
use super::pace::Pace;
use crate::{Application, Budget, Grants, Host, Limits, Loaded, Outcome, StartError, Stats};

/// The native stack of an application's thread: the interpreter needs 4 KiB of it, the rest is for the platform's host functions.
/// What is not touched costs nothing.
const NATIVE_STACK: usize = 256 * 1024;

/// Starts an application on a thread of its own, where its module is also loaded: a hostile one takes seconds. `host` gives it what
/// it may reach; `ended` is called once on that thread, after the application's memory is freed.
///
/// # Errors
/// The limits are out of range, or the system gives no thread; then `ended` is never called. A module that is refused ends the
/// application with [`Outcome::Refused`].
pub fn start(
    application: &Application<'_>,
    host: Box<dyn Host>,
    ended: impl FnOnce(Outcome, Stats) + Send + 'static,
) -> Result<Running, StartError> {
    application.limits.check()?;
    let control = Arc::new(Control::new(Budget::new(application.limits.memory)));
    let end: Arc<Mutex<Option<Outcome>>> = Arc::default();
    let owned = Owned::from(application);
    let thread = Builder::new()
        .name("application".to_owned())
        .stack_size(NATIVE_STACK)
        .spawn({
            let (control, end) = (Arc::clone(&control), Arc::clone(&end));
            move || {
                let outcome = run(owned, host, &control);
                *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
                // A panic of the owner's is the owner's; the application has ended either way.
                let _ = catch_unwind(AssertUnwindSafe(|| ended(outcome, control.stats())));
            }
        })
        .map_err(|e| StartError::System(format!("no thread: {e}")))?;
    Ok(Running { control, end, thread: Some(thread) })
}

/// Loads and runs the application, and says how it ended.
fn run(owned: Owned, host: Box<dyn Host>, control: &Arc<Control>) -> Outcome {
    let application = owned.application();
    let loaded = Loaded::load(application.module, application.limits, control.budget());
    control.loaded();
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(_) if control.is_stopping() => return Outcome::Stopped,
        Err(error) => return Outcome::Refused(error),
    };
    let driver = Box::new(Pace::new(application.limits.cpu_ms_per_s, Arc::clone(control)));
    catch_unwind(AssertUnwindSafe(|| loaded.run(&application, host, driver)))
        .unwrap_or_else(|_| Outcome::Trapped { reason: "the device failed in a host function".to_owned() })
}

/// An application that belongs to its thread.
struct Owned {
    module: Vec<u8>,
    limits: Limits,
    grants: Grants,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Owned {
    fn application(&self) -> Application<'_> {
        let Self { module, limits, grants, args, env } = self;
        Application { module, limits: *limits, grants: grants.clone(), args: args.clone(), env: env.clone() }
    }
}

impl From<&Application<'_>> for Owned {
    fn from(application: &Application<'_>) -> Self {
        let Application { module, limits, grants, args, env } = application.clone();
        Self { module: module.to_vec(), limits, grants, args, env }
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
