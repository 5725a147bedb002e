//! Reaching the API: another by its kubeconfig, that of the cluster whose pod this is, or that of `wasmbed up`.

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

/// Reads the kubeconfig that the arguments name; without one, what the kubelet gives a pod, or the state folder's.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(crate) async fn reach(arguments: &ApiArguments) -> Result<Reached> {
    // A state folder that is named is meant, in a pod too.
    let is_named = arguments.kubeconfig.is_some() || arguments.state.state.is_some();
    let (mut config, what) = if !is_named && is_in_cluster() {
        let what = "the ServiceAccount of this pod".to_owned();
        (Config::incluster().with_context(|| what.clone())?, what)
    } else {
        let path = kubeconfig(arguments)?;
        let what = format!("the kubeconfig {}", path.display());
        let kubeconfig = Kubeconfig::read_from(&path).with_context(|| what.clone())?;
        let options = KubeConfigOptions::default();
        (Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(|| what.clone())?, what)
    };
    if let Some(namespace) = &arguments.namespace {
        config.default_namespace.clone_from(namespace);
    }
    let namespace = config.default_namespace.clone();
    Ok(Reached { client: Client::try_from(config).context(what)?, namespace })
}

/// Whether the kubelet started this: it says where the API is, and mounts a token.
fn is_in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
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
