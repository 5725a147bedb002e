//! The key that signs at present.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use wasmbed_protocol::SigningKey;
use zeroize::Zeroizing;

use crate::place::{SEED_ENTRY, SecretPlace};

/// Where a key that signs comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// This one, for as long as the process runs.
    Fixed(SigningKey),
    /// The entry [`SEED_ENTRY`] of this Secret, as it changes.
    Secret(SecretPlace),
}

/// Why there is no key to sign with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The API has not answered yet.
    #[error("Secret {0} has not been read yet")]
    NotRead(SecretPlace),
    /// The API does not give it.
    #[error("Secret {place} cannot be read: {error}; this process needs get, list and watch on it")]
    Unreadable {
        /// The Secret.
        place: SecretPlace,
        /// What the API, or the way to it, said.
        error: String,
    },
    /// There is none, or not any more.
    #[error("there is no entry {SEED_ENTRY} in a Secret {0}; `wasmbed keys publish` writes it")]
    Missing(SecretPlace),
    /// It holds something else.
    #[error(
        "the entry {SEED_ENTRY} of Secret {place} has {length} bytes instead of the 32 of an Ed25519 seed; \
         `wasmbed keys publish` writes it anew"
    )]
    Damaged {
        /// The Secret.
        place: SecretPlace,
        /// How many bytes the entry has.
        length: usize,
    },
}

/// The key that signs at present, for as many as need it. The watch on its Secret ends with the last clone.
#[derive(Clone, Debug)]
pub struct CurrentKey {
    state: watch::Receiver<Result<SigningKey, NoKey>>,
    /// Keeps `state` going.
    _task: Option<Arc<AbortOnDropHandle<()>>>,
}

impl CurrentKey {
    /// The key of a source. A Secret is watched by a task of its own, so this must be called in a Tokio runtime.
    #[must_use]
    pub fn of(source: KeySource, client: &Client) -> Self {
        match source {
            KeySource::Fixed(key) => Self { state: watch::channel(Ok(key)).1, _task: None },
            KeySource::Secret(place) => {
                let (sender, state) = watch::channel(Err(NoKey::NotRead(place.clone())));
                let task = tokio::spawn(follow(client.clone(), place, sender));
                Self { state, _task: Some(Arc::new(AbortOnDropHandle::new(task))) }
            }
        }
    }

    /// The key.
    ///
    /// # Errors
    /// [`NoKey`] says why there is none, and what to do.
    pub fn get(&self) -> Result<SigningKey, NoKey> {
        self.state.borrow().clone()
    }

    /// The key, once the API has said whether there is one.
    ///
    /// # Errors
    /// As [`CurrentKey::get`].
    pub async fn read(&self) -> Result<SigningKey, NoKey> {
        let mut state = self.state.clone();
        // A sender that is gone leaves what it said last.
        let _ = state.wait_for(|state| !matches!(state, Err(NoKey::NotRead(_)))).await;
        self.get()
    }

