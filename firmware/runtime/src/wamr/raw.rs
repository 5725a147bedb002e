//! WAMR's own interface and that of `platform/wasmbed.h`, as declared in C.

use core::ffi::{c_char, c_void};
use core::ptr;

use super::budget::Account;

/// In [`RuntimeInitArgs`]: allocate by the functions given.
pub(super) const ALLOC_WITH_ALLOCATOR: u32 = 1;
/// In [`ImportType`]: a function.
pub(super) const KIND_FUNCTION: u32 = 0;

/// WAMR's `NativeSymbol`.
#[repr(C)]
pub(super) struct NativeSymbol {
    pub(super) symbol: *const c_char,
    pub(super) func_ptr: *const c_void,
    pub(super) signature: *const c_char,
    pub(super) attachment: *const c_void,
}

/// WAMR's `RuntimeInitArgs`, with the allocator's arm of its union.
#[repr(C)]
pub(super) struct RuntimeInitArgs {
    pub(super) mem_alloc_type: u32,
    pub(super) malloc_func: *const c_void,
    pub(super) realloc_func: *const c_void,
    pub(super) free_func: *const c_void,
    pub(super) allocator_user_data: *const c_void,
    pub(super) native_module_name: *const c_char,
    pub(super) native_symbols: *const c_void,
    pub(super) n_native_symbols: u32,
    pub(super) max_thread_num: u32,
    pub(super) ip_addr: [c_char; 128],
    pub(super) unused: i32,
    pub(super) instance_port: i32,
    pub(super) fast_jit_code_cache_size: u32,
    pub(super) gc_heap_size: u32,
    pub(super) running_mode: u32,
    pub(super) llvm_jit_opt_level: u32,
    pub(super) llvm_jit_size_level: u32,
    pub(super) segue_flags: u32,
    pub(super) enable_linux_perf: bool,
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
pub(super) struct LoadArgs {
    pub(super) name: *mut c_char,
    pub(super) clone_wasm_binary: bool,
    pub(super) wasm_binary_freeable: bool,
    pub(super) no_resolve: bool,
}

/// WAMR's `wasm_import_t`.
#[repr(C)]
pub(super) struct ImportType {
    pub(super) module_name: *const c_char,
    pub(super) name: *const c_char,
    pub(super) kind: u32,
    pub(super) linked: bool,
    pub(super) of: *const c_void,
}

impl Default for ImportType {
    fn default() -> Self {
        Self { module_name: ptr::null(), name: ptr::null(), kind: 0, linked: false, of: ptr::null() }
    }
}

/// WAMR's `wasm_export_t`.
#[repr(C)]
pub(super) struct ExportType {
    pub(super) name: *const c_char,
    pub(super) kind: u32,
    pub(super) of: *const c_void,
}

impl Default for ExportType {
    fn default() -> Self {
        Self { name: ptr::null(), kind: 0, of: ptr::null() }
    }
}

unsafe extern "C" {
    pub(super) fn wasmbed_budget_enter(budget: *mut Account) -> *mut Account;
    pub(super) fn wasmbed_arena(memory: *mut c_void, size: usize) -> *mut c_void;
    pub(super) fn wasmbed_malloc(size: u32) -> *mut c_void;
    pub(super) fn wasmbed_realloc(pointer: *mut c_void, size: u32) -> *mut c_void;
    pub(super) fn wasmbed_free(pointer: *mut c_void);
    #[cfg(feature = "threads")]
    pub(super) fn wasmbed_thread_cpu_ns() -> u64;
    pub(super) fn wasmbed_arm(environment: *mut c_void, branches: u32);
    pub(super) fn wasmbed_disarm(environment: *mut c_void);
    pub(super) fn wasmbed_native(environment: *mut c_void, cells: *mut u64);
    pub(super) fn wasmbed_can_grow(module: *mut c_void) -> bool;

    pub(super) fn wasm_runtime_full_init(arguments: *mut RuntimeInitArgs) -> bool;
    pub(super) fn wasm_runtime_register_natives_raw(
        module: *const c_char,
        symbols: *mut NativeSymbol,
        count: u32,
    ) -> bool;
    pub(super) fn wasm_runtime_load_ex(
        bytes: *mut u8,
        size: u32,
        arguments: *const LoadArgs,
        error: *mut c_char,
        error_size: u32,
    ) -> *mut c_void;
    pub(super) fn wasm_runtime_unload(module: *mut c_void);
    pub(super) fn wasm_runtime_get_import_count(module: *mut c_void) -> i32;
    pub(super) fn wasm_runtime_get_import_type(module: *mut c_void, index: i32, import: *mut ImportType);
    pub(super) fn wasm_runtime_get_export_count(module: *mut c_void) -> i32;
    pub(super) fn wasm_runtime_get_export_type(module: *mut c_void, index: i32, export: *mut ExportType);
    pub(super) fn wasm_runtime_instantiate(
        module: *mut c_void,
        stack: u32,
        heap: u32,
        error: *mut c_char,
        error_size: u32,
    ) -> *mut c_void;
    pub(super) fn wasm_runtime_deinstantiate(instance: *mut c_void);
    pub(super) fn wasm_runtime_create_exec_env(instance: *mut c_void, stack: u32) -> *mut c_void;
    pub(super) fn wasm_runtime_destroy_exec_env(environment: *mut c_void);
    pub(super) fn wasm_runtime_lookup_function(instance: *mut c_void, name: *const c_char) -> *mut c_void;
    pub(super) fn wasm_func_get_param_count(function: *mut c_void, instance: *mut c_void) -> u32;
    pub(super) fn wasm_func_get_result_count(function: *mut c_void, instance: *mut c_void) -> u32;
    pub(super) fn wasm_runtime_call_wasm(
        environment: *mut c_void,
        function: *mut c_void,
        argc: u32,
        argv: *mut u32,
    ) -> bool;
    pub(super) fn wasm_runtime_set_native_stack_boundary(environment: *mut c_void, boundary: *mut u8);
    pub(super) fn wasm_runtime_get_exception(instance: *mut c_void) -> *const c_char;
    pub(super) fn wasm_runtime_set_user_data(environment: *mut c_void, data: *mut c_void);
}
