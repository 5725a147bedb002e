//! The token that webhooks have to name: that in the Secret which the Fleet names.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::Instant;
use wasmbed_api::{Fleet, SecretRef};

/// A Secret is read again after this: it may be read, and not watched.
const AGAIN: Duration = Duration::from_secs(60);
/// The same, of one that could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// What a webhook has to name.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Not known yet, or not now.
    NotRead,
    /// There is none, and so nobody is heard.
    Nobody,
    /// This.
    Is(String),
}

/// Keeps `token` to what the one Fleet of the namespace says, for ever.
pub(super) async fn follow(client: Client, namespace: String, token: watch::Sender<Token>) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let fleets: Api<Fleet> = Api::namespaced(client, &namespace);
    let mut events = watcher(fleets, watcher::Config::default()).default_backoff().boxed();
    let mut named: BTreeMap<String, Option<SecretRef>> = BTreeMap::new();
    let mut read: Option<Option<SecretRef>> = None;
    let mut due = Instant::now() + AGAIN;
    loop {
        let event = tokio::select! {
            event = events.next() => match event {
                Some(event) => Some(event),
                None => return,
            },
            // Before the Fleets are listed there is nothing to read again.
            () = tokio::time::sleep_until(due), if read.is_some() => None,
        };
        let is_due = event.is_none();
        match event {
            Some(Ok(Event::Init)) => {
                named.clear();
                continue;
            }
            Some(Ok(Event::InitApply(fleet))) => {
                named.insert(fleet.name_any(), fleet.spec.webhook_token_ref);
                continue;
            }
            Some(Ok(Event::Apply(fleet))) => drop(named.insert(fleet.name_any(), fleet.spec.webhook_token_ref)),
            Some(Ok(Event::Delete(fleet))) => drop(named.remove(&fleet.name_any())),
            Some(Ok(Event::InitDone)) | None => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the Fleet of webhooks cannot be watched; trying again");
                continue;
            }
        }
        let only = if named.len() == 1 { named.values().next().cloned().flatten() } else { None };
        if !is_due && read.as_ref() == Some(&only) {
            continue;
        }
        let now = match &only {
            Some(reference) => of(&secrets, reference).await,
            None => Token::Nobody,
        };
        due = Instant::now() + if now == Token::NotRead { RETRY } else { AGAIN };
        token.send_replace(now);
        read = Some(only);
    }
}

async fn of(secrets: &Api<Secret>, reference: &SecretRef) -> Token {
    let secret = reference.name.as_str();
    let found = match secrets.get_opt(secret).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(secret, %error, "the Secret with the token of webhooks cannot be read; trying again");
            return Token::NotRead;
        }
    };
    let bytes = found.and_then(|secret| secret.data?.remove("token"));
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.0).ok()).unwrap_or_default();
    match text.trim() {
        "" => {
            tracing::warn!(secret, "webhooks are refused: there is no such Secret with an entry `token`");
            Token::Nobody
        }
        token => Token::Is(token.to_owned()),
    }
}
