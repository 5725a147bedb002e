//! One gateway's stream: sessions in, Assignments out.

use std::collections::HashMap;

use tokio::sync::watch;
use wasmbed_keys::CurrentKey;
use wasmbed_protocol::limits::MAX_APPLICATIONS;
use wasmbed_protocol::signed::{Entry, RunState};
use wasmbed_protocol::{Assignment, Nonce, PublicKey, ReleaseDigest, Thumbprint};
use wasmbed_streams::sessions::{AssignmentPush, Session, SessionEvent};
use wasmbed_streams::{Receiver, Sender, StreamError};

use crate::intent::{Entries, Intents};
use crate::metrics::Metrics;
use crate::numbers::Numbers;

/// What all streams share.
pub(crate) struct Signing {
    fleet: String,
    key: CurrentKey,
    numbers: Numbers,
    intents: watch::Receiver<Intents>,
    metrics: Metrics,
}

/// A stream that is counted while it is there.
struct Counted<'a>(&'a Metrics);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

/// A session, and the set it was last sent with the key that signed it.
struct Live {
    session: Session,
    sent: Option<(Entries, PublicKey)>,
}

impl Signing {
    pub(crate) fn new(fleet: String, key: CurrentKey, intents: watch::Receiver<Intents>, metrics: Metrics) -> Self {
        Self { fleet, key, numbers: Numbers::default(), intents, metrics }
    }

    /// Serves one gateway until its stream ends.
    pub(crate) async fn serve(&self, mut from: Receiver<SessionEvent>, to: Sender<AssignmentPush>) {
        self.metrics.streams.inc();
        let _counted = Counted(&self.metrics);
        let mut sessions: HashMap<u64, Live> = HashMap::new();
        let mut intents = self.intents.clone();
        let mut key = self.key.clone();
        loop {
            let due: Vec<u64> = tokio::select! {
                event = from.next() => match event {
                    Some(Ok(SessionEvent::Opened(session))) => {
                        let number = session.session;
                        sessions.insert(number, Live { session, sent: None });
                        vec![number]
                    }
                    Some(Ok(SessionEvent::Closed { session })) => {
                        sessions.remove(&session);
                        vec![]
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a gateway's stream broke; it will open another one");
                        return;
                    }
                    None => return,
                },
                changed = intents.changed() => match changed {
                    Ok(()) => sessions.keys().copied().collect(),
                    Err(_) => return,
                },
                () = key.changed() => sessions.keys().copied().collect(),
            };
            for number in due {
                let Some(live) = sessions.get_mut(&number) else { continue };
                let Some((sent, push)) = self.assign(live, &intents.borrow()) else { continue };
                match to.send(&push).await {
                    Ok(()) => {
                        self.metrics.assignments.inc();
                        live.sent = Some(sent);
                    }
                    Err(StreamError::Closed) => return,
                    Err(error) => tracing::error!(%error, device = live.session.device, "an Assignment cannot be sent"),
                }
            }
        }
    }

    /// What the session should be sent, unless it has it already or nothing may be signed for it.
    fn assign(&self, live: &Live, intents: &Intents) -> Option<((Entries, PublicKey), AssignmentPush)> {
        let Session { session, gateway, device, thumbprint, nonce } = &live.session;
        let thumbprint = Thumbprint(*thumbprint);
        let key = match self.key.get() {
            Ok(key) => key,
            Err(no_key) => {
                tracing::debug!(device, %no_key, "nothing can be signed");
                return None;
            }
        };
        let to_send = match intents.entries(device, &thumbprint).map(|entries| bounded(device, entries)) {
            Ok(entries) => (entries, key.public()),
            Err(unknown) => {
                tracing::debug!(device, ?unknown, "nothing to sign");
                return None;
            }
        };
        if live.sent.as_ref() == Some(&to_send) {
            return None;
        }
        let entries = &to_send.0;
        let now = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
        let assignment = Assignment {
            fleet: self.fleet.clone(),
            device: thumbprint,
            nonce: Nonce(*nonce),
            n: self.numbers.next(now),
            gateway: gateway.clone(),
            entries: entries.iter().map(entry).collect(),
        };
        let releases = entries.iter().map(|entry| entry.release.to_string()).collect();
        match assignment.sign(&key) {
            Ok(assignment) => Some((to_send, AssignmentPush { session: *session, assignment, releases })),
            Err(error) => {
                tracing::error!(
                    device, %error, applications = entries.len(),
                    "what this device should run does not fit in an Assignment: let fewer applications target it"
                );
                None
            }
        }
    }
}

/// The first [`MAX_APPLICATIONS`] applications, by their names: what is too much stays away, and the rest goes on.
fn bounded(device: &str, mut entries: Entries) -> Entries {
    if entries.len() > MAX_APPLICATIONS {
        let left_out: Vec<&str> = entries[MAX_APPLICATIONS..].iter().map(|entry| entry.application.as_str()).collect();
        tracing::error!(
            device,
            most = MAX_APPLICATIONS,
            left_out = left_out.join(","),
            "more applications target this device than it can hold; let fewer target it"
        );
        entries.truncate(MAX_APPLICATIONS);
    }
    entries
}

fn entry(entry: &wasmbed_rollout::Entry<wasmbed_api::Digest>) -> Entry {
    Entry {
        application: entry.application.clone(),
        release: ReleaseDigest(*entry.release.as_bytes()),
        state: if entry.suspended { RunState::Suspended } else { RunState::Run },
        restart: entry.restart,
    }
}
