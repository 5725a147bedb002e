//! Keeps [`Intents`] at what the API holds.

use std::future::Future;

use futures::stream::BoxStream;
use futures::{StreamExt, stream_select};
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use wasmbed_api::{Application, Device, Rollout};

use crate::intent::Intents;

#[expect(clippy::large_enum_variant, reason = "one is alive at a time, on its way from the stream to the map")]
enum Seen {
    Device(Event<Device>),
    Application(Event<Application>),
    Rollout(Event<Rollout>),
}

/// Lists being read: objects that came since `Init` and do not count before `InitDone`.
#[derive(Default)]
struct Lists {
    devices: Vec<Device>,
    applications: Vec<Application>,
    rollouts: Vec<Rollout>,
}

/// Watches the three kinds. The future does the work and never ends by itself; the receiver holds what is known, and
/// changes only when that may change what a device runs.
pub(crate) fn start(client: &Client, namespace: &str) -> (impl Future<Output = ()> + use<>, watch::Receiver<Intents>) {
    let (known, receiver) = watch::channel(Intents::default());
    let mut events = stream_select!(
        events(Api::<Device>::namespaced(client.clone(), namespace)).map(Seen::Device),
        events(Api::<Application>::namespaced(client.clone(), namespace)).map(Seen::Application),
        events(Api::<Rollout>::namespaced(client.clone(), namespace)).map(Seen::Rollout),
    );
    let work = async move {
        let mut lists = Lists::default();
        while let Some(seen) = events.next().await {
            known.send_if_modified(|intents| lists.take(intents, seen));
        }
    };
    (work, receiver)
}

fn events<K>(api: Api<K>) -> BoxStream<'static, Event<K>>
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async {
            event.inspect_err(|error| tracing::warn!(%error, "the API cannot be watched; trying again")).ok()
        })
        .boxed()
}

impl Lists {
    /// Takes one event in; says whether it may change what a device runs.
    fn take(&mut self, intents: &mut Intents, seen: Seen) -> bool {
        match seen {
            Seen::Device(Event::Apply(device)) => intents.apply_device(&device),
            Seen::Device(Event::Delete(device)) => intents.delete_device(&device.name_any()),
            Seen::Device(Event::Init) => clear(&mut self.devices),
            Seen::Device(Event::InitApply(device)) => add(&mut self.devices, device),
            Seen::Device(Event::InitDone) => intents.list_devices(&std::mem::take(&mut self.devices)),
            Seen::Application(Event::Apply(application)) => intents.apply_application(application),
            Seen::Application(Event::Delete(application)) => intents.delete_application(&application.name_any()),
            Seen::Application(Event::Init) => clear(&mut self.applications),
            Seen::Application(Event::InitApply(application)) => add(&mut self.applications, application),
            Seen::Application(Event::InitDone) => intents.list_applications(std::mem::take(&mut self.applications)),
            Seen::Rollout(Event::Apply(rollout)) => intents.apply_rollout(&rollout),
            Seen::Rollout(Event::Delete(rollout)) => intents.delete_rollout(&rollout.name_any()),
            Seen::Rollout(Event::Init) => clear(&mut self.rollouts),
            Seen::Rollout(Event::InitApply(rollout)) => add(&mut self.rollouts, rollout),
            Seen::Rollout(Event::InitDone) => intents.list_rollouts(&std::mem::take(&mut self.rollouts)),
        }
    }
}

fn clear<K>(list: &mut Vec<K>) -> bool {
    list.clear();
    false
}

fn add<K>(list: &mut Vec<K>, object: K) -> bool {
    list.push(object);
    false
}
