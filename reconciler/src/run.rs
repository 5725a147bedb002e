//! The reconciler as it runs: woken by the repository, the cluster, a build or the clock, it makes one pass after another.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::ReconcileError;
use crate::follow::{Heard, follow};
use crate::hooks::Hooks;
use crate::leadership::{Candidate, LEASE};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::reconciler::{Reconciler, Summary};
use crate::replicas;

/// The wait after a pass that could not write everything.
const RETRY: Duration = Duration::from_secs(5);
/// The least wait for the clock alone.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// Passes that only follow what devices report come no closer together than this many times what one takes.
const REST: u32 = 4;
/// The most that such a pass waits.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Passes of `reconcile --once` that may follow one another; each has to have changed something.
const MOST_PASSES: usize = 20;

/// How long the pass that goes on may take to end once the reconciler is told to.
const LAST_PASS: Duration = Duration::from_secs(10);

/// Reconciles the namespace's Fleet until `shutdown` completes; among several ([`Options::replica`]), once it leads.
///
/// # Errors
/// When it cannot begin: a cache that cannot be opened, an address that cannot be bound. Everything later is tried again; but
/// a leader that may be one no more ends, to begin anew as one that waits.
pub async fn run(mut options: Options, shutdown: impl Future<Output = ()>) -> Result<(), ReconcileError> {
    let metrics = Metrics::new(&options.health);
    let shutdown = shutdown.shared();
    let hooks = Hooks::serve(&options).await?;
    let Some(replica) = options.replica.clone() else {
        metrics.leader.set(1);
        hooks.lead(true);
        return lead(options, &hooks, &metrics, shutdown).await.map(drop);
    };
    let standing = options.health.requires("leader");
    let candidate = Candidate::stand(options.client.clone(), &options.namespace, &replica);
    let mut leadership = candidate.leadership();
    standing.holds("another reconciler leads; this one waits");
    tokio::select! {
        () = leadership.gained() => {}
        // One that has just taken the Lease gives it back.
        () = shutdown.clone() => {
            candidate.release().await;
            return Ok(());
        }
    }
    standing.holds("it leads");
    metrics.leader.set(1);
    hooks.lead(true);
    tracing::info!(namespace = options.namespace, "leads");
    options.client = leadership.guard(&options.client, &options.namespace);
    let namespace = options.namespace.clone();
    let ended = tokio::select! {
        ended = lead(options, &hooks, &metrics, shutdown) => ended,
        () = leadership.lost() => Err(ReconcileError::LeadershipLost { lease: LEASE, namespace }),
    };
    // What comes until this process has ended is for the next leader.
    hooks.lead(false);
    metrics.leader.set(0);
    standing.fails("it leads no more, and ends");
    if ended? {
        candidate.release().await;
    }
    Ok(())
}

/// Reconciles until told to end; whether the last pass came to its end, so that nothing is on its way any more.
async fn lead(
    options: Options,
    hooks: &Hooks,
    metrics: &Metrics,
    shutdown: impl Future<Output = ()> + Clone,
) -> Result<bool, ReconcileError> {
    let mut reconciler = Reconciler::new(&options)?;
    let listed = options.health.requires("listed");
    listed.fails("the namespace is being listed");
    let mut tasks = JoinSet::new();
    let (specs, specs_seen) = watch::channel(None);
    let (heard, mut heard_seen) = watch::channel(Heard::default());
    let trigger = reconciler.ask();
    tasks.spawn(hooks.carry(Arc::clone(&trigger), options.replica.is_none()));
    tasks.spawn(follow(reconciler.fetcher().clone(), specs_seen, heard, trigger, reconciler.wake()));
    let cluster = reconciler.cluster().clone();
    if options.gateway_leases {
        tasks.spawn(replicas::run(options.client.clone(), options.namespace.clone()));
    }
    let mut key = reconciler.release_key().clone();
    let _watches = tokio::select! {
        // A key that is not there is said of each application; whether it is there has to be known for that.
        (watches, _) = async { tokio::join!(cluster.watch(), key.read()) } => watches,
        // Listing changes nothing: it has no end to come to.
        () = shutdown.clone() => return Ok(true),
    };
    let told = shutdown.clone();
    let work = async {
        listed.holds("the namespace is known");
        let (changed, wake, built) = (cluster.changed(), reconciler.wake(), reconciler.built());
        if reconciler.fleet().is_none() {
            tracing::info!(namespace = cluster.namespace(), "waits for the one Fleet of the namespace");
        }
        loop {
            let fleet = reconciler.fleet().map(|(_, fleet)| (*fleet.spec).clone());
            specs.send_if_modified(|known| {
                let is_new = *known != fleet;
                known.clone_from(&fleet);
                is_new
            });
            reconciler.hear(heard_seen.borrow_and_update().clone());
            let began = Instant::now();
            let passed = reconciler.pass().await;
            metrics.count_pass(began.elapsed(), passed.as_ref().ok().map(|summary| summary.held.len()));
            let incomplete = match passed {
                Ok(summary) => !summary.failures.is_empty(),
                Err(error) => {
                    tracing::warn!(%error, "a pass ended early; it is made again");
                    true
                }
            };
            let rest = (began.elapsed() * REST).min(LONGEST_REST);
            let due = reconciler.next_retry().into_iter().chain(incomplete.then(|| began + RETRY)).min();
            // What is overdue though a pass was just made waits for something else.
            let due = due.map(|due| due.max(Instant::now() + LEAST_WAIT));
            tokio::select! {
                () = told.clone() => return true,
                () = wake.notified() => {}
                () = built.notified() => {}
                () = key.changed() => {}
                () = async { changed.notified().await; tokio::time::sleep(rest).await } => {}
                () = until(due) => {}
            }
        }
    };
    tokio::select! {
        () = async { shutdown.await; tokio::time::sleep(LAST_PASS).await } => Ok(false),
        ended = work => Ok(ended),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Reads the repository once and brings the cluster to it, builds included.
///
/// # Errors
/// When there is not exactly one Fleet, or the API or the caches cannot be used. What is held or could not be written is in the
/// [`Summary`].
pub async fn reconcile_once(options: Options) -> Result<Summary, ReconcileError> {
    let mut reconciler = Reconciler::new(&options)?;
    reconciler.list().await?;
    let _ = reconciler.release_key().read().await;
    let count = reconciler.cluster().view().fleets.len();
    if count != 1 {
        return Err(ReconcileError::FleetCount { namespace: options.namespace, count });
    }
    reconciler.fetch().await;
    reconciler.settle_down().await
}

impl Reconciler {
    /// Makes passes until nothing is being built and nothing changes any more.
    ///
    /// # Errors
    /// As [`Reconciler::pass`].
    pub async fn settle_down(&mut self) -> Result<Summary, ReconcileError> {
        let built = self.built();
        let mut total = Summary::default();
        let mut passes = 0;
        while passes < MOST_PASSES {
            let mut summary = self.pass().await?;
            let is_quiet = summary.written == Default::default();
            summary.written.add(&total.written);
            let is_done = summary.building.is_empty() && (is_quiet || !summary.failures.is_empty());
            let is_building = !summary.building.is_empty();
            total = summary;
            if is_done {
                break;
            }
            if is_building {
                built.notified().await;
            } else {
                passes += 1;
            }
        }
        Ok(total)
    }
}
