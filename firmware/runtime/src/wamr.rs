//! WAMR behind a safe face. The only module of this crate with unsafe code.
//!
//! # Why it is sound
//!
//! - **Lifetimes.** A [`Program`] owns its module, its instance and its execution environment, shares the budget their memory is
//!   charged to, and frees them in the reverse order. The raw pointers never leave this module.
//! - **Threads.** WAMR ties nothing to a thread in this configuration (no hardware bound checks, so no signal handlers and no
//!   thread-local state); its few globals are written in [`setup`] only, or are overwritten with the value they have (the
//!   interpreter's label table). So programs may move between threads; as they are not `Sync` and every operation that changes one
//!   takes `&mut self`, one thread at a time works on each.
//! - **Calls from C.** [`Program::run`] puts a pointer to its [`Frame`] into the execution environment for as long as the
//!   interpreter runs. [`wasmbed_call`] and [`wasmbed_pause`] turn it into `&mut Frame`; both are called by the interpreter on the
//!   thread that `run` blocks, one at a time, and never nest, because no host function calls back into WAMR's interpreter.
//!   They catch panics, so none unwinds through C.
//! - **Linear memory.** While a host function runs, the interpreter does not, so the slice over linear memory is the only access
//!   to it. It is made anew for each call, as `memory.grow` may move it.
//! - **Bytes.** WAMR's loader may write into its input, unless it is told that the input can be freed afterwards: then it copies what
//!   it keeps (names, data segments; code is translated), and only reads. So a module is loaded where it lies, in read-only flash
//!   too, and may go once it is loaded. `tests/flash.rs` loads from memory that cannot be written.
//! - **Giving up.** A scheduler that preempts may end an application wherever it is in one of the calls below that are made with
//!   preemption allowed: into the loader, the instantiation and the interpreter. At each, nothing on the stack owns anything. What the C
//!   side had allocated lies in the application's arena, to which no global of WAMR refers, so [`Program::give_up`] only
//!   forgets it; in an arena it goes with the arena.
#![allow(unsafe_code)]

mod budget;
#[cfg(target_os = "none")]
mod heap;
mod raw;
mod setup;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::{self, NonNull};

pub use budget::{Budget, Charge};
use raw::{
    ExportType, ImportType, KIND_FUNCTION, LoadArgs, wasm_func_get_param_count, wasm_func_get_result_count,
    wasm_runtime_call_wasm, wasm_runtime_create_exec_env, wasm_runtime_deinstantiate, wasm_runtime_destroy_exec_env,
    wasm_runtime_get_exception, wasm_runtime_get_export_count, wasm_runtime_get_export_type,
    wasm_runtime_get_import_count, wasm_runtime_get_import_type, wasm_runtime_instantiate, wasm_runtime_load_ex,
    wasm_runtime_lookup_function, wasm_runtime_set_native_stack_boundary, wasm_runtime_set_user_data,
    wasm_runtime_unload, wasmbed_arm, wasmbed_can_grow, wasmbed_disarm,
};
use setup::init;

use crate::imports::Import;

/// CPU time of this thread in nanoseconds.
#[cfg(feature = "threads")]
pub(crate) fn thread_cpu_ns() -> u64 {
    // SAFETY: reads a clock.
    unsafe { raw::wasmbed_thread_cpu_ns() }
}

/// An import of a program. The names are the module's own: of any length, and as many as it has.
pub(crate) struct Imported<'a> {
    pub(crate) module: &'a CStr,
    pub(crate) name: &'a CStr,
    pub(crate) is_function: bool,
    /// Whether a host function of that name and signature is offered.
    pub(crate) linked: bool,
}

/// A validated, translated module, and its instance once it has one.
pub(crate) struct Program {
    module: NonNull<c_void>,
    instance: Option<NonNull<c_void>>,
    environment: Option<NonNull<c_void>>,
    budget: Arc<Budget>,
}

// SAFETY: see "Threads" above.
unsafe impl Send for Program {}

