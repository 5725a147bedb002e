//! The reconciler as it runs: woken by the repository, the cluster, a build or the clock, it makes one pass after another.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::ReconcileError;
use crate::follow::{Heard, follow};
use crate::hooks;
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

/// Reconciles the namespace's Fleet until `shutdown` completes.
///
/// # Errors
/// When it cannot begin: a cache that cannot be opened, an address that cannot be bound. Everything later is tried again.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), ReconcileError> {
    let mut reconciler = Reconciler::new(&options)?;
    let metrics = Metrics::new(&options.health);
    let listed = options.health.requires("listed");
    listed.fails("the namespace is being listed");
    let mut tasks = JoinSet::new();
    let (specs, specs_seen) = watch::channel(None);
    let (heard, mut heard_seen) = watch::channel(Heard::default());
    let (token, token_seen) = watch::channel(None);
    let trigger = reconciler.ask();
    if let Some(address) = options.hooks {
        let bound = hooks::bind(address).await;
        let (listener, address) = bound.map_err(|source| ReconcileError::Hooks { address, source })?;
        tracing::info!(%address, "answers webhooks");
        if let Some(tell) = &options.hooks_bound {
            tell.send_replace(Some(address));
        }
        tasks.spawn({
            let trigger = Arc::clone(&trigger);
            async move { drop(hooks::serve(listener, token_seen, trigger).await) }
        });
    }
    tasks.spawn(follow(reconciler.fetcher().clone(), specs_seen, heard, trigger, token, reconciler.wake()));
    let cluster = reconciler.cluster().clone();
    if options.replicas {
        tasks.spawn(replicas::run(options.client.clone(), options.namespace.clone()));
    }
    let work = async {
        let _watches = cluster.watch().await;
        let mut key = reconciler.release_key().clone();
        // A key that is not there is said of each application; whether it is there has to be known for that.
        let _ = key.read().await;
        listed.holds("the namespace is known");
        metrics.leader.set(1);
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
                () = wake.notified() => {}
                () = built.notified() => {}
                () = key.changed() => {}
                () = async { changed.notified().await; tokio::time::sleep(rest).await } => {}
                () = until(due) => {}
            }
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = work => {}
    }
    Ok(())
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
