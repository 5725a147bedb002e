//! The functions a device offers to modules. `wasmbed-runtime` implements exactly these; a test in the command-line
//! crate compares the two lists.

use wasmparser::ValType;

use ValType::{I32, I64};

/// One function a module may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import {
    /// Import module.
    pub module: &'static str,
    /// Import name.
    pub name: &'static str,
    /// Parameter types.
    pub parameters: &'static [ValType],
    /// Result types.
    pub results: &'static [ValType],
}

const fn wasmbed(name: &'static str, parameters: &'static [ValType], results: &'static [ValType]) -> Import {
    Import { module: "wasmbed", name, parameters, results }
}

/// WASI functions answer an errno.
const fn wasi(name: &'static str, parameters: &'static [ValType]) -> Import {
    Import { module: "wasi_snapshot_preview1", name, parameters, results: &[I32] }
}

/// Everything a module may import.
pub const IMPORTS: &[Import] = &[
    wasmbed("log", &[I32, I32, I32], &[]),
    wasmbed("uptime_ms", &[], &[I64]),
    wasmbed("time_ms", &[], &[I64]),
    wasmbed("sleep_ms", &[I32], &[]),
    wasmbed("publish", &[I32, I32, I32, I32], &[I32]),
    wasmbed("config", &[I32, I32, I32, I32], &[I32]),
    wasmbed("arg", &[I32, I32, I32], &[I32]),
    wasmbed("gpio_open", &[I32, I32, I32], &[I32]),
    wasmbed("gpio_write", &[I32, I32], &[I32]),
    wasmbed("gpio_read", &[I32], &[I32]),
    wasmbed("adc_open", &[I32, I32], &[I32]),
    wasmbed("adc_read", &[I32], &[I32]),
    wasmbed("net_probe", &[I32, I32, I32, I32], &[I64]),
    wasmbed("random", &[I32, I32], &[I32]),
    wasi("fd_write", &[I32, I32, I32, I32]),
    wasi("clock_time_get", &[I32, I64, I32]),
    wasi("poll_oneoff", &[I32, I32, I32, I32]),
    wasi("random_get", &[I32, I32]),
    wasi("args_get", &[I32, I32]),
    wasi("args_sizes_get", &[I32, I32]),
    wasi("environ_get", &[I32, I32]),
    wasi("environ_sizes_get", &[I32, I32]),
    wasi("sched_yield", &[]),
    // Linked inevitably by C and Rust; these answer an errno.
    wasi("fd_close", &[I32]),
    wasi("fd_seek", &[I32, I64, I32, I32]),
    wasi("fd_fdstat_get", &[I32, I32]),
    wasi("fd_prestat_get", &[I32, I32]),
    wasi("fd_prestat_dir_name", &[I32, I32, I32]),
    Import { module: "wasi_snapshot_preview1", name: "proc_exit", parameters: &[I32], results: &[] },
];

/// The function of this name, if devices have it.
#[must_use]
pub fn import(module: &str, name: &str) -> Option<&'static Import> {
    IMPORTS.iter().find(|import| import.module == module && import.name == name)
}

/// Import module of the functions that Wasmbed's `std` calls where the standard library has nothing to do its work
/// with: that such a function is reachable is what fails the build.
pub(crate) const STD: &str = "std";

/// What to use instead of a part of `std`.
pub(crate) fn instead_of(part: &str) -> Option<&'static str> {
    Some(match part {
        "std::thread::sleep" => "`wasmbed::sleep(duration)`",
        "std::thread::spawn" => {
            "one loop with `wasmbed::sleep`, or an application of its own; an application is one thread"
        }
        "std::time::Instant::now" => "`wasmbed::uptime()`, the time since the device started",
        "std::time::SystemTime::now" => {
            "`wasmbed::unix_time()`, which is `None` while the device does not know the time"
        }
        "std::fs" => {
            "`wasmbed::config(\"KEY\")` for settings, or `include_str!` for what is known at build; a device has no files"
        }
        "std::net" => {
            "`wasmbed::publish(topic, &value)` to send, `wasmbed::network::probe` to ask whether a host answers"
        }
        "std::process::Command" => "nothing: a device runs no other programs",
        "std::process::exit" => "`return` from `main`, with an `Err` if it failed",
        "std::env::var" => "`wasmbed::config(\"KEY\")`, which reads `config.envVars` of the declaration",
        "std::env::args" => "`wasmbed::arg(0)`, which reads `config.args` of the declaration",
        "std::env" => "`wasmbed::config(\"KEY\")`; a device has no working folder and no program file",
        "std::io::stdin" => "`wasmbed::config(\"KEY\")`; nobody types on a device",
        _ => return None,
    })
}