impl Program {
    /// Validates and translates a module. The error is WAMR's reason.
    pub(crate) fn load(bytes: &[u8], budget: &Arc<Budget>, turns: &mut dyn Turns) -> Result<Self, String> {
        init()?;
        let length = u32::try_from(bytes.len()).map_err(|_| "longer than 4 GiB".to_owned())?;
        let mut error = [0_u8; ERROR_BYTES];
        let arguments = LoadArgs {
            name: c"".as_ptr().cast_mut(),
            clone_wasm_binary: false,
            // So the loader writes nothing to `bytes`, and the module refers to nothing of them afterwards.
            wasm_binary_freeable: true,
            no_resolve: false,
        };
        let module = {
            let _charging = budget.enter();
            turns.allow(true);
            // SAFETY: the pointers are valid for the lengths given and for the call; the bytes are only read, see "Bytes" above.
            let module = unsafe {
                wasm_runtime_load_ex(
                    bytes.as_ptr().cast_mut(),
                    length,
                    &raw const arguments,
                    error.as_mut_ptr().cast(),
                    ERROR_BYTES as u32,
                )
            };
            turns.allow(false);
            module
        };
        match NonNull::new(module) {
            Some(module) => Ok(Self { module, instance: None, environment: None, budget: Arc::clone(budget) }),
            None => Err(message(&error, "WASM module load failed: ")),
        }
    }

