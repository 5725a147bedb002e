//! WAMR behind a safe face. The only module of this crate with unsafe code.
//!
//! # Why it is sound
//!
//! - **Lifetimes.** A [`Program`] owns the module and shares the budget its memory is charged to; an [`Instance`] owns its
//!   program, its instance and its execution environment, and frees them in the reverse order. The raw pointers never leave
//!   this module.
//! - **Threads.** WAMR ties nothing to a thread in this configuration (no hardware bound checks, so no signal handlers and no
//!   thread-local state); its few globals are written in [`init`] only, or are overwritten with the value they have (the
//!   interpreter's label table). So programs and instances may move between threads; as they are not `Sync` and every operation takes `self` or `&mut self`, one thread at a time works on each.
//! - **Calls from C.** [`Instance::run`] puts a pointer to its [`Frame`] into the execution environment for as long as the
//!   interpreter runs. [`call_host`] and [`wasmbed_pause`] turn it into `&mut Frame`; both are called by the interpreter on the
//!   thread that `run` blocks, one at a time, and never nest, because no host function calls back into WAMR's interpreter.
//!   They catch panics, so none unwinds through C.
//! - **Linear memory.** While a host function runs, the interpreter does not, so the slice over linear memory is the only access
//!   to it. It is made anew for each call, as `memory.grow` may move it.
//! - **Bytes.** The loader writes into its input: it gets a copy of its own, which it does not refer to afterwards.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_void};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU64, Ordering};
use std::any::Any;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::imports::{IMPORTS, Import};

/// The memory of one application; the C platform layer keeps it. Same layout as `wasmbed_budget` in `platform/wasmbed.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Refuses all memory from now on, so that a load comes to its end.
    pub(crate) fn close(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes held at once.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// How often memory was refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Charges what WAMR allocates on this thread to this budget until the guard is dropped.
    fn enter(&self) -> Charging {
        // SAFETY: the budget outlives the guard, because whoever enters it holds an `Arc` of it meanwhile, and outlives every
        // allocation charged to it, because `Program` holds an `Arc` until it has freed everything.
        let previous = unsafe { wasmbed_budget_enter(ptr::from_ref(self).cast_mut()) };
        Charging { previous }
    }
}

struct Charging {
    previous: *mut Budget,
}

impl Drop for Charging {
    fn drop(&mut self) {
        // SAFETY: guards nest, so the budget before is still the one of a caller up the stack, or null.
        unsafe { wasmbed_budget_enter(self.previous) };
    }
}

/// CPU time of this thread in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    // SAFETY: reads a clock.
    unsafe { wasmbed_thread_cpu_ns() }
}

/// Sets WAMR up, once per process.
pub(crate) fn init() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        let mut arguments = RuntimeInitArgs {
            mem_alloc_type: ALLOC_WITH_ALLOCATOR,
            malloc_func: wasmbed_malloc as *const c_void,
            realloc_func: wasmbed_realloc as *const c_void,
            free_func: wasmbed_free as *const c_void,
            ..RuntimeInitArgs::default()
        };
        // SAFETY: called once, before any other function of WAMR; it copies what it needs of the arguments.
        if !unsafe { wasm_runtime_full_init(&raw mut arguments) } {
            return Err("the WebAssembly runtime cannot be set up: out of memory".to_owned());
        }
        let mut modules: Vec<&str> = IMPORTS.iter().map(|import| import.module).collect();
        modules.sort_unstable();
        modules.dedup();
        modules.into_iter().try_for_each(register)
    })
    .clone()
}

/// Offers the host functions of one import module. The tables live as long as the process, as WAMR keeps pointers to them.
fn register(module: &str) -> Result<(), String> {
    let text = |s: &str| CString::new(s).map(CString::into_raw).map_err(|e| e.to_string());
    let mut symbols = Vec::new();
    for import in IMPORTS.iter().filter(|import| import.module == module) {
        symbols.push(NativeSymbol {
            symbol: text(import.name)?,
            func_ptr: call_host as *const c_void,
            signature: text(import.signature)?,
            attachment: ptr::from_ref(import).cast(),
        });
    }
    let symbols = Vec::leak(symbols);
    let count = u32::try_from(symbols.len()).map_err(|e| e.to_string())?;
    // SAFETY: name and symbols are leaked, so they stay; WAMR may reorder the symbols, which nothing else refers to.
    // `call_host` has the type WAMR calls raw functions by.
    if unsafe { wasm_runtime_register_natives_raw(text(module)?, symbols.as_mut_ptr(), count) } {
        Ok(())
    } else {
        Err("the WebAssembly runtime cannot take the host functions: out of memory".to_owned())
    }
}

