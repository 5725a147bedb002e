//! What the tests share: a real repository, a real API.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod declare;
pub mod git;
pub mod world;
