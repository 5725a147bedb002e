//! One of several reconcilers leads: the holder of a Lease. The others wait, and read nothing before they lead, so that what
//! a new leader knows is what the last one left.

mod election;

use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::Body;
use tokio::sync::watch;

use election::{DURATION, Election, RENEW, RETRY, Record, Step};

/// Name of the Lease in the fleet's namespace.
pub const LEASE: &str = "wasmbed-reconciler";

/// How long the API may take to answer one request about the Lease, and one write of a leader: less than lies between the
/// moment at which a leader stops to write and the one at which another one may begin.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whether this process leads; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Leadership(watch::Receiver<Option<Instant>>);

/// A write of a process that does not lead any more.
#[derive(Debug, thiserror::Error)]
#[error("not written: this reconciler may not be the leader any more, as it could not renew the Lease {LEASE} in time")]
struct NotLeading;

/// A write that the API did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the API did not answer a write within {} s, as it must while one of several reconcilers leads", PATIENCE.as_secs())]
struct Late;

impl Leadership {
    /// Whether it leads, and may write.
    pub(crate) fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Completes once it leads.
    pub(crate) async fn gained(&mut self) {
        let leads = |until: &Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        if self.0.wait_for(leads).await.is_err() {
            std::future::pending().await
        }
    }

    /// Completes once it may not lead any more.
    pub(crate) async fn lost(&mut self) {
        loop {
            let Some(until) = *self.0.borrow_and_update() else { return };
            if Instant::now() >= until {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                changed = self.0.changed() => if changed.is_err() {
                    return tokio::time::sleep_until(until.into()).await;
                }
            }
        }
    }

    /// The same client, but that it writes only while this process leads.
    pub(crate) fn guard(&self, client: &kube::Client, namespace: &str) -> kube::Client {
        let (leadership, client) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (leadership, client) = (leadership.clone(), client.clone());
            async move {
                if request.method().is_safe() {
                    return Ok::<_, tower::BoxError>(client.send(request).await?);
                }
                if !leadership.holds() {
                    return Err(NotLeading.into());
                }
                let answer = tokio::time::timeout(PATIENCE, client.send(request)).await;
                Ok(answer.map_err(|_| Late)??)
            }
        });
        kube::Client::new(service, namespace)
    }
}

/// This process among those that want to lead. Dropped, it does no more for it, and the Lease lapses.
pub(crate) struct Candidate {
    api: Api<Lease>,
    leadership: Leadership,
    identity: String,
    task: tokio::task::JoinHandle<()>,
}

impl Candidate {
    /// Begins to stand, under a name that no other process has; `replica` is in it.
    pub(crate) fn stand(client: kube::Client, namespace: &str, replica: &str) -> Self {
        let identity = format!("{replica}_{:016x}", rand::random::<u64>());
        let api = Api::namespaced(client, namespace);
        let (until, seen) = watch::channel(None);
        let task = tokio::spawn(stand(api.clone(), Election::new(identity.clone()), until));
        Self { api, leadership: Leadership(seen), identity, task }
    }

    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Gives the Lease back, so that another one leads at once. Only for a leader that has nothing more on its way.
    pub(crate) async fn release(self) {
        self.task.abort();
        let release = async {
            let Some(mut lease) = self.api.get_opt(LEASE).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = None;
            lease.metadata.managed_fields = None;
            self.api.replace(LEASE, &PostParams::default(), &lease).await.map(drop)
        };
        match tokio::time::timeout(PATIENCE, release).await {
            Ok(Ok(())) => tracing::info!(lease = LEASE, "released"),
            Ok(Err(error)) => tracing::warn!(lease = LEASE, %error, "cannot be released; it lapses"),
            Err(_) => tracing::warn!(lease = LEASE, "not released in time; it lapses"),
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes and renews the Lease, for ever.
async fn stand(api: Api<Lease>, mut election: Election, until: watch::Sender<Option<Instant>>) {
    let start = Instant::now();
    loop {
        let round = tokio::time::timeout(PATIENCE, round(&api, &mut election, start)).await;
        let renewed = match round {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::warn!(lease = LEASE, %error, "cannot be read or renewed; trying again");
                false
            }
            Err(_) => {
                tracing::warn!(lease = LEASE, "the API does not answer; trying again");
                false
            }
        };
        let leads = election.leads(start.elapsed()).then(|| start + election.leads_until());
        until.send_if_modified(|known| {
            let is_new = *known != leads;
            *known = leads;
            is_new
        });
        // Candidates that began together do not go on together.
        let pause = if renewed { RENEW } else { RETRY };
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.8..1.0))).await;
    }
}

/// Looks once, and does what is to be done; whether the Lease is held.
async fn round(api: &Api<Lease>, election: &mut Election, start: Instant) -> kube::Result<bool> {
    let there = api.get_opt(LEASE).await?;
    let sent = start.elapsed();
    let parameters = PostParams::default();
    let now = MicroTime(Timestamp::now());
    let written = match election.observe(there.as_ref().map(record), sent) {
        Step::Wait => return Ok(false),
        Step::Create => {
            let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
            let spec = spec(election.identity(), now.clone(), now, 0);
            api.create(&parameters, &Lease { metadata, spec: Some(spec) }).await
        }
        Step::Write { version, transitions, is_new } => {
            let mut lease = there.unwrap_or_default();
            let acquired = lease.spec.as_ref().and_then(|spec| spec.acquire_time.clone()).filter(|_| !is_new);
            lease.spec = Some(spec(election.identity(), acquired.unwrap_or_else(|| now.clone()), now, transitions));
            lease.metadata.resource_version = Some(version);
            lease.metadata.managed_fields = None;
            api.replace(LEASE, &parameters, &lease).await
        }
    };
    match written {
        Ok(lease) => {
            election.wrote(record(&lease), sent, start.elapsed());
            Ok(true)
        }
        // Another one was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

fn spec(identity: &str, acquired: MicroTime, now: MicroTime, transitions: i32) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: Some(acquired),
        renew_time: Some(now),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity,
        duration: spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or(0),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
