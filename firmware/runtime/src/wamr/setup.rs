//! Setting WAMR up, and offering it the host functions.

use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering};

use super::raw::{
    ALLOC_WITH_ALLOCATOR, NativeSymbol, RuntimeInitArgs, wasm_runtime_full_init, wasm_runtime_register_natives_raw,
    wasmbed_free, wasmbed_malloc, wasmbed_native, wasmbed_realloc,
};
use crate::imports::{IMPORTS, SDK_MODULE, WASI_MODULE};

/// Sets WAMR up, once per process.
pub(super) fn init() -> Result<(), String> {
    static STATE: AtomicU8 = AtomicU8::new(NEW);
    loop {
        match STATE.compare_exchange(NEW, BUSY, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                let done = set_up();
                STATE.store(if done.is_ok() { DONE } else { FAILED }, Ordering::Release);
                return done;
            }
            Err(DONE) => return Ok(()),
            Err(FAILED) => return Err("the WebAssembly runtime could not be set up".to_owned()),
            // Another thread is at it, for some microseconds.
            Err(_) => core::hint::spin_loop(),
        }
    }
}

const NEW: u8 = 0;
const BUSY: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;

fn set_up() -> Result<(), String> {
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
    [SDK_MODULE, WASI_MODULE].into_iter().try_for_each(register)
}

/// Offers the host functions of one import module. The tables live as long as the process, as WAMR keeps pointers to them.
fn register(module: &str) -> Result<(), String> {
    let text = |s: &str| CString::new(s).map(CString::into_raw).map_err(|e| e.to_string());
    let mut symbols = Vec::new();
    for import in IMPORTS.iter().filter(|import| import.module == module) {
        symbols.push(NativeSymbol {
            symbol: text(import.name)?,
            func_ptr: wasmbed_native as *const c_void,
            signature: text(import.signature)?,
            attachment: ptr::from_ref(import).cast(),
        });
    }
    let symbols = Vec::leak(symbols);
    let count = u32::try_from(symbols.len()).map_err(|e| e.to_string())?;
    // SAFETY: name and symbols are leaked, so they stay; WAMR may reorder the symbols, which nothing else refers to.
    // `wasmbed_native` has the type WAMR calls raw functions by.
    if unsafe { wasm_runtime_register_natives_raw(text(module)?, symbols.as_mut_ptr(), count) } {
        Ok(())
    } else {
        Err("the WebAssembly runtime cannot take the host functions: out of memory".to_owned())
    }
}
