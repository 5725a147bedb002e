//! `wasmbed keys`.

mod publication;
#[cfg(test)]
mod publication_tests;
mod publish;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasmbed_protocol::KeySet;

use crate::arguments::{KeyName, Keys, KeysWhat, MaybeCluster, Output, RevocableKey};
use crate::state_folder::StateFolder;
use crate::{key_files, print};

/// Shows the fleet's keys, replaces one, or publishes them.
///
/// # Errors
/// When there are none, or they cannot be read or written.
pub(crate) async fn run(arguments: &Keys, output: Output) -> Result<()> {
    let state = StateFolder::named_by(&arguments.state)?;
    match &arguments.what {
        KeysWhat::Show => show(&state, &stored(&state)?, output),
        KeysWhat::Publish(arguments) => publish::run(&state, arguments, output).await,
        KeysWhat::Rotate { key, cluster } => change(&state, cluster, output, |fleet| rotate(&state, fleet, *key)).await,
        KeysWhat::Revoke { key, cluster } => change(&state, cluster, output, |fleet| revoke(&state, fleet, *key)).await,
    }
}

/// Changes the keys, and publishes them if a cluster is named.
async fn change(
    state: &StateFolder,
    cluster: &MaybeCluster,
    output: Output,
    change: impl FnOnce(&str) -> Result<KeySet>,
) -> Result<()> {
    let set = stored(state)?;
    let _lock =
        state.lock().context("a key is replaced while nothing runs; `wasmbed up` publishes it when it starts")?;
    if let Some(kubeconfig) = &cluster.kubeconfig {
        // What was cut short before comes first: with two changes at once, a key that still signs there could be the one that goes.
        publish::to(state, kubeconfig, &cluster.places, &set.fleet).await?;
    }
    let set = change(&set.fleet)?;
    if let Some(kubeconfig) = &cluster.kubeconfig {
        let published = publish::to(state, kubeconfig, &cluster.places, &set.fleet).await.context(
            "the key was replaced in the state folder and is not, or not all, published; run `wasmbed keys publish` to complete it",
        )?;
        if output == Output::Text {
            published.print()?;
        }
    }
    show(state, &set, output)
}

fn rotate(state: &StateFolder, fleet: &str, key: KeyName) -> Result<KeySet> {
    let name = match key {
        KeyName::Release => "release",
        KeyName::Assignment => "assignment",
        KeyName::GatewayCa => "gateway-ca",
    };
    key_files::replace(state, fleet, name)
}

fn revoke(state: &StateFolder, fleet: &str, key: RevocableKey) -> Result<KeySet> {
    key_files::revoke(state, fleet, key)
}

/// The KeySet of the state folder as it is.
fn stored(state: &StateFolder) -> Result<KeySet> {
    let root = key_files::load(&state.key("root")).context(
        "there are no keys yet: `wasmbed up` makes them when it starts first, and `wasmbed keys publish` for a cluster",
    )?;
    let signed =
        std::fs::read(state.key_set()).with_context(|| format!("cannot read {}", state.key_set().display()))?;
    let set = KeySet::read_unverified(&signed)?;
    Ok(KeySet::verify(&signed, &root.public(), &set.fleet, 0)?)
}

fn show(state: &StateFolder, set: &KeySet, output: Output) -> Result<()> {
    let root = key_files::load(&state.key("root"))?;
    if output == Output::Json {
        return print::json(&view(set, &root.public()));
    }
    print::line(format_args!("fleet {}, key set of epoch {}", set.fleet, set.epoch))?;
    print::line(format_args!("root        {}", text(&root.public())))?;
    for (name, keys) in [("release", &set.release), ("assignment", &set.assignment)] {
        for key in keys {
            print::line(format_args!("{name:11} {}", text(key)))?;
        }
    }
    print::line(format_args!("gateway CA  {}", text(&set.gateway_ca)))
}

fn view(set: &KeySet, root: &wasmbed_protocol::PublicKey) -> Value {
    let list = |keys: &[wasmbed_protocol::PublicKey]| keys.iter().map(text).collect::<Vec<_>>();
    json!({
        "fleet": set.fleet, "epoch": set.epoch, "root": text(root),
        "release": list(&set.release), "assignment": list(&set.assignment), "gatewayCa": text(&set.gateway_ca),
    })
}

fn text(key: &wasmbed_protocol::PublicKey) -> String {
    wasmbed_api::PublicKey::from_bytes(*key.as_bytes()).to_string()
}
