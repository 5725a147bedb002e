//! Wasmbed's part of the standard library: what a device offers, and what it does not.
//!
//! Output goes to the device's log. What a device has nothing for (threads, clocks of `std`, files, sockets,
//! processes, the environment) calls an import of the module `std` that no device has, so that a module in which such
//! a call can be reached is refused when it is built, with a word on what to use instead.

use crate::fmt::{self, Write};
use crate::io;

#[link(wasm_import_module = "wasmbed")]
unsafe extern "C" {
    fn log(level: i32, text: *const u8, length: usize);
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    safe fn proc_exit(code: i32) -> !;
}

/// Standard output, and standard error.
#[derive(Clone, Copy)]
pub struct Stream(i32);

pub const OUTPUT: Stream = Stream(0);
pub const ERROR: Stream = Stream(1);

impl Stream {
    #[inline]
    pub fn write(self, text: &[u8]) {
        // SAFETY: the host reads `length` bytes at `text` and keeps nothing.
        unsafe { log(self.0, text.as_ptr(), text.len()) }
    }

    /// What `print!` and `println!` do. Text that is known when the program is compiled never meets the formatter.
    #[inline(always)]
    pub fn print(self, text: fmt::Arguments<'_>) {
        match text.as_str() {
            Some(text) => self.write(text.as_bytes()),
            None => self.format(text),
        }
    }

    #[inline(never)]
    fn format(mut self, text: fmt::Arguments<'_>) {
        let _ = fmt::write(&mut self, text);
    }
}

/// The pieces of a text go to the host as they are: it makes lines of them, at less cost than copying them here.
impl Write for Stream {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Where the host starts the program.
#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    unsafe extern "C" {
        /// What the compiler makes of the program's `main`.
        fn main(count: i32, arguments: *const *const u8) -> i32;
    }
    // SAFETY: the host calls this once; `main` ignores its parameters.
    let code = unsafe { main(0, crate::ptr::null()) };
    if code != 0 {
        exit(code);
    }
}

pub fn exit(code: i32) -> ! {
    proc_exit(code)
}

/// What a device has nothing for.
pub mod absent {
    use super::io;

    macro_rules! absent {
        ($($name:ident = $part:literal)*) => {
            mod imports {
                #[link(wasm_import_module = "std")]
                unsafe extern "C" {
                    $(#[link_name = $part] pub safe fn $name();)*
                }
            }

            $(
                #[inline]
                #[allow(dead_code)]
                pub fn $name<T>() -> io::Result<T> {
                    imports::$name();
                    Err(io::Error::UNSUPPORTED_PLATFORM)
                }
            )*
        };
    }

    absent! {
        sleep = "std::thread::sleep"
        spawn = "std::thread::spawn"
        instant = "std::time::Instant::now"
        system_time = "std::time::SystemTime::now"
        files = "std::fs"
        network = "std::net"
        command = "std::process::Command"
        variable = "std::env::var"
        arguments = "std::env::args"
        environment = "std::env"
        input = "std::io::stdin"
    }
}
