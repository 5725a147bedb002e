//! The applications, compiled by `build.rs`.

macro_rules! applications {
    ($($name:ident)*) => { $(pub(crate) static $name: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".wasm"));)* };
}

#[allow(non_upper_case_globals, reason = "named as their files")]
mod files {
    applications!(mix mix_pages fib sensor endless recursion trap hog flood sleeper);
}

pub(crate) use files::{
    endless as ENDLESS, fib as FIB, flood as FLOOD, hog as HOG, mix as MIX, mix_pages as MIX_PAGES,
    recursion as RECURSION, sensor as SENSOR, sleeper as SLEEPER, trap as TRAP,
};
