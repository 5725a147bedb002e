//! `wasmbed up` as a newcomer starts it: on the example fleet.

use std::net::TcpListener;
use std::path::Path;

use super::CannotRun;
use super::running::{Running, program};

/// The ports of the example fleet's gateways.
const PORTS: [u16; 2] = [7443, 7444];

/// Starts it and waits until it says that all is ready.
pub fn up(state: &Path) -> Result<Running, CannotRun> {
    for port in PORTS {
        TcpListener::bind(("127.0.0.1", port))
            .map_err(|error| CannotRun(format!("port {port} of the example fleet's gateways: {error}")))?;
    }
    let mut command = program();
    command.args(["up", "--output", "json", "--state"]).arg(state);
    command.arg("--builder-folder").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder"));
    let mut up = Running::start("wasmbed up", &mut command);
    up.out.next("it is ready", |line| line.contains("\"ready\"").then_some(()));
    Ok(up)
}
