//! What a module may import: the one table of host functions. `docs/runtime.md` and the builder repeat it; tests compare.

use core::fmt;

use crate::guest::{Answer, Guest};
use crate::session::Session;
use crate::{sdk, wasi};

/// The import module of the Wasmbed SDK.
pub const SDK_MODULE: &str = "wasmbed";
/// The import module of WASI preview 1.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// A function a module may import.
pub struct Import {
    /// The import's module name: [`SDK_MODULE`] or [`WASI_MODULE`].
    pub module: &'static str,
    /// The import's name.
    pub name: &'static str,
    /// Parameters in parentheses and the result after them, `i` for `i32` and `I` for `i64`: `(iI)i`.
    pub signature: &'static str,
    /// How many parameters it has.
    pub(crate) parameters: usize,
    pub(crate) call: fn(&mut Session, &mut Guest<'_>) -> Answer,
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.module, self.name, self.signature)
    }
}

const fn sdk(name: &'static str, signature: &'static str, call: fn(&mut Session, &mut Guest<'_>) -> Answer) -> Import {
    Import { module: SDK_MODULE, name, signature, parameters: parameters(signature), call }
}

const fn wasi(name: &'static str, signature: &'static str, call: fn(&mut Session, &mut Guest<'_>) -> Answer) -> Import {
    Import { module: WASI_MODULE, name, signature, parameters: parameters(signature), call }
}

/// How many parameters a signature has: counted once, and not at every call.
const fn parameters(signature: &str) -> usize {
    let bytes = signature.as_bytes();
    let mut end = 0;
    while bytes[end] != b')' {
        end += 1;
    }
    end - 1
}

/// Every function a module may import. Anything else is refused at load, by name.
pub const IMPORTS: &[Import] = &[
    sdk("log", "(iii)", sdk::log),
    sdk("uptime_ms", "()I", sdk::uptime_ms),
    sdk("time_ms", "()I", sdk::time_ms),
    sdk("sleep_ms", "(i)", sdk::sleep_ms),
    sdk("publish", "(iiii)i", sdk::publish),
    sdk("config", "(iiii)i", sdk::config),
    sdk("arg", "(iii)i", sdk::arg),
    sdk("gpio_open", "(iii)i", sdk::gpio_open),
    sdk("gpio_write", "(ii)i", sdk::gpio_write),
    sdk("gpio_read", "(i)i", sdk::gpio_read),
    sdk("adc_open", "(ii)i", sdk::adc_open),
    sdk("adc_read", "(i)i", sdk::adc_read),
    sdk("net_probe", "(iiii)I", sdk::net_probe),
    sdk("random", "(ii)i", sdk::random),
    wasi("args_get", "(ii)i", wasi::args_get),
    wasi("args_sizes_get", "(ii)i", wasi::args_sizes_get),
    wasi("clock_time_get", "(iIi)i", wasi::clock_time_get),
    wasi("environ_get", "(ii)i", wasi::environ_get),
    wasi("environ_sizes_get", "(ii)i", wasi::environ_sizes_get),
    wasi("fd_close", "(i)i", wasi::fd_close),
    wasi("fd_fdstat_get", "(ii)i", wasi::fd_fdstat_get),
    wasi("fd_prestat_dir_name", "(iii)i", wasi::fd_prestat_dir_name),
    wasi("fd_prestat_get", "(ii)i", wasi::fd_prestat_get),
    wasi("fd_seek", "(iIii)i", wasi::fd_seek),
    wasi("fd_write", "(iiii)i", wasi::fd_write),
    wasi("poll_oneoff", "(iiii)i", wasi::poll_oneoff),
    wasi("proc_exit", "(i)", wasi::proc_exit),
    wasi("random_get", "(ii)i", wasi::random_get),
    wasi("sched_yield", "()i", wasi::sched_yield),
];
