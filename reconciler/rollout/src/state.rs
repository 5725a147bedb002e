//! The state of a rollout, and the steps it may take.

use std::fmt::Display;

use crate::Position;

/// What a `Rollout` decides; `R` names a Release, and its text decides the devices' places.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State<R> {
    /// The Release that ran well on the application's devices; none before the first one has.
    pub stable: Option<R>,
    /// The Release the devices are moving to; none when they are all meant to run the stable one.
    pub candidate: Option<R>,
    /// Releases that failed here; they are not offered again unless a person asks.
    pub failed: Vec<R>,
    /// Which devices run the candidate.
    pub position: Position,
}

impl<R> Default for State<R> {
    fn default() -> Self {
        Self { stable: None, candidate: None, failed: Vec::new(), position: Position::NONE }
    }
}

/// A Release that the repository now wants to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer<R> {
    /// The Release.
    pub release: R,
    /// A person raised `spec.rollout.retry`: it is offered even if it failed.
    pub retry: bool,
}

/// What the application's targets report; devices that are not connected stand in none of the counts but `targets`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    /// Devices the application is meant for, connected or not.
    pub targets: usize,
    /// Targets in session.
    pub connected: usize,
    /// Targets in session on which the candidate runs, or has ended well.
    pub running_candidate: usize,
}

impl<R: Clone + PartialEq + Display> State<R> {
    /// The state after the repository asked for `offer`; the same state if that changes nothing.
    ///
    /// The stable Release again withdraws the candidate: every device returns to it at once.
    #[must_use]
    pub fn offered(&self, offer: &Offer<R>) -> Self {
        let mut next = self.clone();
        if offer.retry {
            next.failed.retain(|failed| *failed != offer.release);
        }
        if self.stable.as_ref() == Some(&offer.release) {
            next.candidate = None;
            next.position = Position::NONE;
        } else if self.candidate.as_ref() != Some(&offer.release) && !next.failed.contains(&offer.release) {
            next.candidate = Some(offer.release.clone());
            next.position = Position::ALL;
        }
        next
    }

    /// The state after the targets reported `observed`: the candidate becomes stable when every connected target runs
    /// it and at least one does, or when the application has no targets at all.
    #[must_use]
    pub fn observed(&self, observed: &Observed) -> Self {
        let everywhere = observed.connected > 0 && observed.running_candidate >= observed.connected;
        if self.candidate.is_none() || self.position < Position::ALL || !(everywhere || observed.targets == 0) {
            return self.clone();
        }
        let failed = self.failed.iter().filter(|failed| Some(*failed) != self.candidate.as_ref()).cloned().collect();
        Self { stable: self.candidate.clone(), candidate: None, failed, position: Position::NONE }
    }

    /// The Release that `device` should run; none where the application has none yet.
    pub fn release_of(&self, device: &str) -> Option<&R> {
        match (&self.stable, &self.candidate) {
            (stable, None) => stable.as_ref(),
            (None, Some(candidate)) => Some(candidate),
            (Some(stable), Some(candidate)) => {
                Some(if self.position.includes(device, &stable.to_string()) { candidate } else { stable })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(release: &'static str) -> Offer<&'static str> {
        Offer { release, retry: false }
    }

    fn everywhere() -> Observed {
        Observed { targets: 3, connected: 2, running_candidate: 2 }
    }

    fn release(state: &State<&'static str>) -> Option<&'static str> {
        state.release_of("device").copied()
    }

    #[test]
    fn the_first_release_goes_to_every_device_and_becomes_stable_once_it_runs() {
        let offered = State::default().offered(&offer("a"));
        assert_eq!(release(&offered), Some("a"));
        assert_eq!(offered.stable, None);
        let stable = offered.observed(&everywhere());
        assert_eq!(stable.stable, Some("a"));
        assert_eq!(stable.candidate, None);
        assert_eq!(release(&stable), Some("a"));
    }

    #[test]
    fn a_candidate_waits_for_the_connected_targets_and_not_for_those_that_are_away() {
        let offered = State { stable: Some("a"), ..State::default() }.offered(&offer("b"));
        for (connected, running_candidate) in [(0, 0), (2, 0), (2, 1)] {
            let observed = Observed { targets: 5, connected, running_candidate };
            assert_eq!(offered.observed(&observed), offered, "{observed:?}");
        }
        assert_eq!(offered.observed(&everywhere()).stable, Some("b"));
    }

    #[test]
    fn an_application_for_no_device_is_stable_at_once() {
        let offered = State::default().offered(&offer("a"));
        assert_eq!(offered.observed(&Observed::default()).stable, Some("a"));
    }

    #[test]
    fn the_stable_release_again_withdraws_the_candidate() {
        let moving = State { stable: Some("a"), ..State::default() }.offered(&offer("b"));
        assert_eq!(release(&moving), Some("b"));
        let back = moving.offered(&offer("a"));
        assert_eq!((back.candidate, back.position), (None, Position::NONE));
        assert_eq!(release(&back), Some("a"));
    }

    #[test]
    fn a_failed_release_is_not_offered_again_unless_a_person_asks() {
        let state = State { stable: Some("a"), failed: vec!["b"], ..State::default() };
        assert_eq!(state.offered(&offer("b")), state);
        let retried = state.offered(&Offer { retry: true, ..offer("b") });
        assert_eq!(retried.candidate, Some("b"));
        assert!(retried.failed.is_empty());
    }

    #[test]
    fn a_device_above_the_position_stays_with_the_stable_release() {
        let state = State { stable: Some("a"), candidate: Some("b"), failed: vec![], position: Position::NONE };
        assert_eq!(release(&state), Some("a"));
        assert_eq!(state.observed(&everywhere()), state, "a rollout that is not everywhere is not finished");
    }

    fn any_state() -> impl Strategy<Value = State<u8>> {
        let release = 0_u8..4;
        (
            proptest::option::of(release.clone()),
            proptest::option::of(release.clone()),
            proptest::collection::vec(release, 0..3),
            0_u64..=1 << 32,
        )
            .prop_map(|(stable, candidate, failed, bound)| State {
                stable,
                candidate,
                failed,
                position: Position::new(bound),
            })
    }

    proptest! {
        #[test]
        fn every_step_repeated_changes_nothing(
            state in any_state(), release in 0_u8..4, retry: bool, targets in 0_usize..4, connected in 0_usize..4,
            running_candidate in 0_usize..4,
        ) {
            let offer = Offer { release, retry };
            let once = state.offered(&offer);
            prop_assert_eq!(&once.offered(&offer), &once);
            let observed = Observed { targets, connected, running_candidate };
            let once = state.observed(&observed);
            prop_assert_eq!(&once.observed(&observed), &once);
        }

        #[test]
        fn a_device_runs_the_stable_release_or_the_candidate_and_nothing_else(state in any_state(), device in "[a-z]{1,6}") {
            let runs = state.release_of(&device).copied();
            prop_assert!(runs == state.stable || runs == state.candidate);
            prop_assert_eq!(runs.is_none(), state.stable.is_none() && state.candidate.is_none());
        }
    }
}
