//! Remembers what a link tells, and waits for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use wasmbed_link::{Event, Gateway, Options};

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
pub(crate) struct Watcher {
    events: Arc<Mutex<Vec<Event>>>,
    changed: Arc<Notify>,
}

impl Watcher {
    pub(crate) fn options(&self, gateways: &[&str]) -> Options {
        let watcher = self.clone();
        let observer = Arc::new(move |event| {
            watcher.events.lock().unwrap().push(event);
            watcher.changed.notify_one();
        });
        Options { gateways: gateways.iter().map(|address| Gateway::at(address)).collect(), observer }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until so many events are like this.
    pub(crate) async fn until(&self, what: &str, count: usize, is: impl Fn(&Event) -> bool) {
        let waiting = async {
            while self.events().iter().filter(|event| is(event)).count() < count {
                self.changed.notified().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await;
        came.unwrap_or_else(|_| panic!("not told: {what}; {:?}", self.events()));
    }
}