/// An import of a program.
pub(crate) struct Imported {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) is_function: bool,
    /// Whether a host function of that name and signature is offered.
    pub(crate) linked: bool,
}

/// A validated, translated module.
pub(crate) struct Program {
    module: NonNull<c_void>,
    budget: Arc<Budget>,
}

// SAFETY: see "Threads" above.
unsafe impl Send for Program {}

impl Program {
    /// Validates and translates a module. The error is WAMR's reason.
    pub(crate) fn load(mut bytes: Vec<u8>, budget: Arc<Budget>) -> Result<Self, String> {
        init()?;
        let length = u32::try_from(bytes.len()).map_err(|_| "longer than 4 GiB".to_owned())?;
        let mut error = [0_u8; ERROR_BYTES];
        let arguments = LoadArgs {
            name: c"".as_ptr().cast_mut(),
            clone_wasm_binary: false,
            // So the module refers to nothing of `bytes` afterwards.
            wasm_binary_freeable: true,
            no_resolve: false,
        };
        let module = {
            let _charging = budget.enter();
            // SAFETY: the pointers are valid for the lengths given and for the call; the buffer is ours to write.
            unsafe {
                wasm_runtime_load_ex(
                    bytes.as_mut_ptr(),
                    length,
                    &raw const arguments,
                    error.as_mut_ptr().cast(),
                    ERROR_BYTES as u32,
                )
            }
        };
        match NonNull::new(module) {
            Some(module) => Ok(Self { module, budget }),
            None => Err(message(&error, "WASM module load failed: ")),
        }
    }

    /// Its imports.
    pub(crate) fn imports(&self) -> Vec<Imported> {
        // SAFETY: the module is loaded; indices are below the count; names are C strings of the module.
        unsafe {
            let count = wasm_runtime_get_import_count(self.module.as_ptr());
            (0..count)
                .map(|index| {
                    let mut import = ImportType::default();
                    wasm_runtime_get_import_type(self.module.as_ptr(), index, &raw mut import);
                    Imported {
                        module: owned(import.module_name),
                        name: owned(import.name),
                        is_function: import.kind == KIND_FUNCTION,
                        linked: import.linked,
                    }
                })
                .collect()
        }
    }

    /// The names it exports.
    pub(crate) fn exports(&self) -> Vec<String> {
        // SAFETY: as in `imports`.
        unsafe {
            let count = wasm_runtime_get_export_count(self.module.as_ptr());
            (0..count)
                .map(|index| {
                    let mut export = ExportType::default();
                    wasm_runtime_get_export_type(self.module.as_ptr(), index, &raw mut export);
                    owned(export.name)
                })
                .collect()
        }
    }

    /// Makes memory, tables and globals. The error is WAMR's reason.
    pub(crate) fn instantiate(self, stack: u32) -> Result<Instance, String> {
        let mut error = [0_u8; ERROR_BYTES];
        let _charging = self.budget.enter();
        // SAFETY: the module is loaded and stays so, as the instance takes it along; the buffer is valid for its length.
        let instance = unsafe {
            wasm_runtime_instantiate(self.module.as_ptr(), stack, 0, error.as_mut_ptr().cast(), ERROR_BYTES as u32)
        };
        let Some(instance) = NonNull::new(instance) else {
            return Err(message(&error, "WASM module instantiate failed: "));
        };
        // SAFETY: the instance is live.
        let environment = unsafe { wasm_runtime_create_exec_env(instance.as_ptr(), stack) };
        let Some(environment) = NonNull::new(environment) else {
            // SAFETY: nothing else refers to the instance.
            unsafe { wasm_runtime_deinstantiate(instance.as_ptr()) };
            return Err("allocate memory failed".to_owned());
        };
        Ok(Instance { environment, instance, program: self })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _charging = self.budget.enter();
        // SAFETY: loaded, and no instance of it is left: an `Instance` owns its program and is dropped first.
        unsafe { wasm_runtime_unload(self.module.as_ptr()) };
    }
}

