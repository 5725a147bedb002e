//! What the tests share: a real repository, a real API.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod declare;
pub mod git;
pub mod http;
pub mod world;

use std::time::Duration;

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
