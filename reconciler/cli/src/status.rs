//! `wasmbed status`.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, stream_select};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use wasmbed_api::{Application, Device, DevicePhase, Fleet, Gateway};

use crate::api::{self, Reached};
use crate::arguments::{Output, Status};
use crate::print::{self, Table};

/// Changes that come this close together are printed once.
const TOGETHER: Duration = Duration::from_millis(100);

/// Everything a person asks first.
struct View {
    fleets: Vec<Fleet>,
    applications: Vec<Application>,
    devices: Vec<Device>,
    gateways: Vec<Gateway>,
}

/// Prints the fleet, and with `--watch` again whenever it changes.
///
/// # Errors
/// When the API does not answer.
pub(crate) async fn run(arguments: &Status, output: Output) -> Result<()> {
    let reached = api::reach(&arguments.api).await?;
    let mut last = View::read(&reached).await?.show(output, None)?;
    if !arguments.watch {
        return Ok(());
    }
    let Reached { client, namespace } = &reached;
    let mut changes = pin!(stream_select!(
        changes::<Fleet>(client, namespace),
        changes::<Application>(client, namespace),
        changes::<Device>(client, namespace),
        changes::<Gateway>(client, namespace),
    ));
    while changes.next().await.is_some() {
        while let Ok(Some(())) = tokio::time::timeout(TOGETHER, changes.next()).await {}
        last = View::read(&reached).await?.show(output, Some(last))?;
    }
    Ok(())
}

fn changes<K>(client: &Client, namespace: &str) -> futures::stream::BoxStream<'static, ()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async { event.ok().map(drop) })
        .boxed()
}

impl View {
    async fn read(reached: &Reached) -> Result<Self> {
        let Reached { client, namespace } = reached;
        async fn all<K>(client: &Client, namespace: &str) -> Result<Vec<K>>
        where
            K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
                + Clone
                + std::fmt::Debug
                + serde::de::DeserializeOwned,
        {
            let list = Api::<K>::namespaced(client.clone(), namespace).list(&Default::default()).await;
            let mut items = list.map_err(|error| {
                let hint = api::hint(&error);
                anyhow::Error::from(error).context(hint)
            })?;
            items.items.sort_by_key(ResourceExt::name_any);
            Ok(items.items)
        }
        Ok(Self {
            fleets: all(client, namespace).await?,
            applications: all(client, namespace).await?,
            devices: all(client, namespace).await?,
            gateways: all(client, namespace).await?,
        })
    }

    /// Prints it, unless it is what was printed last; returns what is printed.
    fn show(&self, output: Output, last: Option<String>) -> Result<String> {
        let text = match output {
            Output::Json => self.json().to_string(),
            Output::Text => self.text(),
        };
        if last.as_ref() != Some(&text) {
            if last.is_some() && output == Output::Text {
                print::line("")?;
            }
            print::line(&text)?;
        }
        Ok(text)
    }

    fn json(&self) -> Value {
        json!({
            "fleets": self.fleets.iter().map(|fleet| json!({
                "name": fleet.name_any(), "url": fleet.spec.url, "branch": fleet.spec.branch(), "status": fleet.status,
            })).collect::<Vec<_>>(),
            "applications": named(&self.applications, |application| &application.status),
            "devices": named(&self.devices, |device| &device.status),
            "gateways": named(&self.gateways, |gateway| &gateway.status),
        })
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        for fleet in &self.fleets {
            parts.push(fleet_text(fleet));
        }
        let mut table = Table::new(&["APPLICATION", "PHASE", "RELEASE", "TARGETS", "RUNNING", "FAILED", "MESSAGE"]);
        for application in &self.applications {
            let status = application.status.clone().unwrap_or_default();
            table.row(vec![
                application.name_any(),
                text(status.phase.as_ref()),
                status.release.map_or_else(String::new, |release| release.to_string()[..12].to_owned()),
                text(status.targets.as_ref()),
                text(status.running.as_ref()),
                text(status.failed.as_ref()),
                complaint(&status.conditions),
            ]);
        }
        parts.push(table.to_string());
        let mut table = Table::new(&["DEVICE", "PHASE", "GATEWAY", "APPLICATIONS", "MESSAGE"]);
        for device in &self.devices {
            let status = device.status.clone().unwrap_or_default();
            let applications: Vec<String> =
                status.applications.iter().map(|app| format!("{}={}", app.name, app.phase)).collect();
            table.row(vec![
                device.name_any(),
                text(status.phase.as_ref().or(Some(&DevicePhase::Pending))),
                device.labels().get(wasmbed_api::labels::GATEWAY).cloned().unwrap_or_default(),
                applications.join(","),
                complaint(&status.conditions),
            ]);
        }
        parts.push(table.to_string());
        let mut table = Table::new(&["GATEWAY", "PHASE", "ADDRESS", "CONNECTED", "PENDING", "MESSAGE"]);
        for gateway in &self.gateways {
            let status = gateway.status.clone().unwrap_or_default();
            table.row(vec![
                gateway.name_any(),
                text(status.phase.as_ref()),
                text(status.address.as_ref()),
                text(status.connected_devices.as_ref()),
                status.pending.len().to_string(),
                complaint(&status.conditions),
            ]);
        }
        parts.push(table.to_string());
        parts.join("\n\n")
    }
}

