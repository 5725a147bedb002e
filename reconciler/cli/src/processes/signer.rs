//! `wasmbed signer`: a child process of `wasmbed up`, which ends when that does, or one of its own.

use anyhow::{Context, Result};
use wasmbed_health::Health;
use wasmbed_keys::assignment_secret;
use wasmbed_streams::Door;

use super::ending::told_to_end;
use super::health;
use super::key_source::key_source;
use super::streams::door;
use crate::arguments::Signer;
use crate::state_folder::StateFolder;
use crate::{api, key_files};

/// `wasmbed signer`: of the state folder it uses what the arguments do not name, the assignment key and the socket.
///
/// # Errors
/// When a key is missing, or the socket or port cannot be served.
pub(crate) async fn run(arguments: &Signer) -> Result<()> {
    let end = told_to_end(arguments.with_parent)?;
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    let state = || StateFolder::named_by(&arguments.api.state);
    let own_health = Health::default();
    let _answering = health::answer(&arguments.health, &own_health).await?;
    let assignment_key = key_source(&arguments.keys, assignment_secret(&namespace), || {
        key_files::load(&state()?.key("assignment")).context("Assignments are signed with it")
    })?;
    let door = match (arguments.listen, &arguments.tls) {
        (Some(listen), Some(tls)) => door(&client, listen, tls, &arguments.allow),
        _ => Door::Owner(state()?.signer_socket()),
    };
    let options = wasmbed_signer::Options {
        client,
        namespace,
        fleet: arguments.fleet.clone(),
        assignment_key,
        door,
        health: own_health,
    };
    wasmbed_signer::run(options, end).await.context("the signer cannot serve")
}
