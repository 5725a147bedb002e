//! An application on a stack that its owner may take away.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::session::Session;
use crate::{Application, Budget, Driver, Host, Loaded, Outcome, StartError};

/// Everything an application owns but its stack. [`Task::run`] is called on that stack and refers to the task from there; when it
/// is to end in the middle of its work, the stack is simply not continued, and [`Task::give_up`] clears up from outside: while
/// its [`Driver`] allowed turns, no frame on the stack owned anything.
pub struct Task {
    module: &'static [u8],
    loaded: Loaded,
    session: Session,
    outcome: Option<Outcome>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("loaded", &self.loaded).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Task {
    /// An application that begins with [`Task::run`]. Its module stays where it is until it is loaded, and is not needed
    /// afterwards: it may lie in read-only flash.
    ///
    /// # Errors
    /// The limits are out of range.
    pub fn new(
        application: &Application<'static>,
        budget: Arc<Budget>,
        host: Box<dyn Host>,
        driver: Box<dyn Driver>,
    ) -> Result<Self, StartError> {
        let loaded = Loaded::nothing(application.limits, budget)?;
        let session = Session::new(application, host, driver);
        Ok(Self { module: application.module, loaded, session, outcome: None })
    }

    /// Loads the application and runs it to its end, once, on the stack of the caller.
    pub fn run(&mut self) {
        let outcome = match self.loaded.fill(self.module, &mut self.session) {
            Ok(()) => self.loaded.run_in(&mut self.session),
            Err(error) => Outcome::Refused(error),
        };
        self.outcome = Some(outcome);
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What its memory is charged to.
    pub fn budget(&self) -> &Arc<Budget> {
        self.loaded.budget()
    }

    /// Ends an application whose stack is not continued, with this outcome if it had none. What it wrote is given out.
    ///
    /// Its budget must have an arena, or its memory is lost.
    pub fn give_up(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.session.finish();
            self.outcome = Some(outcome);
        }
        self.loaded.give_up();
    }
}
