//! From bytes to an end: everything that is refused is refused here, with its reason, and what runs is run.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::ffi::CStr;
use core::fmt;

use crate::imports::IMPORTS;
use crate::sections;
use crate::session::Session;
use crate::wamr::{Budget, Instance, Program, Return};
use crate::{Application, Driver, Host, Limits, Outcome, StartError};

/// Where a program starts.
const ENTRY: &CStr = c"_start";

/// Exports that WAMR runs while it instantiates, where nothing could stop them.
const RUN_TOO_EARLY: &[&str] = &["__post_instantiate", "__wasm_call_ctors", "_initialize"];

/// How WAMR says that a program's own stack, in its linear memory, is used up.
const OWN_STACK_OVERFLOW: &str = "wasm auxiliary stack overflow";

impl Limits {
    /// Refuses limits outside of their ranges.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let in_range = |name, value: u64, range: core::ops::RangeInclusive<u64>, words| {
            if range.contains(&value) { Ok(()) } else { Err(StartError::Limit { name, value, range: words }) }
        };
        in_range("memory", self.memory, 1..=1 << 32, "1 byte to 4 GiB")?;
        in_range("stack", self.stack.into(), 1024..=1 << 20, "1 KiB to 1 MiB")?;
        in_range("cpu_ms_per_s", self.cpu_ms_per_s.into(), 1..=1000, "1 to 1000 milliseconds a second")
    }
}

/// A loaded application, to be run once, on whatever stack [`Loaded::run`] is called.
pub struct Loaded {
    instance: Instance,
    budget: Arc<Budget>,
    limits: Limits,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Validates, translates and instantiates an application's module, with memory charged to the budget.
    ///
    /// # Errors
    /// The limits are out of range, the module is not one that devices run, or memory does not suffice.
    pub fn load(module: &[u8], limits: Limits, budget: &Arc<Budget>) -> Result<Self, StartError> {
        limits.check()?;
        let invalid = |reason: &str| StartError::Invalid { reason: reason.to_owned() };
        if let Some(reason) = sections::refusal(module) {
            return Err(invalid(reason));
        }
        let out_of_memory_or = |reason: String| {
            // What is beyond any budget, WAMR refuses by itself.
            if budget.refused() > 0 || reason.contains("allocate memory failed") {
                StartError::MemoryLimit { limit: limits.memory }
            } else {
                StartError::Invalid { reason }
            }
        };
        let program = Program::load(module, Arc::clone(budget)).map_err(out_of_memory_or)?;
        check_imports(&program)?;
        let exports = program.exports();
        if let Some(name) = exports.iter().find(|name| RUN_TOO_EARLY.contains(&name.as_str())) {
            return Err(invalid(&format!(
                "it exports `{name}`, which would run outside of its limits: call it from `_start` and do not export it"
            )));
        }
        let instance = program.instantiate(limits.stack).map_err(out_of_memory_or)?;
        if !instance.has_entry(ENTRY) {
            return Err(StartError::NoEntry);
        }
        Ok(Self { instance, budget: Arc::clone(budget), limits })
    }

    /// Runs the application to its end, on the stack of the caller, which needs 4 KiB of it beside what `host` needs. All of its
    /// memory is freed afterwards. `application` gives its grants, arguments and configuration.
    pub fn run(self, application: &Application<'_>, host: Box<dyn Host>, driver: Box<dyn Driver>) -> Outcome {
        let Self { instance, budget, limits } = self;
        let Application { grants, args, env, .. } = application;
        let refused_before = budget.refused();
        let mut session = Session::new(&limits, grants.clone(), args.clone(), env.clone(), host, driver);
        if !session.begin() {
            return Outcome::Stopped;
        }
        let end = instance.run(ENTRY, &mut session);
        let own_word = session.finish();
        match end {
            Return::Finished => Outcome::Returned,
            // By its own word, or else because it was stopped.
            Return::Ended => own_word.unwrap_or(Outcome::Stopped),
            Return::Trapped(reason) => trap(reason, &limits, budget.refused() > refused_before),
            Return::Panicked(words) => {
                Outcome::Trapped { reason: format!("the device failed in a host function: {words}") }
            }
        }
    }
}

fn check_imports(program: &Program) -> Result<(), StartError> {
    for import in program.imports() {
        let known = IMPORTS.iter().any(|offered| offered.module == import.module && offered.name == import.name);
        match (import.is_function && known, import.linked) {
            (true, true) => {}
            (true, false) => {
                return Err(StartError::ImportSignature { module: import.module, name: import.name });
            }
            (false, _) => {
                return Err(StartError::UnknownImport { module: import.module, name: import.name });
            }
        }
    }
    Ok(())
}

fn trap(reason: String, limits: &Limits, memory_refused: bool) -> Outcome {
    if reason == OWN_STACK_OVERFLOW {
        let reason = "called too deeply: the stack in its linear memory is used up (endless recursion?)".to_owned();
        Outcome::Trapped { reason }
    } else if reason.contains("stack overflow") {
        Outcome::StackOverflow { limit: limits.stack }
    } else if memory_refused {
        Outcome::MemoryLimit { limit: limits.memory }
    } else {
        Outcome::Trapped { reason }
    }
}