    /// Completes when there is another key than when this was asked last, or none any more. Never for a fixed one.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Keeps `state` at what the Secret holds.
async fn follow(client: Client, place: SecretPlace, state: watch::Sender<Result<SigningKey, NoKey>>) {
    let api = Api::<Secret>::namespaced(client, &place.namespace);
    // By its name, which is all that a Role with `resourceNames` lets one watch.
    let config = watcher::Config::default().fields(&format!("metadata.name={}", place.name));
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = None;
    while let Some(event) = events.next().await {
        let seen = match event {
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(secret)) => {
                listed = Some(secret);
                continue;
            }
            Ok(Event::InitDone) => Ok(listed.take()),
            Ok(Event::Apply(secret)) => Ok(Some(secret)),
            Ok(Event::Delete(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        state.send_if_modified(|state| take(state, seen, &place));
    }
}

/// Takes in what was seen of the Secret; says whether that changed anything.
///
/// A key goes on when the API fails, and when what replaced it cannot be a key: neither takes it away. It ends when the Secret, or the
/// entry in it, is gone.
fn take(state: &mut Result<SigningKey, NoKey>, seen: Result<Option<Secret>, String>, place: &SecretPlace) -> bool {
    let place = place.clone();
    let next = match seen {
        Err(error) => Err(NoKey::Unreadable { place, error }),
        Ok(secret) => match secret.and_then(|secret| secret.data?.remove(SEED_ENTRY)) {
            None => Err(NoKey::Missing(place)),
            Some(seed) => {
                let seed = Zeroizing::new(seed.0);
                match <&[u8; 32]>::try_from(seed.as_slice()) {
                    Ok(seed) => Ok(SigningKey::from_seed(seed)),
                    Err(_) => Err(NoKey::Damaged { place, length: seed.len() }),
                }
            }
        },
    };
    match (&*state, &next) {
        (Ok(old), Ok(new)) if old.public() == new.public() => return false,
        (Ok(key), Err(no_key @ (NoKey::Unreadable { .. } | NoKey::Damaged { .. }))) => {
            tracing::warn!(key = %key.public(), "the key goes on: {no_key}");
            return false;
        }
        (Err(old), Err(new)) if old == new => return false,
        (_, Ok(key)) => tracing::info!(key = %key.public(), "signs with this key from now on"),
        (_, Err(no_key)) => tracing::error!("nothing is signed: {no_key}"),
    }
    *state = next;
    true
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn place() -> SecretPlace {
        SecretPlace { namespace: "wasmbed-system".into(), name: "wasmbed-t-release".into() }
    }

    fn secret(seed: Vec<u8>) -> Option<Secret> {
        let data = [(SEED_ENTRY.to_owned(), ByteString(seed))].into();
        Some(Secret { data: Some(data), ..Secret::default() })
    }

    /// What a key is after all these were seen, from the first on.
    fn after(seen: Vec<Result<Option<Secret>, String>>) -> Result<[u8; 32], NoKey> {
        let mut state = Err(NoKey::NotRead(place()));
        for seen in seen {
            take(&mut state, seen, &place());
        }
        state.map(|key| *key.seed())
    }

    #[test]
    fn a_key_goes_on_until_it_is_replaced_or_taken_away() {
        let one = || Ok(secret(vec![1; 32]));
        assert_eq!(after(vec![one()]), Ok([1; 32]));
        assert_eq!(after(vec![one(), Ok(secret(vec![2; 32]))]), Ok([2; 32]));
        assert_eq!(after(vec![one(), Err("forbidden".into())]), Ok([1; 32]));
        assert_eq!(after(vec![one(), Ok(secret(vec![2; 31]))]), Ok([1; 32]));
        assert_eq!(after(vec![one(), Ok(None)]), Err(NoKey::Missing(place())));
        assert_eq!(after(vec![one(), Ok(Some(Secret::default()))]), Err(NoKey::Missing(place())));
        assert_eq!(after(vec![one(), Ok(None), Ok(secret(vec![2; 32]))]), Ok([2; 32]));
    }

    #[test]
    fn the_same_key_again_is_no_change() {
        let mut state = Err(NoKey::NotRead(place()));
        assert!(take(&mut state, Ok(secret(vec![1; 32])), &place()));
        assert!(!take(&mut state, Ok(secret(vec![1; 32])), &place()));
        assert!(take(&mut state, Ok(None), &place()));
        assert!(!take(&mut state, Ok(None), &place()));
    }

    #[test]
    fn what_is_wrong_where_and_what_mends_it_is_said() {
        let said = |seen| after(vec![seen]).expect_err("there is no key").to_string();
        assert_eq!(
            said(Ok(None)),
            "there is no entry seed in a Secret wasmbed-system/wasmbed-t-release; `wasmbed keys publish` writes it"
        );
        assert_eq!(
            said(Ok(secret(vec![]))),
            "the entry seed of Secret wasmbed-system/wasmbed-t-release has 0 bytes instead of the 32 of an Ed25519 seed; \
             `wasmbed keys publish` writes it anew"
        );
        assert!(said(Err("403".into())).contains("get, list and watch"));
    }
}
