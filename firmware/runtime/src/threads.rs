//! Applications on threads: what a host adds to the runtime.

mod control;
mod pace;
mod running;

pub use running::{Running, start};
