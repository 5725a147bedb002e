//! The child processes of `wasmbed up`: the signer and the builder. Both end when their parent does.

use std::time::Duration;

use anyhow::{Context, Result};
use wasmbed_builder::worker;
use wasmbed_emulator::parent_is_gone;
use wasmbed_keys::KeySource;

use crate::api;
use crate::arguments::{ApiArguments, Builder, Sandbox, Signer, StateArguments};
use crate::key_files;
use crate::state_folder::StateFolder;
use crate::up::signals;

/// `wasmbed signer`: of the state folder it reads the assignment key and the kubeconfig.
///
/// # Errors
/// When one is missing, or the socket cannot be served.
pub(crate) async fn signer(arguments: &Signer) -> Result<()> {
    let state = StateArguments { state: Some(arguments.state.clone()) };
    let folder = StateFolder::named_by(&state)?;
    let api = ApiArguments { state, kubeconfig: None, namespace: Some(arguments.fleet.clone()) };
    let api::Reached { client, namespace } = api::reach(&api).await?;
    let options = wasmbed_signer::Options {
        client,
        namespace,
        fleet: arguments.fleet.clone(),
        assignment_key: KeySource::Fixed(key_files::load(&folder.key("assignment"))?),
        socket: folder.signer_socket(),
    };
    wasmbed_signer::run(options, told_to_end()?).await.context("the signer cannot serve")
}

/// `wasmbed builder`.
///
/// # Errors
/// When the socket cannot be served.
pub(crate) async fn builder(arguments: &Builder) -> Result<()> {
    let mut options = worker::Options::new(&arguments.socket, &arguments.folder);
    options.limits.wall_clock = Duration::from_secs(arguments.build_seconds.into());
    options.registry_config.clone_from(&arguments.registry_config);
    if arguments.sandbox == Sandbox::None {
        options.sandboxing = worker::Sandboxing::None;
    }
    worker::run(options, told_to_end()?).await.context("the builder cannot serve")
}

fn told_to_end() -> Result<impl Future<Output = ()>> {
    let signals = signals()?;
    Ok(async {
        tokio::select! {
            () = signals => {}
            () = parent_is_gone() => {}
        }
    })
}
