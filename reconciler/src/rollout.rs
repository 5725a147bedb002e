//! Writes down where an application's devices are between its Releases; what to write is decided by `wasmbed-rollout`.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use wasmbed_api::{Digest, FailedRelease, RolloutPhase, RolloutSpec, RolloutStatus, Time, labels};
use wasmbed_rollout::{Observed, Offer, Position, State};

/// What the targets of an application report of one Release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Devices it is meant for.
    pub(crate) targets: u32,
    /// Of these, in session.
    pub(crate) connected: u32,
    /// Of these, running the Release, or done with it.
    pub(crate) updated: u32,
    /// Of these, running the application, whichever Release.
    pub(crate) running: u32,
    /// Of these, on which it failed.
    pub(crate) failed: u32,
}

/// The decisions after the repository asked for `release` and the targets reported what `counts` gives for a Release.
pub(crate) fn next(
    before: Option<&RolloutSpec>,
    release: Digest,
    retry: u32,
    mut counts: impl FnMut(&Digest) -> Counts,
    now: Timestamp,
) -> RolloutSpec {
    let nothing = RolloutSpec::default();
    let before = before.unwrap_or(&nothing);
    let mut observe = |state: State<Digest>| match &state.candidate {
        Some(candidate) => {
            let counts = counts(candidate);
            state.observed(&Observed {
                targets: counts.targets as usize,
                connected: counts.connected as usize,
                running_candidate: counts.updated as usize,
            })
        }
        None => state,
    };
    // What ran well is known as such even when the next revision came at the same moment.
    let offered = observe(state_of(before)).offered(&Offer { release, retry: retry > before.retry });
    let after = observe(offered);
    let same_candidate = after.candidate == before.candidate;
    RolloutSpec {
        stable: after.stable,
        candidate: after.candidate,
        failed: kept_failures(&before.failed, &after.failed),
        position: after.position.bound(),
        started_at: match after.candidate {
            None => None,
            Some(_) if same_candidate => before.started_at.clone(),
            Some(_) => Some(Time(now)),
        },
        judged_failed: if same_candidate { before.judged_failed } else { 0 },
        retry,
    }
}

/// What is seen of a rollout.
pub(crate) fn status(spec: &RolloutSpec, counts: &Counts, generation: Option<i64>) -> RolloutStatus {
    RolloutStatus {
        phase: Some(if spec.candidate.is_some() { RolloutPhase::Progressing } else { RolloutPhase::Complete }),
        targets: Some(counts.targets),
        connected: Some(counts.connected),
        updated: Some(counts.updated),
        failed: Some(counts.failed),
        observed_generation: generation,
        conditions: Vec::new(),
    }
}

/// The Rollout object.
pub(crate) fn manifest(namespace: &str, fleet: &str, application: &str, spec: &RolloutSpec) -> Value {
    json!({
        "apiVersion": "wasmbed.github.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": application,
            "namespace": namespace,
            "labels": { labels::FLEET: fleet, labels::APPLICATION: application },
        },
        "spec": spec,
    })
}

fn state_of(spec: &RolloutSpec) -> State<Digest> {
    State {
        stable: spec.stable,
        candidate: spec.candidate,
        failed: spec.failed.iter().map(|failed| failed.release).collect(),
        position: Position::new(spec.position),
    }
}

fn kept_failures(before: &[FailedRelease], after: &[Digest]) -> Vec<FailedRelease> {
    after
        .iter()
        .map(|release| {
            let known = before.iter().find(|failed| failed.release == *release).cloned();
            known.unwrap_or(FailedRelease { release: *release, reason: None, at: None })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(connected: u32, updated: u32) -> impl Fn(&Digest) -> Counts {
        move |_| Counts { targets: 3, connected, updated, ..Counts::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_release_is_a_candidate_until_its_connected_targets_run_it() {
        let first = Digest::of(b"1");
        let offered = next(None, first, 0, counts(0, 0), at(1));
        assert_eq!((offered.stable, offered.candidate), (None, Some(first)));
        assert_eq!(offered.started_at, Some(Time(at(1))));
        let waiting = next(Some(&offered), first, 0, counts(2, 1), at(2));
        assert_eq!(waiting, offered, "nothing new, nothing written");
        let stable = next(Some(&waiting), first, 0, counts(2, 2), at(3));
        assert_eq!((stable.stable, stable.candidate), (Some(first), None));
        assert!(stable.started_at.is_none());
        assert_eq!(next(Some(&stable), first, 0, counts(0, 0), at(4)), stable);
    }

    #[test]
    fn a_revert_in_mid_rollout_returns_to_the_stable_release_at_once() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let stable = RolloutSpec { stable: Some(old), ..RolloutSpec::default() };
        let moving = next(Some(&stable), new, 0, counts(2, 1), at(1));
        assert_eq!(moving.candidate, Some(new));
        assert_eq!(next(Some(&moving), old, 0, counts(2, 1), at(2)), stable);
    }

    #[test]
    fn a_failed_release_waits_for_a_raised_retry() {
        let bad = Digest::of(b"bad");
        let failed = FailedRelease { release: bad, reason: Some("trap".to_owned()), at: None };
        let spec = RolloutSpec { stable: Some(Digest::of(b"good")), failed: vec![failed], ..RolloutSpec::default() };
        assert_eq!(next(Some(&spec), bad, 0, counts(1, 0), at(1)), spec);
        let retried = next(Some(&spec), bad, 1, counts(1, 0), at(1));
        assert_eq!((retried.candidate, retried.retry), (Some(bad), 1));
        assert_eq!(next(Some(&retried), bad, 1, counts(1, 0), at(2)), retried);
    }
}
