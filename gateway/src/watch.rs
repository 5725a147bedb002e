//! What the API holds, as it changes: the Devices of this gateway, its own declaration, its identity.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use wasmbed_api::labels::{GATEWAY, KEYSET};
use wasmbed_api::{Device, Gateway};

use crate::closing::Closing;
use crate::context::{Context, now};
use crate::directory::Change;
use crate::identity::identity;
use crate::session::Standing;

/// Follows the Devices with this gateway's label, for ever.
pub(crate) async fn devices(context: &Context) {
    let api = Api::<Device>::namespaced(context.client.clone(), &context.namespace);
    let config = watcher::Config::default().labels(&format!("{GATEWAY}={}", context.name));
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let change = match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(device)) => {
                listed.push(device);
                continue;
            }
            Ok(Event::InitDone) => {
                let change = context.directory().replace(std::mem::take(&mut listed));
                take_up(context, change);
                restore_pending(context);
                context.devices_read.send_replace(true);
                context.readiness.devices.holds("the declared Devices are known");
                continue;
            }
            Ok(Event::Apply(device)) => context.directory().apply(device),
            Ok(Event::Delete(device)) => context.directory().delete(&device.metadata.name.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(gateway = context.name, %error, "cannot watch Devices; trying again");
                continue;
            }
        };
        take_up(context, change);
    }
}

/// Follows the Gateway's own declaration, for ever.
pub(crate) async fn declaration(context: &Context) {
    let api = Api::<Gateway>::namespaced(context.client.clone(), &context.namespace);
    let mut gateways = pin!(one(api, &context.name));
    while let Some(gateway) = gateways.next().await {
        context.declared.send_replace(gateway.map(Arc::new));
        if context.is_suspended() {
            context.sessions.close_all(&Closing::Suspended);
        }
        context.summary_changed.notify_one();
    }
}

/// Follows the Secret and the ConfigMap that make the gateway's identity, for ever. Sessions that were shown another one
/// end: a device learns of new keys, and of those that count no more, when it comes again.
pub(crate) async fn credentials(context: &Context) {
    let place = &context.identity_place;
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &place.namespace);
    let maps = Api::<ConfigMap>::namespaced(context.client.clone(), &context.namespace);
    let mut secrets = pin!(one(secrets, &place.name));
    let mut maps = pin!(one(maps, KEYSET));
    let (mut secret, mut keyset, mut shown) = (None, None, None);
    loop {
        tokio::select! {
            Some(seen) = secrets.next() => secret = Some(seen),
            Some(seen) = maps.next() => keyset = Some(seen),
            else => return,
        }
        if let (Some(secret), Some(keyset)) = (&secret, &keyset) {
            let identity = identity(&context.name, place, secret.as_ref(), keyset.as_ref());
            if let Err(error) = &identity {
                tracing::warn!(gateway = context.name, %error, "this gateway cannot introduce itself");
                context.readiness.identity.fails(error.to_string());
            } else {
                context.readiness.identity.holds("it can introduce itself");
            }
            let introduction = identity.as_ref().ok().map(|identity| identity.introduction.clone());
            context.identity.send_replace(Some(identity.map(Arc::new)));
            // While there is none to show, the sessions that there are live on.
            if introduction.is_some() && shown.is_some() && introduction != shown {
                context.sessions.close_all(&Closing::Reintroduced);
            }
            shown = introduction.or(shown);
            context.summary_changed.notify_one();
        }
    }
}

/// One object by name as it changes; `None` while it is not there.
fn one<K>(api: Api<K>, name: &str) -> impl futures::Stream<Item = Option<K>>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut listed = None;
    watcher(api, config).default_backoff().filter_map(move |event| {
        let seen = match event {
            Ok(Event::Init) => {
                listed = None;
                None
            }
            Ok(Event::InitApply(object)) => {
                listed = Some(object);
                None
            }
            Ok(Event::InitDone) => Some(listed.take()),
            Ok(Event::Apply(object)) => Some(Some(object)),
            Ok(Event::Delete(_)) => Some(None),
            Err(error) => {
                tracing::warn!(kind = std::any::type_name::<K>(), %error, "cannot watch; trying again");
                None
            }
        };
        std::future::ready(seen)
    })
}

/// Tells sessions and the status writer what changed.
fn take_up(context: &Context, change: Change) {
    {
        let directory = context.directory();
        for key in &change.keys {
            let standing = directory.standing(key);
            if matches!(standing, Standing::Known(_)) && context.pending().remove(key) {
                context.summary_changed.notify_one();
            }
            context.sessions.tell_standing(key, &standing);
        }
        let mut board = context.board();
        for name in &change.devices {
            match directory.device(name) {
                Some(known) => {
                    if board.is_superseded(name, &known.status) {
                        context.sessions.supersede(name);
                    }
                    board.mark(name);
                }
                None => board.forget(name),
            }
        }
    }
    context.board_changed.notify_one();
    if !change.keys.is_empty() {
        context.summary_changed.notify_one();
    }
}

/// Takes up the pending list that an earlier process left, once the Devices it may name are known.
fn restore_pending(context: &Context) {
    let declared = context.declared.borrow().clone();
    let Some(status) = declared.as_ref().and_then(|gateway| gateway.status.as_ref()) else {
        return;
    };
    let directory = context.directory();
    let still_unknown = |key: &wasmbed_api::PublicKey| {
        directory.standing(&wasmbed_protocol::PublicKey(*key.as_bytes())) == Standing::Unknown
    };
    let left: Vec<_> = status.pending.iter().filter(|pending| still_unknown(&pending.public_key)).cloned().collect();
    context.pending().restore(&left, |name| directory.device(name).cloned(), now().at);
}
