//! The signer and the builder: child processes of `wasmbed up`, which end when it does, or processes of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use wasmbed_builder::worker;
use wasmbed_emulator::parent_is_gone;
use wasmbed_health::Health;
use wasmbed_keys::{KeySource, SecretPlace, assignment_secret};
use wasmbed_registry::{Registry, RegistryOptions};
use wasmbed_streams::{Admission, Connector, Credentials, Door, Endpoint, TlsDoor, TokenReviews};

use crate::arguments::{Builder, RegistryArguments, Sandbox, Signer, StreamArguments};
use crate::state_folder::StateFolder;
use crate::up::signals;
use crate::{api, health, key_files};

/// The audience of the tokens that callers show on a cluster.
const AUDIENCE: &str = "wasmbed";

/// Reaches `endpoint`, or the socket that is usual.
///
/// # Errors
/// When there is no usual one, or what an https endpoint is known by is missing.
pub(crate) fn connector_or(
    endpoint: Option<Endpoint>,
    streams: &StreamArguments,
    usual: impl FnOnce() -> Result<PathBuf>,
) -> Result<Connector> {
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => Endpoint::Unix(usual()?),
    };
    connector(endpoint, streams)
}

/// Reaches `endpoint`.
///
/// # Errors
/// When what an https endpoint is known by is missing.
pub(crate) fn connector(endpoint: Endpoint, streams: &StreamArguments) -> Result<Connector> {
    let credentials = Credentials {
        ca: streams.streams_ca.clone(),
        token: streams.streams_token.clone(),
        certificate: streams.streams_certificate.clone(),
    };
    Ok(Connector::new(endpoint, credentials)?)
}

/// A port that speaks TLS, for the users named: they show tokens, and `client` asks the API whose those are.
pub(crate) fn door(client: &kube::Client, listen: SocketAddr, tls: &Path, allow: &[String]) -> Door {
    let reviews = TokenReviews::new(client.clone(), AUDIENCE, allow.iter().cloned().collect());
    TlsDoor::new(listen, tls.to_owned(), Admission::Tokens(Arc::new(reviews))).into()
}

/// The registry of large modules, if the arguments name one.
///
/// # Errors
/// When what they name is no repository, or a file that they name is not there.
pub(crate) fn registry(arguments: &RegistryArguments) -> Result<Option<Registry>> {
    let Some(repository) = arguments.registry.clone() else { return Ok(None) };
    let (credentials, ca) = (arguments.registry_credentials.clone(), arguments.registry_ca.clone());
    for (flag, file) in [("--registry-credentials", &credentials), ("--registry-ca", &ca)] {
        let Some(file) = file else { continue };
        std::fs::metadata(file).with_context(|| format!("{flag} {} cannot be read", file.display()))?;
    }
    let options = RegistryOptions { repository, ca, credentials, max_module: arguments.registry_max_module };
    Ok(Some(Registry::new(options)?))
}

/// `wasmbed signer`: of the state folder it uses what the arguments do not name, the assignment key and the socket.
///
/// # Errors
/// When a key is missing, or the socket or port cannot be served.
pub(crate) async fn signer(arguments: &Signer) -> Result<()> {
    let end = told_to_end(arguments.with_parent)?;
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    let state = || StateFolder::named_by(&arguments.api.state);
    let own_health = Health::default();
    let _answering = health::answer(&arguments.health, &own_health).await?;
    let assignment_key = match &arguments.keys.system_namespace {
        Some(system) => {
            KeySource::Secret(SecretPlace { namespace: system.clone(), name: assignment_secret(&namespace) })
        }
        None => {
            let key = key_files::load(&state()?.key("assignment"));
            KeySource::Fixed(key.context("Assignments are signed with it")?)
        }
    };
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

/// `wasmbed builder`.
///
/// # Errors
/// When the socket or port cannot be served.
pub(crate) async fn builder(arguments: &Builder) -> Result<()> {
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

fn told_to_end(with_parent: bool) -> Result<impl Future<Output = ()>> {
    let signals = signals()?;
    Ok(async move {
        if !with_parent {
            return signals.await;
        }
        tokio::select! {
            () = signals => {}
            () = parent_is_gone() => {}
        }
    })
}
