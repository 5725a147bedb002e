//! The bridge between a line and a gateway, with real parts: the device's end of the link, pseudo-terminals and Unix sockets,
//! TCP, and for a whole session the host device with the unchanged agent, and TLS with the gateway that the agent is tested
//! with.
#![allow(clippy::unwrap_used)]

// The fleet and the gateway that the agent is tested with.
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../firmware/agent/tests/agent/fleet.rs"]
mod fleet;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../firmware/agent/tests/agent/gateway.rs"]
mod gateway;

mod board;
mod ends;
mod port;
mod session;
mod watcher;
