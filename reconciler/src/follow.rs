//! Asks the fleet's repository for its head: at an interval, at once when a local repository's refs move or a webhook calls, and after
//! failures less and less often.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use wasmbed_api::{FleetSpec, SecretRef};

use crate::source::{Credentials, FETCH_TIME_LIMIT, Mirror, RefWatch, Remote, SourceError, local_path, next_delay};

/// How long the events of one push take to come.
const TOGETHER: Duration = Duration::from_millis(2);

/// What is known of the repository.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    /// The address and branch all this was heard of.
    pub(crate) of: Option<(String, String)>,
    /// The cache.
    pub(crate) mirror: Option<Mirror>,
    /// The branch's head, as it was last heard.
    pub(crate) head: Option<gix::ObjectId>,
    /// Why the last attempt brought none.
    pub(crate) error: Option<(&'static str, String)>,
    /// When the repository last answered.
    pub(crate) at: Option<Timestamp>,
}

/// Fetches for one namespace.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: Client,
    namespace: String,
    cache: PathBuf,
    open: Arc<Mutex<Option<(String, Mirror)>>>,
}

impl Fetcher {
    /// `cache` is the folder that mirrors lie in.
    pub(crate) fn new(client: Client, namespace: &str, cache: PathBuf) -> Self {
        Self { client, namespace: namespace.to_owned(), cache, open: Arc::default() }
    }

    /// Asks once. What was heard before stays where the repository does not answer.
    pub(crate) async fn ask(&self, spec: &FleetSpec, before: Heard) -> Heard {
        let of = Some((spec.url.clone(), spec.branch().to_owned()));
        let before = if before.of == of { before } else { Heard { of, ..Heard::default() } };
        let (mirror, fetched) = match self.fetch_healing(spec).await {
            Ok(fetched) => fetched,
            Err(error) => return Heard { error: Some((error.reason(), error.to_string())), ..before },
        };
        let before = Heard { mirror: Some(mirror), ..before };
        match fetched {
            Ok(head) => Heard { head: Some(head), error: None, at: Some(Timestamp::now()), ..before },
            Err(error) => {
                tracing::warn!(%error, "no revision was read");
                Heard { error: Some((error.reason(), error.to_string())), ..before }
            }
        }
    }

    /// Fetches; into a new mirror when the one there turns out to be damaged.
    async fn fetch_healing(
        &self,
        spec: &FleetSpec,
    ) -> Result<(Mirror, Result<gix::ObjectId, SourceError>), SourceError> {
        let mirror = self.mirror(&spec.url)?;
        let fetched = self.fetch(spec, &mirror).await;
        if !matches!(fetched, Err(SourceError::Cache { .. })) {
            return Ok((mirror, fetched));
        }
        self.discard();
        let mirror = self.mirror(&spec.url)?;
        let fetched = self.fetch(spec, &mirror).await;
        Ok((mirror, fetched))
    }

    /// Forgets the mirror, because it cannot be read: the next fetch makes another one.
    pub(crate) fn discard(&self) {
        let damaged = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, mirror)) = damaged {
            let path = mirror.repository().path();
            tracing::warn!(path = %path.display(), "the repository cache is damaged; it is fetched anew");
            if let Err(error) = std::fs::remove_dir_all(path) {
                tracing::warn!(%error, "the damaged repository cache cannot be removed");
            }
        }
    }

    async fn fetch(&self, spec: &FleetSpec, mirror: &Mirror) -> Result<gix::ObjectId, SourceError> {
        let credentials = match &spec.secret_ref {
            Some(reference) => self.credentials(reference).await?,
            None => Credentials::None,
        };
        let remote = Remote { url: spec.url.clone(), branch: spec.branch().to_owned(), credentials };
        mirror.fetch(&remote, FETCH_TIME_LIMIT).await
    }

    /// Reads a Secret with credentials for the repository.
    pub(crate) async fn credentials(&self, reference: &SecretRef) -> Result<Credentials, SourceError> {
        let secret = self.secret(reference).await?;
        let data = secret.data.unwrap_or_default();
        Credentials::from_secret(|key| data.get(key).map(|bytes| &bytes.0[..]))
    }

    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SourceError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = reference.name.as_str();
        let lacking = |detail: String| SourceError::Credentials { detail };
        let found = secrets.get_opt(name).await.map_err(|e| lacking(format!("Secret {name} cannot be read: {e}")))?;
        found.ok_or_else(|| lacking(format!("there is no Secret {name} in namespace {}", self.namespace)))
    }

    fn mirror(&self, url: &str) -> Result<Mirror, SourceError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, mirror)) = &*open
            && of == url
            && mirror.repository().path().exists()
            && !mirror.is_worn()
        {
            return Ok(mirror.clone());
        }
        let digest = wasmbed_api::Digest::of(url.as_bytes()).to_string();
        let mirror = Mirror::open(&self.cache.join(format!("{}.git", &digest[..16])))?;
        *open = Some((url.to_owned(), mirror.clone()));
        Ok(mirror)
    }
}

/// Asks again and again, as the specs say that come through `specs`, until they end. `trigger` makes it ask at once.
pub(crate) async fn follow(
    fetcher: Fetcher,
    mut specs: watch::Receiver<Option<FleetSpec>>,
    heard: watch::Sender<Heard>,
    trigger: Arc<Notify>,
    wake: Arc<Notify>,
) {
    let mut refs: Option<(String, RefWatch)> = None;
    let mut failures = 0;
    loop {
        let spec = specs.borrow_and_update().clone().filter(|spec| !spec.is_suspended());
        let Some(spec) = spec else {
            if specs.changed().await.is_err() {
                return;
            }
            continue;
        };
        // Watched before it is read, so that nothing falls between.
        refs = watch_refs(refs, &spec.url, &trigger);
        let before = heard.borrow().clone();
        let now = fetcher.ask(&spec, before).await;
        failures = if now.error.is_some() { failures + 1 } else { 0 };
        heard.send_replace(now);
        wake.notify_one();
        let wait = next_delay(spec.interval().max(Duration::from_secs(1)), failures, dice());
        tokio::select! {
            () = trigger.notified() => {
                // One push is several events; those that come at once are one.
                tokio::time::sleep(TOGETHER).await;
                let _ = trigger.notified().now_or_never();
            }
            () = tokio::time::sleep(wait) => {}
            changed = specs.changed() => if changed.is_err() { return },
        }
    }
}

fn watch_refs(held: Option<(String, RefWatch)>, url: &str, trigger: &Arc<Notify>) -> Option<(String, RefWatch)> {
    if let Some((of, watch)) = held
        && of == url
        && watch.is_current()
    {
        return Some((of, watch));
    }
    let watch = RefWatch::start(&local_path(url)?, Arc::clone(trigger))?;
    Some((url.to_owned(), watch))
}

/// Spreads the fetches of many reconcilers; nothing secret hangs on it.
fn dice() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let drawn = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (drawn >> 32) as u32
}
