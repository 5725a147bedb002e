use wasmbed_api::{Digest, RolloutSpec};
use wasmbed_builder::FailureReason;

use super::*;
use crate::build::Module;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn built() -> BuildState {
    BuildState::Built(Module { digest: Digest::of(b"m"), size: 160, memory: 20 << 10 })
}

fn of(build: Option<&BuildState>, rollout: Option<&RolloutSpec>, counts: Counts, suspend: bool) -> ApplicationStatus {
    application(&ApplicationFacts {
        spec: &ApplicationSpec { suspend: Some(suspend), ..ApplicationSpec::default() },
        before: &ApplicationStatus::default(),
        generation: Some(3),
        build,
        refused: None,
        rollout,
        counts,
        running_on: Vec::new(),
        error: Some("on d1: trap".to_owned()),
        revision: None,
        head: "0123456789abcdef",
        deprecated: None,
        now: at(5),
    })
}

fn counts(targets: u32, connected: u32, updated: u32, failed: u32) -> Counts {
    Counts { targets, connected, updated, running: updated, failed }
}

#[test]
fn a_phase_for_every_stage_of_an_application() {
    use ApplicationPhase as Phase;
    let rollout = RolloutSpec { candidate: Some(Digest::of(b"r")), ..RolloutSpec::default() };
    let failure = BuildState::Failed(
        Failure { reason: FailureReason::CompileFailed, message: "error[E0425]".to_owned(), location: None }.into(),
    );
    let cases = [
        (Some(&BuildState::Building), None, counts(2, 2, 0, 0), false, Phase::Creating),
        (Some(&failure), None, counts(2, 2, 0, 0), false, Phase::Failed),
        (Some(&failure), Some(&rollout), counts(2, 2, 2, 0), false, Phase::Running),
        (Some(&built()), Some(&rollout), counts(2, 0, 0, 0), false, Phase::Deploying),
        (Some(&built()), Some(&rollout), counts(2, 2, 1, 0), false, Phase::Deploying),
        (Some(&built()), Some(&rollout), counts(3, 2, 2, 0), false, Phase::Running),
        (Some(&built()), Some(&rollout), counts(2, 2, 1, 1), false, Phase::PartiallyRunning),
        (Some(&built()), Some(&rollout), counts(2, 2, 0, 2), false, Phase::Failed),
        (Some(&built()), Some(&rollout), counts(2, 2, 2, 0), true, Phase::Stopping),
        (Some(&built()), Some(&rollout), counts(2, 2, 0, 0), true, Phase::Stopped),
    ];
    for (number, (build, rollout, counts, suspend, phase)) in cases.into_iter().enumerate() {
        assert_eq!(of(build, rollout, counts, suspend).phase, Some(phase), "case {number}");
    }
}

#[test]
fn a_compile_error_is_told_with_its_commit_while_the_old_module_runs_on() {
    let failure = BuildState::Failed(
        Failure { reason: FailureReason::CompileFailed, message: "error[E0425]: no `x`".to_owned(), location: None }
            .into(),
    );
    let rollout = RolloutSpec { stable: Some(Digest::of(b"r")), ..RolloutSpec::default() };
    let status = of(Some(&failure), Some(&rollout), counts(1, 1, 1, 0), false);
    let built = wasmbed_api::condition(&status.conditions, "Built").expect("set");
    assert_eq!((&*built.status, &*built.reason), ("False", "CompileFailed"));
    assert!(built.message.contains("0123456789") && built.message.contains("E0425"), "{}", built.message);
    assert!(built.message.contains("runs on"), "{}", built.message);
}

#[test]
fn an_application_applied_by_hand_is_told_so() {
    let status = of(None, None, Counts::default(), false);
    assert!(wasmbed_api::condition(&status.conditions, "NotInGit").is_some());
    assert!(wasmbed_api::condition(&status.conditions, "Ready").is_none());
}

#[test]
fn a_condition_keeps_its_time_while_it_stays_the_same() {
    let facts = |before: &[Condition], now| {
        plain(&PlainFacts {
            before,
            generation: Some(1),
            in_git: false,
            deprecated: None,
            cannot_run: cannot_run(McuType::Esp32DevkitC),
            now,
        })
    };
    let first = facts(&[], at(1)).expect("two conditions");
    assert_eq!(first.len(), 2);
    assert_eq!(facts(&first, at(2)), None, "nothing to write");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let cut = bounded("é".repeat(MESSAGE));
    assert!(cut.len() <= MESSAGE && cut.ends_with('…'));
}
