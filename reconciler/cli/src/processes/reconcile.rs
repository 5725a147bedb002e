//! `wasmbed reconcile`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use wasmbed_health::Health;
use wasmbed_keys::release_secret;
use wasmbed_reconciler::Options;

use super::health;
use super::key_source::key_source;
use super::registry::registry;
use super::streams::connector_or;
use crate::arguments::{Output, Reconcile};
use crate::state_folder::StateFolder;
use crate::up::signals;
use crate::{api, host, key_files, print};

/// Runs the reconciler against an API: for good, or once. Of the state folder it uses what the arguments do not name: the
/// release key, the caches and the builder's socket.
///
/// # Errors
/// When one of them is missing, or the API cannot be used.
pub(crate) async fn run(arguments: &Reconcile, output: Output) -> Result<ExitCode> {
    let registry = registry(&arguments.registry)?;
    let state = || StateFolder::named_by(&arguments.api.state);
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    let release_key = key_source(&arguments.keys, release_secret(&namespace), || {
        key_files::load(&state()?.key("release")).context("Releases are signed with it")
    })?;
    let own_health = Health::default();
    let _answering = health::answer(&arguments.health, &own_health).await?;
    let options = Options {
        client,
        namespace,
        cache: match &arguments.cache {
            Some(cache) => cache.clone(),
            None => state()?.cache(),
        },
        release_key,
        registry,
        builder: connector_or(arguments.builder.clone(), &arguments.streams, || Ok(state()?.builder_socket()))?,
        replica: arguments.leader_election.then(|| arguments.replica.clone().unwrap_or_else(host::name)),
        health: own_health,
        hooks: arguments.listen_hooks,
        gateway_leases: arguments.keys.system_namespace.is_some(),
        hooks_bound: None,
    };
    if !arguments.once {
        wasmbed_reconciler::run(options, signals()?).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let summary = wasmbed_reconciler::reconcile_once(options).await?;
    let applied = summary.held.is_empty() && summary.failures.is_empty() && summary.source_error.is_none();
    match output {
        Output::Json => print::json(&json!({
            "observedRevision": summary.observed, "appliedRevision": summary.applied, "held": summary.held,
            "failures": summary.failures, "sourceError": summary.source_error, "compiled": summary.compiled,
        }))?,
        Output::Text => {
            let revision = |revision: &Option<String>| revision.clone().unwrap_or_else(|| "none".to_owned());
            print::line(format_args!("seen     {}", revision(&summary.observed)))?;
            print::line(format_args!("applied  {}", revision(&summary.applied)))?;
            for held in &summary.held {
                let what = held.application.as_ref().map_or_else(|| "revision".to_owned(), ToString::to_string);
                print::line(format_args!("held     {what}: {}", held.message.trim_end()))?;
            }
            for failure in summary.failures.iter().chain(&summary.source_error) {
                print::line(format_args!("failed   {failure}"))?;
            }
        }
    }
    Ok(if applied { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
