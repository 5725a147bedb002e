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
use crate::wamr::{Budget, Program, Return, Turns};
use crate::{Application, Driver, Host, Limits, Outcome, StartError};

/// Where a program starts.
const ENTRY: &CStr = c"_start";

/// Exports that WAMR runs while it instantiates, where nothing could stop them.
const RUN_TOO_EARLY: &[&CStr] = &[c"__post_instantiate", c"__wasm_call_ctors", c"_initialize"];

/// Most bytes of a module's own name that an error says: names may be as long as the module.
const NAME_BYTES: usize = 64;

/// How WAMR says that the stack of the caller of [`Loaded::run`] is used up.
const NATIVE_STACK_OVERFLOW: &str = "native stack overflow";

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
    /// `None` until it is loaded.
    program: Option<Program>,
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
        let mut loaded = Self::nothing(limits, Arc::clone(budget))?;
        loaded.fill(module, &mut NoTurns)?;
        Ok(loaded)
    }

    /// An application whose module is not loaded yet.
    pub(crate) fn nothing(limits: Limits, budget: Arc<Budget>) -> Result<Self, StartError> {
        limits.check()?;
        Ok(Self { program: None, budget, limits })
    }

    /// Loads its module. All it makes belongs to `self` at once, so that it can be given up while turns are allowed.
    pub(crate) fn fill(&mut self, module: &[u8], turns: &mut dyn Turns) -> Result<(), StartError> {
        let Self { budget, limits, .. } = self;
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
        let program = Program::load(module, budget, turns).map_err(out_of_memory_or)?;
        let program = self.program.insert(program);
        check_imports(program)?;
        if let Some(name) = program.exports().find(|name| RUN_TOO_EARLY.contains(name)) {
            return Err(invalid(&format!(
                "it exports `{}`, which would run outside of its limits: call it from `_start` and do not export it",
                excerpt(name)
            )));
        }
        if !limits.growth && program.can_grow() {
            return Err(invalid(
                "its memory can grow, which this device has no room for: do not use `memory.grow`, or link it with a maximum of \
                 memory (`--max-memory`) that is what it begins with",
            ));
        }
        program.instantiate(limits.stack, turns).map_err(out_of_memory_or)?;
        if program.has_entry(ENTRY) { Ok(()) } else { Err(StartError::NoEntry) }
    }

    /// Runs the application to its end, on the stack of the caller, which needs 4 KiB of it beside what `host` needs. All of its
    /// memory is freed afterwards. `application` gives its grants, arguments and configuration.
    pub fn run(mut self, application: &Application<'_>, host: Box<dyn Host>, driver: Box<dyn Driver>) -> Outcome {
        let mut session = Session::new(application, host, driver);
        self.run_in(&mut session)
    }

    /// Runs the application to its end with a session that outlives it.
    pub(crate) fn run_in(&mut self, session: &mut Session) -> Outcome {
        let Self { program, budget, limits } = self;
        let Some(program) = program else {
            return Outcome::Refused(StartError::System("its module is not loaded".to_owned()));
        };
        let refused_before = budget.refused();
        if !session.begin() {
            return Outcome::Stopped;
        }
        let end = program.run(ENTRY, session);
        let own_word = session.finish();
        match end {
            Return::Finished => Outcome::Returned,
            // By its own word, or else because it was stopped.
            Return::Ended => own_word.unwrap_or(Outcome::Stopped),
            Return::Trapped(reason) => trap(reason, limits, budget.refused() > refused_before),
            Return::Panicked(words) => {
                Outcome::Trapped { reason: format!("the device failed in a host function: {words}") }
            }
        }
    }

    /// Forgets the application, which was ended in the middle of its work.
    pub(crate) fn give_up(&mut self) {
        if let Some(program) = self.program.take() {
            program.give_up();
        }
        self.budget.forget_all();
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

/// Of a stack that nobody else takes turns with.
struct NoTurns;

impl Turns for NoTurns {
    fn allow(&mut self, _: bool) {}
}

fn check_imports(program: &Program) -> Result<(), StartError> {
    for import in program.imports() {
        let is = |offered: &str, name: &CStr| offered.as_bytes() == name.to_bytes();
        let known = IMPORTS.iter().any(|offered| is(offered.module, import.module) && is(offered.name, import.name));
        if import.is_function && known && import.linked {
            continue;
        }
        let (module, name) = (excerpt(import.module), excerpt(import.name));
        return Err(if import.is_function && known {
            StartError::ImportSignature { module, name }
        } else {
            StartError::UnknownImport { module, name }
        });
    }
    Ok(())
}

/// A name as an error says it: its beginning, if it is long.
fn excerpt(name: &CStr) -> String {
    let text = name.to_bytes().utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if text.len() <= NAME_BYTES {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(NAME_BYTES)])
}

fn trap(reason: String, limits: &Limits, memory_refused: bool) -> Outcome {
    if reason == OWN_STACK_OVERFLOW {
        let reason = "called too deeply: the stack in its linear memory is used up (endless recursion?)".to_owned();
        Outcome::Trapped { reason }
    } else if reason == NATIVE_STACK_OVERFLOW {
        let reason = "the device's native stack for it is too small for its host functions".to_owned();
        Outcome::Trapped { reason }
    } else if reason.contains("stack overflow") {
        Outcome::StackOverflow { limit: limits.stack }
    } else if memory_refused {
        Outcome::MemoryLimit { limit: limits.memory }
    } else {
        Outcome::Trapped { reason }
    }
}
