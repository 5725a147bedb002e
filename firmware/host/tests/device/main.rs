//! A device as a process: folders that cannot be used, power that is cut by `kill -9`, disks that are full, a session.
#![allow(clippy::unwrap_used)]

// The fleet and the gateway that the agent is tested with.
#[allow(dead_code, unreachable_pub)]
#[path = "../../../agent/tests/agent/fleet.rs"]
mod fleet;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../agent/tests/agent/gateway.rs"]
mod gateway;

mod child;
mod downloads;
mod flash;
mod folders;
mod server;
mod session;
