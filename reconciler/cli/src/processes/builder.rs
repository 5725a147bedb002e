//! `wasmbed builder`: a child process of `wasmbed up`, which ends when that does, or one of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use wasmbed_builder::worker;
use wasmbed_streams::{Admission, Door, TlsDoor};

use super::ending::told_to_end;
use super::health;
use crate::arguments::{Builder, Sandbox};

/// `wasmbed builder`.
///
/// # Errors
/// When the socket or port cannot be served.
pub(crate) async fn run(arguments: &Builder) -> Result<()> {
    let end = told_to_end(arguments.with_parent)?;
    let door: Door = match (arguments.listen, &arguments.tls, &arguments.client_ca, &arguments.socket) {
        (Some(listen), Some(tls), Some(ca), _) => {
            let admission =
                Admission::Certificates { ca: ca.clone(), names: arguments.allow.iter().cloned().collect() };
            TlsDoor::new(listen, tls.clone(), admission).into()
        }
        (_, _, _, Some(socket)) => socket.into(),
        _ => {
            anyhow::bail!("say where to serve: --socket PATH, or --listen ADDRESS with --tls DIR and --client-ca FILE")
        }
    };
    let mut options = worker::Options::new(door, &arguments.folder);
    options.limits.wall_clock = Duration::from_secs(arguments.build_seconds.into());
    options.registry_config.clone_from(&arguments.registry_config);
    if arguments.sandbox == Sandbox::None {
        options.sandboxing = worker::Sandboxing::None;
    }
    let _answering = health::answer(&arguments.health, &options.health).await?;
    worker::run(options, end).await.context("the builder cannot serve")
}
