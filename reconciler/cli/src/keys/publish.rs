//! `wasmbed keys publish`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use wasmbed_api::Name;

use super::publication::{Publication, Written};
use crate::api::{self, Reached};
use crate::arguments::{ApiArguments, ClusterPlaces, Output, Publish, StateArguments};
use crate::state_folder::StateFolder;
use crate::{key_files, print};

/// What publishing came to.
#[derive(Default)]
pub(super) struct Published {
    fleet: String,
    epoch: Option<u64>,
    /// Keys made in the state folder, by their names.
    made: Vec<String>,
    written: Vec<Written>,
    unchanged: Vec<Written>,
    is_dry: bool,
}

/// Makes what is missing, and writes it to the cluster.
///
/// # Errors
/// When the folder or the cluster cannot be used, or has what is another fleet's.
pub(super) async fn run(state: &StateFolder, arguments: &Publish, output: Output) -> Result<()> {
    let Reached { client, namespace } = reach(state, &arguments.kubeconfig, &arguments.places).await?;
    let fleet = arguments.fleet.clone().unwrap_or_else(|| namespace.clone());
    let gateways: BTreeSet<Name> = arguments.gateway.iter().cloned().collect();
    let system = arguments.places.system_namespace.to_string();
    let missing = missing(state, &gateways)?;
    let published = if arguments.dry_run && !missing.is_empty() {
        // What is not made yet can be compared with nothing.
        Published { fleet, made: missing, is_dry: true, ..Published::default() }
    } else {
        let lock = if arguments.dry_run {
            None
        } else {
            state.create()?;
            Some(state.lock().context("keys are published while nothing runs on this state folder")?)
        };
        let publication = publication(state, &fleet, &namespace, &system, &gateways)?;
        let mut published = publish(&client, &publication, arguments.dry_run).await?;
        published.made = missing;
        drop(lock);
        published
    };
    match output {
        Output::Json => print::json(&published.view()),
        Output::Text => published.print(),
    }
}

/// Writes to the cluster what the state folder has, for a caller that holds its lock.
///
/// # Errors
/// As [`run`].
pub(super) async fn to(
    state: &StateFolder,
    kubeconfig: &Path,
    places: &ClusterPlaces,
    fleet: &str,
) -> Result<Published> {
    let Reached { client, namespace } = reach(state, kubeconfig, places).await?;
    let publication = publication(state, fleet, &namespace, places.system_namespace.as_str(), &BTreeSet::new())?;
    publish(&client, &publication, false).await
}

async fn reach(state: &StateFolder, kubeconfig: &Path, places: &ClusterPlaces) -> Result<Reached> {
    let arguments = ApiArguments {
        state: StateArguments { state: Some(state.path().to_owned()) },
        kubeconfig: Some(kubeconfig.to_owned()),
        namespace: places.namespace.as_ref().map(ToString::to_string),
    };
    api::reach(&arguments).await
}

/// The fleet's keys as the state folder has them; those of gateways, and whatever else is missing, are made.
///
/// # Errors
/// When they cannot be read or written.
pub(super) fn publication(
    state: &StateFolder,
    fleet: &str,
    namespace: &str,
    system_namespace: &str,
    more: &BTreeSet<Name>,
) -> Result<Publication> {
    let root = key_files::load_or_create(state, "root")?.public();
    let (set, signed_set) = key_files::key_set(state, fleet)?;
    let mut gateways = BTreeMap::new();
    for name in key_files::gateways(state)?.iter().chain(more) {
        gateways.insert(name.to_string(), key_files::gateway(state, name)?);
    }
    Ok(Publication {
        namespace: namespace.to_owned(),
        system_namespace: system_namespace.to_owned(),
        root,
        set,
        signed_set,
        release: key_files::load(&state.key("release"))?,
        assignment: key_files::load(&state.key("assignment"))?,
        gateway_ca: key_files::load(&state.key("gateway-ca"))?,
        gateways,
    })
}

/// The keys that [`publication`] will make.
fn missing(state: &StateFolder, gateways: &BTreeSet<Name>) -> Result<Vec<String>> {
    let names = ["root", "release", "assignment", "gateway-ca"].map(str::to_owned);
    let there = key_files::gateways(state)?;
    let gateways = gateways.difference(&there).map(|name| format!("gateways/{name}"));
    Ok(names.into_iter().filter(|name| !state.key(name).exists()).chain(gateways).collect())
}

async fn publish(client: &Client, publication: &Publication, is_dry: bool) -> Result<Published> {
    let plan = publication.plan(client).await?;
    let mut written = Vec::new();
    for write in plan.writes {
        if !is_dry {
            write.apply(client).await?;
        }
        written.push(write.what);
    }
    Ok(Published {
        fleet: publication.set.fleet.clone(),
        epoch: Some(publication.set.epoch),
        made: Vec::new(),
        written,
        unchanged: plan.unchanged,
        is_dry,
    })
}

impl Published {
    /// Says what was written and what was there.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(super) fn print(&self) -> Result<()> {
        let (made, wrote) = if self.is_dry { ("would make", "would write") } else { ("made", "wrote") };
        for name in &self.made {
            print::line(format_args!("{made:11} keys/{name}.key"))?;
        }
        for written in &self.written {
            print::line(format_args!("{wrote:11} {written}"))?;
        }
        for unchanged in &self.unchanged {
            print::line(format_args!("{:11} {unchanged}", "unchanged"))?;
        }
        match self.epoch {
            Some(epoch) => print::line(format_args!("fleet {}, key set of epoch {epoch}", self.fleet)),
            None => print::line(format_args!("fleet {}: everything is written once its keys are made", self.fleet)),
        }
    }

    fn view(&self) -> Value {
        let list = |objects: &[Written]| -> Vec<Value> {
            let object = |of: &Written| json!({ "kind": of.kind, "namespace": of.namespace, "name": of.name });
            objects.iter().map(object).collect()
        };
        json!({
            "fleet": self.fleet, "epoch": self.epoch, "made": self.made, "dryRun": self.is_dry,
            "written": list(&self.written), "unchanged": list(&self.unchanged),
        })
    }
}