fn named<'o, K: ResourceExt, S: serde::Serialize + 'o>(objects: &'o [K], status: fn(&'o K) -> &'o Option<S>) -> Value {
    objects.iter().map(|object| json!({ "name": object.name_any(), "status": status(object) })).collect()
}

fn fleet_text(fleet: &Fleet) -> String {
    let status = fleet.status.clone().unwrap_or_default();
    let short = |revision: Option<&String>| {
        revision.map_or("none", |revision| revision.get(..12).unwrap_or(revision)).to_owned()
    };
    let mut lines = vec![format!(
        "fleet {} follows {} of {}: revision {} applied, {} seen",
        fleet.name_any(),
        fleet.spec.branch(),
        fleet.spec.url,
        short(status.applied_revision.as_ref()),
        short(status.observed_revision.as_ref()),
    )];
    for held in &status.held {
        let what = held.application.as_ref().map_or_else(|| "the whole revision".to_owned(), ToString::to_string);
        lines.push(format!("held: {what} at {}: {}", short(Some(&held.revision)), held.message.trim_end()));
    }
    let complaint = complaint(&status.conditions);
    if !complaint.is_empty() && status.held.is_empty() {
        lines.push(complaint);
    }
    lines.join("\n")
}

/// What a condition that wants a person's eye says, on one line.
fn complaint(conditions: &[Condition]) -> String {
    use wasmbed_api::condition_types as types;
    let wants_an_eye = |condition: &&Condition| match condition.type_.as_str() {
        types::NOT_IN_GIT | types::CANNOT_RUN | types::HELD => condition.status == "True",
        _ => condition.status == "False",
    };
    let first = conditions.iter().find(wants_an_eye);
    first.map_or_else(String::new, |condition| {
        let line = condition.message.lines().next().unwrap_or_default();
        if line.is_empty() { condition.reason.clone() } else { line.to_owned() }
    })
}

fn text(value: Option<&impl ToString>) -> String {
    value.map_or_else(String::new, ToString::to_string)
}

/// Waits until `wanted` holds of the fleet's objects.
///
/// # Errors
/// When the API cannot be watched at all.
pub(crate) async fn wait_until(
    reached: &Reached,
    mut wanted: impl FnMut(&[Application], &[Device], &[Fleet], &[Gateway]) -> bool,
) -> Result<()> {
    let Reached { client, namespace } = reached;
    let mut changes = pin!(stream_select!(
        changes::<Fleet>(client, namespace),
        changes::<Application>(client, namespace),
        changes::<Device>(client, namespace),
        changes::<Gateway>(client, namespace),
    ));
    loop {
        let view = View::read(reached).await?;
        if wanted(&view.applications, &view.devices, &view.fleets, &view.gateways) {
            return Ok(());
        }
        changes.next().await.context("the API ended")?;
        while let Ok(Some(())) = tokio::time::timeout(TOGETHER, changes.next()).await {}
    }
}
