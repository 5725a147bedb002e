//! Reaching the API: that of `wasmbed up`, or another by its kubeconfig.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::arguments::ApiArguments;
use crate::state_folder::StateFolder;

/// A client, and the namespace to work in.
pub(crate) struct Reached {
    /// The client.
    pub client: Client,
    /// The fleet's namespace.
    pub namespace: String,
}

/// Reads the kubeconfig that the arguments name.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(crate) async fn reach(arguments: &ApiArguments) -> Result<Reached> {
    let path = kubeconfig(arguments)?;
    let what = || format!("the kubeconfig {}", path.display());
    let kubeconfig = Kubeconfig::read_from(&path).with_context(what)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.with_context(what)?;
    if let Some(namespace) = &arguments.namespace {
        config.default_namespace.clone_from(namespace);
    }
    let namespace = config.default_namespace.clone();
    Ok(Reached { client: Client::try_from(config).with_context(what)?, namespace })
}

fn kubeconfig(arguments: &ApiArguments) -> Result<PathBuf> {
    if let Some(path) = &arguments.kubeconfig {
        return Ok(path.clone());
    }
    let path = StateFolder::named_by(&arguments.state)?.kubeconfig();
    if !path.exists() {
        bail!(
            "there is no {}: start `wasmbed up` first, or name its folder with --state or another API with --kubeconfig",
            path.display()
        );
    }
    Ok(path)
}

/// What to say when a call fails: most often nothing is running.
#[must_use]
pub(crate) fn hint(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(_) => "the API refused",
        _ => "the API does not answer; is `wasmbed up` running?",
    }
}