/// What a host function does next.
pub(crate) enum Flow {
    /// Goes on with this result, of which the signature says how much counts.
    Continue(u64),
    /// Ends the application.
    End,
}

/// What the interpreter calls while an application runs.
pub(crate) trait Guide {
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

/// What [`call_host`] and [`wasmbed_pause`] find in the execution environment.
struct Frame<'a> {
    guide: &'a mut dyn Guide,
    ended: bool,
    panicked: Option<String>,
}

impl Frame<'_> {
    /// Lets the guide do something; a panic ends the application.
    fn guarded<R>(&mut self, work: impl FnOnce(&mut dyn Guide) -> Option<R>) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self.guide)));
        if let Err(panic) = &result {
            self.panicked = Some(words_of(panic.as_ref()));
        }
        let result = result.ok().flatten();
        self.ended |= result.is_none();
        result
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// A module with its memory, ready to run once.
pub(crate) struct Instance {
    environment: NonNull<c_void>,
    instance: NonNull<c_void>,
    program: Program,
}

// SAFETY: see "Threads" above.
unsafe impl Send for Instance {}

impl Instance {
    /// Whether it exports a function of that name without parameters and results.
    pub(crate) fn has_entry(&self, name: &CStr) -> bool {
        self.entry(name).is_some()
    }

    fn entry(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the instance is live and so is the function found in it.
        unsafe {
            let function = NonNull::new(wasm_runtime_lookup_function(self.instance.as_ptr(), name.as_ptr()))?;
            let parameters = wasm_func_get_param_count(function.as_ptr(), self.instance.as_ptr());
            let results = wasm_func_get_result_count(function.as_ptr(), self.instance.as_ptr());
            (parameters == 0 && results == 0).then_some(function)
        }
    }

