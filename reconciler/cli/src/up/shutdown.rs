//! Ending: one signal that every part hears.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells every part to end; clones hear the same.
#[derive(Clone, Debug)]
pub(super) struct Shutdown(watch::Receiver<bool>);

/// The side that says so. Dropping it says so too.
#[derive(Debug)]
pub(super) struct Trigger(watch::Sender<bool>);

/// A trigger, and what hears it.
#[must_use]
pub(super) fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Tells every part to end.
    pub(super) fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Completes once the trigger is pulled.
    pub(super) fn told(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut receiver = self.0.clone();
        async move {
            let _ = receiver.wait_for(|told| *told).await;
        }
    }
}

/// Completes at Ctrl-C (SIGINT) or SIGTERM.
///
/// # Errors
/// When the system does not let signals be caught.
pub(crate) fn signals() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
