//! Keeps the view current.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::task::JoinSet;

use super::{Cluster, Names, Watched};

/// The pause after a watch broke off.
const PAUSE: Duration = Duration::from_millis(500);

impl Cluster {
    /// Starts a watch on everything, and returns once each has listed what is there. The watches end with the set.
    pub(crate) async fn watch(&self) -> JoinSet<()> {
        let mut watches = JoinSet::new();
        let (listed, mut all_listed) = tokio::sync::mpsc::channel(Watched::ALL.len());
        for what in Watched::ALL {
            watches.spawn(self.clone().watch_one(what, listed.clone()));
        }
        for _ in Watched::ALL {
            all_listed.recv().await;
        }
        watches
    }

    fn watch_one(self, what: Watched, listed: tokio::sync::mpsc::Sender<()>) -> impl Future<Output = ()> {
        let api = self.api(what);
        let mut config = watcher::Config::default().page_size(500);
        config.label_selector = what.label_selector().map(ToOwned::to_owned);
        async move {
            let mut seen = Names::new();
            let mut events = watcher::watcher(api, config).boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Init) => seen.clear(),
                    Ok(Event::InitApply(object)) => {
                        seen.extend(object.metadata.name.as_deref().map(Into::into));
                        self.view().put(what, object);
                    }
                    Ok(Event::InitDone) => {
                        self.view().retain(what, &seen);
                        seen.clear();
                        // Nobody listens after the first round.
                        let _ = listed.try_send(());
                        self.changed.notify_one();
                    }
                    Ok(Event::Apply(object)) => {
                        self.view().put(what, object);
                        self.changed.notify_one();
                    }
                    Ok(Event::Delete(object)) => {
                        if let Some(name) = object.metadata.name.as_deref() {
                            self.view().remove(what, name);
                            self.changed.notify_one();
                        }
                    }
                    Err(error) => {
                        tracing::warn!(?what, %error, "a watch broke off; it is taken up again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}