    /// Runs that function to its end. Consumes the instance: after a trap its globals are not what they were.
    pub(crate) fn run(self, name: &CStr, guide: &mut dyn Guide) -> Return {
        let Some(function) = self.entry(name) else {
            return Return::Trapped("the entry is gone".to_owned());
        };
        let _charging = self.program.budget.enter();
        let mut frame = Frame { guide, ended: false, panicked: None };
        let mut no_cells = [0_u32; 2];
        // SAFETY: the environment is live; `frame` outlives the call, and the pointer to it is taken out again below; the entry
        // has neither parameters nor results, as `entry` has checked.
        let finished = unsafe {
            wasm_runtime_set_user_data(self.environment.as_ptr(), (&raw mut frame).cast());
            wasmbed_arm(self.environment.as_ptr(), 1);
            let finished =
                wasm_runtime_call_wasm(self.environment.as_ptr(), function.as_ptr(), 0, no_cells.as_mut_ptr());
            wasmbed_disarm(self.environment.as_ptr());
            wasm_runtime_set_user_data(self.environment.as_ptr(), ptr::null_mut());
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
        // SAFETY: the instance is live; the text is a C string inside of it.
        let text = unsafe { owned(wasm_runtime_get_exception(self.instance.as_ptr())) };
        text.strip_prefix("Exception: ").unwrap_or(&text).to_owned()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _charging = self.program.budget.enter();
        // SAFETY: both are live and nothing else refers to them; the program is dropped after this.
        unsafe {
            wasm_runtime_destroy_exec_env(self.environment.as_ptr());
            wasm_runtime_deinstantiate(self.instance.as_ptr());
        }
    }
}

/// Every host function: WAMR says by the attachment which one is called.
///
/// # Safety
///
/// Called by the interpreter inside of [`Instance::run`], with `cells` as long as the signature of the attached import says.
unsafe extern "C" fn call_host(environment: *mut c_void, cells: *mut u64) {
    // SAFETY: the attachment is the `&'static Import` that `register` gave; the user data is the `Frame` of the `run` that is
    // on this thread's stack, referred to by nothing else meanwhile; the instance is live, and its memory is touched by no one
    // else while the interpreter waits for us.
    let (import, frame, memory, arguments, instance) = unsafe {
        let import = &*wasm_runtime_get_function_attachment(environment).cast::<Import>();
        let frame = &mut *wasm_runtime_get_user_data(environment).cast::<Frame<'_>>();
        let instance = wasm_runtime_get_module_inst(environment);
        let memory = memory_of(instance);
        let arguments = core::slice::from_raw_parts(cells, import.parameters());
        (import, frame, memory, arguments, instance)
    };
    let flow = frame.guarded(|guide| match guide.call(import, arguments, memory) {
        Flow::Continue(result) => Some(result),
        Flow::End => None,
    });
    match flow {
        // SAFETY: WAMR gives at least sixteen cells and takes the result from the first.
        Some(result) => unsafe { *cells = result },
        // SAFETY: the instance is live; this makes the interpreter leave.
        None => unsafe { wasm_runtime_set_exception(instance, c"ended".as_ptr()) },
    }
}

/// At a checkpoint; see `platform/checkpoint.c`.
///
/// # Safety
///
/// As [`call_host`].
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmbed_pause(user_data: *mut c_void) -> u32 {
    // SAFETY: as in `call_host`; null is not expected, but would be ended.
    let Some(frame) = (unsafe { user_data.cast::<Frame<'_>>().as_mut() }) else {
        return 0;
    };
    frame.guarded(|guide| guide.pause()).map_or(0, core::num::NonZeroU32::get)
}

/// The linear memory of an instance; empty if it has none.
///
/// # Safety
///
/// The instance must be live, not running, and no other reference to its memory may be in use.
unsafe fn memory_of<'a>(instance: *mut c_void) -> &'a mut [u8] {
    // SAFETY: WAMR's accessors; pages and bytes per page give what is mapped, and both are bounded by 4 GiB.
    unsafe {
        let memory = wasm_runtime_get_default_memory(instance);
        if memory.is_null() {
            return &mut [];
        }
        let base = wasm_memory_get_base_address(memory).cast::<u8>();
        let length = wasm_memory_get_cur_page_count(memory) * wasm_memory_get_bytes_per_page(memory);
        match (base.is_null(), usize::try_from(length)) {
            (false, Ok(length)) => core::slice::from_raw_parts_mut(base, length),
            _ => &mut [],
        }
    }
}

/// A copy of a C string; empty for null.
///
/// # Safety
///
/// `text` is null or a C string that stays during the call.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn message(buffer: &[u8], prefix: &str) -> String {
    let text = CStr::from_bytes_until_nul(buffer).unwrap_or_default().to_string_lossy();
    text.strip_prefix(prefix).unwrap_or(&text).to_owned()
}

const ERROR_BYTES: usize = 160;
const ALLOC_WITH_ALLOCATOR: u32 = 1;
const KIND_FUNCTION: u32 = 0;

/// WAMR's `NativeSymbol`.
#[repr(C)]
struct NativeSymbol {
    symbol: *const c_char,
    func_ptr: *const c_void,
    signature: *const c_char,
    attachment: *const c_void,
}

/// WAMR's `RuntimeInitArgs`, with the allocator's arm of its union.
#[repr(C)]
struct RuntimeInitArgs {
    mem_alloc_type: u32,
    malloc_func: *const c_void,
    realloc_func: *const c_void,
    free_func: *const c_void,
    allocator_user_data: *const c_void,
    native_module_name: *const c_char,
    native_symbols: *const c_void,
    n_native_symbols: u32,
    max_thread_num: u32,
    ip_addr: [c_char; 128],
    unused: i32,
    instance_port: i32,
    fast_jit_code_cache_size: u32,
    gc_heap_size: u32,
    running_mode: u32,
    llvm_jit_opt_level: u32,
    llvm_jit_size_level: u32,
    segue_flags: u32,
    enable_linux_perf: bool,
}

impl Default for RuntimeInitArgs {
    fn default() -> Self {
        Self {
            mem_alloc_type: 0,
            malloc_func: ptr::null(),
            realloc_func: ptr::null(),
            free_func: ptr::null(),
            allocator_user_data: ptr::null(),
            native_module_name: ptr::null(),
            native_symbols: ptr::null(),
            n_native_symbols: 0,
            max_thread_num: 0,
            ip_addr: [0; 128],
            unused: 0,
            instance_port: 0,
            fast_jit_code_cache_size: 0,
            gc_heap_size: 0,
            running_mode: 0,
            llvm_jit_opt_level: 0,
            llvm_jit_size_level: 0,
            segue_flags: 0,
            enable_linux_perf: false,
        }
    }
}

/// WAMR's `LoadArgs`.
#[repr(C)]
struct LoadArgs {
    name: *mut c_char,
    clone_wasm_binary: bool,
    wasm_binary_freeable: bool,
    no_resolve: bool,
}

/// WAMR's `wasm_import_t`.
#[repr(C)]
struct ImportType {
    module_name: *const c_char,
    name: *const c_char,
    kind: u32,
    linked: bool,
    of: *const c_void,
}

impl Default for ImportType {
    fn default() -> Self {
        Self { module_name: ptr::null(), name: ptr::null(), kind: 0, linked: false, of: ptr::null() }
    }
}

/// WAMR's `wasm_export_t`.
#[repr(C)]
struct ExportType {
    name: *const c_char,
    kind: u32,
    of: *const c_void,
}

impl Default for ExportType {
    fn default() -> Self {
        Self { name: ptr::null(), kind: 0, of: ptr::null() }
    }
}

unsafe extern "C" {
    fn wasmbed_budget_enter(budget: *mut Budget) -> *mut Budget;
    fn wasmbed_malloc(size: u32) -> *mut c_void;
    fn wasmbed_realloc(pointer: *mut c_void, size: u32) -> *mut c_void;
    fn wasmbed_free(pointer: *mut c_void);
    fn wasmbed_thread_cpu_ns() -> u64;
    fn wasmbed_arm(environment: *mut c_void, branches: u32);
    fn wasmbed_disarm(environment: *mut c_void);

    fn wasm_runtime_full_init(arguments: *mut RuntimeInitArgs) -> bool;
    fn wasm_runtime_register_natives_raw(module: *const c_char, symbols: *mut NativeSymbol, count: u32) -> bool;
    fn wasm_runtime_load_ex(
        bytes: *mut u8,
        size: u32,
        arguments: *const LoadArgs,
        error: *mut c_char,
        error_size: u32,
    ) -> *mut c_void;
    fn wasm_runtime_unload(module: *mut c_void);
    fn wasm_runtime_get_import_count(module: *mut c_void) -> i32;
    fn wasm_runtime_get_import_type(module: *mut c_void, index: i32, import: *mut ImportType);
    fn wasm_runtime_get_export_count(module: *mut c_void) -> i32;
    fn wasm_runtime_get_export_type(module: *mut c_void, index: i32, export: *mut ExportType);
    fn wasm_runtime_instantiate(
        module: *mut c_void,
        stack: u32,
        heap: u32,
        error: *mut c_char,
        error_size: u32,
    ) -> *mut c_void;
    fn wasm_runtime_deinstantiate(instance: *mut c_void);
    fn wasm_runtime_create_exec_env(instance: *mut c_void, stack: u32) -> *mut c_void;
    fn wasm_runtime_destroy_exec_env(environment: *mut c_void);
    fn wasm_runtime_lookup_function(instance: *mut c_void, name: *const c_char) -> *mut c_void;
    fn wasm_func_get_param_count(function: *mut c_void, instance: *mut c_void) -> u32;
    fn wasm_func_get_result_count(function: *mut c_void, instance: *mut c_void) -> u32;
    fn wasm_runtime_call_wasm(environment: *mut c_void, function: *mut c_void, argc: u32, argv: *mut u32) -> bool;
    fn wasm_runtime_get_exception(instance: *mut c_void) -> *const c_char;
    fn wasm_runtime_set_exception(instance: *mut c_void, text: *const c_char);
    fn wasm_runtime_get_module_inst(environment: *mut c_void) -> *mut c_void;
    fn wasm_runtime_set_user_data(environment: *mut c_void, data: *mut c_void);
    fn wasm_runtime_get_user_data(environment: *mut c_void) -> *mut c_void;
    fn wasm_runtime_get_function_attachment(environment: *mut c_void) -> *mut c_void;
    fn wasm_runtime_get_default_memory(instance: *mut c_void) -> *mut c_void;
    fn wasm_memory_get_base_address(memory: *mut c_void) -> *mut c_void;
    fn wasm_memory_get_cur_page_count(memory: *mut c_void) -> u64;
    fn wasm_memory_get_bytes_per_page(memory: *mut c_void) -> u64;
}
