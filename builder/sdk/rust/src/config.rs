use alloc::string::String;
use alloc::vec;
use core::str::FromStr;

use crate::host;

/// The value of `key` in `config.envVars` of the declaration.
#[must_use]
pub fn config(key: &str) -> Option<String> {
    owned(|buffer| host_config(key, buffer))
}

/// The value of `key` in `config.envVars`, read as what `default` is: a number, a boolean, a character. `default` if there is
/// none; a value that cannot be read is said in the log, and `default` is used. Allocates nothing.
#[must_use]
pub fn config_or<T: FromStr>(key: &str, default: T) -> T {
    let mut buffer = [0; 32];
    let Some(length) = host_config(key, &mut buffer) else {
        return default;
    };
    let value = buffer.get(..length).and_then(|value| core::str::from_utf8(value).ok());
    match value.and_then(|value| value.trim_ascii().parse().ok()) {
        Some(value) => value,
        None => {
            unreadable(key);
            default
        }
    }
}

#[inline(never)]
fn unreadable(key: &str) {
    crate::warn!("the value of {} in config.envVars cannot be read; the default is used", key);
}

/// The argument at `index`, from 0, of `config.args` of the declaration.
#[must_use]
pub fn arg(index: usize) -> Option<String> {
    // SAFETY: the host writes at most `len` bytes into the buffer.
    owned(|buffer| length(unsafe { host::arg(index, buffer.as_mut_ptr(), buffer.len()) }))
}

/// All arguments of `config.args`.
pub fn args() -> impl Iterator<Item = String> {
    (0..).map_while(arg)
}

fn host_config(key: &str, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the host reads the key and writes at most `len` bytes into the buffer.
    length(unsafe { host::config(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) })
}

fn length(answer: i32) -> Option<usize> {
    usize::try_from(answer).ok()
}

/// Asks for the length, then for the text.
fn owned(mut ask: impl FnMut(&mut [u8]) -> Option<usize>) -> Option<String> {
    let length = ask(&mut [])?;
    let mut text = vec![0; length];
    ask(&mut text)?;
    String::from_utf8(text).ok()
}