    /// Its imports, one after the other: nothing of them is copied, as a module may have thousands with long names.
    pub(crate) fn imports(&self) -> impl Iterator<Item = Imported<'_>> {
        let module = self.module.as_ptr();
        // SAFETY: the module is loaded.
        let count = unsafe { wasm_runtime_get_import_count(module) };
        (0..count).map(move |index| {
            let mut import = ImportType::default();
            // SAFETY: the module is loaded, and the index is below the count.
            unsafe { wasm_runtime_get_import_type(module, index, &raw mut import) };
            // SAFETY: names are C strings of the module, which stays as long as `self` is borrowed.
            let (of, name) = unsafe { (text(import.module_name), text(import.name)) };
            Imported { module: of, name, is_function: import.kind == KIND_FUNCTION, linked: import.linked }
        })
    }

    /// The names it exports, one after the other, as with [`imports`](Self::imports).
    pub(crate) fn exports(&self) -> impl Iterator<Item = &CStr> {
        let module = self.module.as_ptr();
        // SAFETY: the module is loaded.
        let count = unsafe { wasm_runtime_get_export_count(module) };
        (0..count).map(move |index| {
            let mut export = ExportType::default();
            // SAFETY: as in `imports`.
            unsafe {
                wasm_runtime_get_export_type(module, index, &raw mut export);
                text(export.name)
            }
        })
    }

    /// Whether its memory can ever become larger than it begins.
    pub(crate) fn can_grow(&self) -> bool {
        // SAFETY: the module is loaded.
        unsafe { wasmbed_can_grow(self.module.as_ptr()) }
    }

    /// Makes memory, tables and globals, once. The error is WAMR's reason.
    pub(crate) fn instantiate(&mut self, stack: u32, turns: &mut dyn Turns) -> Result<(), String> {
        let mut error = [0_u8; ERROR_BYTES];
        let _charging = self.budget.enter();
        turns.allow(true);
        // SAFETY: the module is loaded and stays so, as `self` keeps it; the buffer is valid for its length.
        let instance = unsafe {
            wasm_runtime_instantiate(self.module.as_ptr(), stack, 0, error.as_mut_ptr().cast(), ERROR_BYTES as u32)
        };
        turns.allow(false);
        let Some(instance) = NonNull::new(instance) else {
            return Err(message(&error, "WASM module instantiate failed: "));
        };
        self.instance = Some(instance);
        // SAFETY: the instance is live.
        let environment = unsafe { wasm_runtime_create_exec_env(instance.as_ptr(), stack) };
        self.environment = NonNull::new(environment);
        self.environment.map(|_| ()).ok_or_else(|| "allocate memory failed".to_owned())
    }

    /// Whether its instance exports a function of that name without parameters and results.
    pub(crate) fn has_entry(&self, name: &CStr) -> bool {
        self.entry(name).is_some()
    }

    fn entry(&self, name: &CStr) -> Option<NonNull<c_void>> {
        let instance = self.instance?.as_ptr();
        // SAFETY: the instance is live and so is the function found in it.
        unsafe {
            let function = NonNull::new(wasm_runtime_lookup_function(instance, name.as_ptr()))?;
            let parameters = wasm_func_get_param_count(function.as_ptr(), instance);
            let results = wasm_func_get_result_count(function.as_ptr(), instance);
            (parameters == 0 && results == 0).then_some(function)
        }
    }

    /// Runs that function to its end. To be called once: after a trap its globals, such as the pointer to its own stack, are not
    /// what they were.
    pub(crate) fn run(&mut self, name: &CStr, guide: &mut dyn Guide) -> Return {
        let (Some(function), Some(environment)) = (self.entry(name), self.environment) else {
            return Return::Trapped("the entry is gone".to_owned());
        };
        let _charging = self.budget.enter();
        let stack_end = guide.stack_end();
        let mut frame = Frame { guide, ended: false, panicked: None };
        // WAMR puts results where the arguments are: there must be a cell for each. The entry has none of either, and these are spare.
        let mut no_cells = [0_u32; 2];
        // SAFETY: the environment is live; `frame` outlives the call, and the pointer to it is taken out again below; the entry
        // has neither parameters nor results, as `entry` has checked.
        let finished = unsafe {
            wasm_runtime_set_user_data(environment.as_ptr(), (&raw mut frame).cast());
            wasm_runtime_set_native_stack_boundary(environment.as_ptr(), ptr::without_provenance_mut(stack_end));
            wasmbed_arm(environment.as_ptr(), 1);
            frame.guide.allow(true);
            let finished = wasm_runtime_call_wasm(environment.as_ptr(), function.as_ptr(), 0, no_cells.as_mut_ptr());
            frame.guide.allow(false);
            wasmbed_disarm(environment.as_ptr());
            wasm_runtime_set_user_data(environment.as_ptr(), ptr::null_mut());
            finished
        };
        if let Some(words) = frame.panicked {
            Return::Panicked(words)
        } else if frame.ended {
            Return::Ended
        } else if finished {
            Return::Finished
        } else {
            Return::Trapped(self.exception())
        }
    }

    fn exception(&self) -> String {
        let Some(instance) = self.instance else {
            return String::new();
        };
        // SAFETY: the instance is live; the text is a C string inside of it, of at most 128 bytes.
        let text = unsafe { text(wasm_runtime_get_exception(instance.as_ptr())) }.to_string_lossy();
        text.strip_prefix("Exception: ").unwrap_or(&text).to_owned()
    }

    /// Forgets what it has in the arena, which is to be dropped: of an application that was ended in the middle of its work.
    /// Without an arena its memory is lost.
    pub(crate) fn give_up(self) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: the one part that owns something outside of the arena is taken out, once; nothing of `this` is used afterwards.
        drop(unsafe { ptr::read(&raw const this.budget) });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _charging = self.budget.enter();
        // SAFETY: what there is of them is live, and nothing else refers to it.
        unsafe {
            if let Some(environment) = self.environment {
                wasm_runtime_destroy_exec_env(environment.as_ptr());
            }
            if let Some(instance) = self.instance {
                wasm_runtime_deinstantiate(instance.as_ptr());
            }
            wasm_runtime_unload(self.module.as_ptr());
        }
    }
}

/// Whether a scheduler may take the processor from the calling stack, or give its work up.
pub(crate) trait Turns {
    /// From now on it may, or it may not. Called in pairs.
    fn allow(&mut self, allowed: bool);
}

/// What a host function does next.
pub(crate) enum Flow {
    /// Goes on with this result, of which the signature says how much counts.
    Continue(u64),
    /// Ends the application.
    End,
}

/// What the interpreter calls while an application runs.
pub(crate) trait Guide: Turns {
    /// The address below which the native stack must not be when the interpreter starts; 0 for no check.
    fn stack_end(&self) -> usize;

    /// Does a host function: `cells` hold its parameters, `memory` is the application's.
    fn call(&mut self, import: &'static Import, cells: &[u64], memory: &mut [u8]) -> Flow;

    /// At a checkpoint: after how many branches and calls to come again, or `None` to end the application.
    fn pause(&mut self) -> Option<core::num::NonZeroU32>;
}

/// How the interpreter came back.
#[derive(Debug)]
pub(crate) enum Return {
    /// By the end of the function.
    Finished,
    /// Because the guide ended it.
    Ended,
    /// By a trap, with WAMR's words.
    Trapped(String),
    /// Because the guide panicked, with its words.
    Panicked(String),
}

/// What [`wasmbed_call`] and [`wasmbed_pause`] find in the execution environment.
struct Frame<'a> {
    guide: &'a mut dyn Guide,
    ended: bool,
    panicked: Option<String>,
}

impl Frame<'_> {
    /// Lets the guide do something; a panic ends the application.
    fn guarded<R>(&mut self, work: impl FnOnce(&mut dyn Guide) -> Option<R>) -> Option<R> {
        let result = caught(|| work(self.guide)).unwrap_or_else(|words| {
            self.panicked = Some(words);
            None
        });
        self.ended |= result.is_none();
        result
    }
}

/// The result, or a panic's words.
#[cfg(feature = "threads")]
fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

/// The result: in firmware a panic does not unwind.
#[cfg(not(feature = "threads"))]
fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    Ok(work())
}

/// Every host function, by way of `platform/interpreter.c`.
///
/// # Safety
///
/// Called by the interpreter inside of [`Program::run`], with the `user_data` set there, an attachment that `register` gave, at
/// least sixteen `cells`, and the linear memory of the instance that runs, or null.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmbed_call(
    user_data: *mut c_void,
    import: *const c_void,
    cells: *mut u64,
    memory: *mut u8,
    memory_size: usize,
) -> bool {
    // SAFETY: the attachment is the `&'static Import` that `register` gave; the user data is the `Frame` of the `run` that is
    // on this thread's stack, referred to by nothing else meanwhile; no import has more than sixteen parameters; the memory is
    // the instance's, which is live, and is touched by no one else while the interpreter waits for us.
    let (import, frame, arguments, memory) = unsafe {
        let import = &*import.cast::<Import>();
        let memory = if memory.is_null() { &mut [] } else { core::slice::from_raw_parts_mut(memory, memory_size) };
        let arguments = core::slice::from_raw_parts(cells, import.parameters);
        (import, &mut *user_data.cast::<Frame<'_>>(), arguments, memory)
    };
    frame.guide.allow(false);
    let flow = frame.guarded(|guide| match guide.call(import, arguments, memory) {
        Flow::Continue(result) => Some(result),
        Flow::End => None,
    });
    frame.guide.allow(true);
    if let Some(result) = flow {
        // SAFETY: there is a first cell, and WAMR takes the result from it.
        unsafe { *cells = result };
    }
    flow.is_some()
}

/// At a checkpoint; see `platform/interpreter.c`.
///
/// # Safety
///
/// As [`wasmbed_call`].
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmbed_pause(user_data: *mut c_void) -> u32 {
    // SAFETY: as in `wasmbed_call`; null is not expected, but would be ended.
    let Some(frame) = (unsafe { user_data.cast::<Frame<'_>>().as_mut() }) else {
        return 0;
    };
    frame.guarded(|guide| guide.pause()).map_or(0, core::num::NonZeroU32::get)
}

/// A C string; empty for null.
///
/// # Safety
///
/// `pointer` is null or a C string that stays for `'a`.
unsafe fn text<'a>(pointer: *const c_char) -> &'a CStr {
    if pointer.is_null() {
        return c"";
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }
}

fn message(buffer: &[u8], prefix: &str) -> String {
    let text = CStr::from_bytes_until_nul(buffer).unwrap_or_default().to_string_lossy();
    text.strip_prefix(prefix).unwrap_or(&text).to_owned()
}

const ERROR_BYTES: usize = 160;
