//! New releases on trial, falling back, and what follows a failure.

use wasmbed_agent::{ApplicationEvent, Event, HEALTHY_MS};
use wasmbed_protocol::message::Phase;

use crate::bench::Bench;
use crate::fleet::Built;
use crate::life::{assign, module, running};

fn offer(bench: &mut Bench, built: &Built) {
    assign(bench, &[built]);
    bench.reassign();
}

#[test]
fn a_new_release_that_traps_is_fallen_back_from_and_reported() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap 2"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(1_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
    let report = bench.reported("hello").unwrap();
    assert_eq!(report.phase, Phase::FellBack);
    assert_eq!(report.release, two.digest());
    assert_eq!(report.fallback, Some(one.digest()));
    assert_eq!(report.error.as_deref(), Some("unreachable executed"));
}

#[test]
fn what_was_given_up_is_not_tried_again_by_any_later_session_or_reset() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap 2"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(1_000);
    let tries = |bench: &Bench| bench.started.iter().filter(|start| start.module.digest == module(&two)).count();
    assert_eq!(tries(&bench), 1);
    bench.hang_up();
    bench.advance(60_000);
    bench.reassign();
    bench.reboot();
    bench.advance(60_000);
    assert_eq!(tries(&bench), 1);
    assert_eq!(bench.running("hello"), [module(&one)]);
    assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
}

#[test]
fn a_changed_restart_counter_tries_it_again_without_fetching() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap-after 1000"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(5_000);
    assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
    let fetched = bench.plan.fetched;
    bench.plan.entries[0].restart = 1;
    bench.reassign();
    assert_eq!(bench.running("hello"), [module(&two)]);
    bench.advance(5_000);
    assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
    assert_eq!(bench.plan.fetched, fetched);
}

#[test]
fn another_release_is_tried_after_one_that_failed() {
    let (one, two, three) = (Built::new("hello", "run 1"), Built::new("hello", "trap 2"), Built::new("hello", "run 3"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(1_000);
    offer(&mut bench, &three);
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&three)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn the_fall_back_goes_past_a_release_that_was_never_confirmed() {
    let (one, two, three) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"), Built::new("hello", "trap 3"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(HEALTHY_MS / 2);
    assert_eq!(bench.running("hello"), [module(&two)]);
    offer(&mut bench, &three);
    bench.advance(1_000);
    assert_eq!(bench.running("hello"), [module(&one)], "the release before was never confirmed");
}

#[test]
fn returning_from_main_is_healthy_at_once() {
    let (one, two, three) =
        (Built::new("hello", "run 1"), Built::new("hello", "exit 0"), Built::new("hello", "trap 3"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    assert_eq!(bench.phase("hello"), Some(Phase::Finished));
    offer(&mut bench, &three);
    bench.advance(100);
    let report = bench.reported("hello").unwrap();
    assert_eq!(report.phase, Phase::FellBack);
    assert_eq!(report.fallback, Some(two.digest()));
}

#[test]
fn a_program_that_finished_is_not_started_again_before_a_reset() {
    let one = Built::new("hello", "exit 0");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.advance(100_000);
    assert_eq!(bench.started.len(), 1);
    bench.reboot();
    bench.advance(1_000);
    assert_eq!(bench.started.len(), 2);
}

#[test]
fn a_module_that_cannot_be_instantiated_falls_back_too() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "refuse"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(100);
    assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_first_release_that_fails_is_restarted_as_its_policy_says_and_then_given_up() {
    let one = Built::new("hello", "trap");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.advance(600_000);
    assert_eq!(bench.started.len(), 1 + one.release.restart.max as usize);
    let report = bench.reported("hello").unwrap();
    assert_eq!(report.phase, Phase::Failed);
    assert_eq!(report.restarts, one.release.restart.max);
    assert_eq!(report.error.as_deref(), Some("unreachable executed"));
}

#[test]
fn restarts_wait_longer_and_longer() {
    let mut one = Built::new("hello", "trap");
    one.release.restart.max = 100;
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.advance(60_000);
    let first_minute = bench.started.len();
    assert!((5..=8).contains(&first_minute), "{first_minute} starts in the first minute");
    bench.advance(600_000);
    let later = bench.started.len() - first_minute;
    assert!((9..=11).contains(&later), "{later} starts in ten minutes");
}

#[test]
fn a_policy_without_restarts_gives_up_at_once() {
    let mut one = Built::new("hello", "exit 3");
    one.release.restart.auto = false;
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.advance(60_000);
    assert_eq!(bench.started.len(), 1);
    let report = bench.reported("hello").unwrap();
    assert_eq!((report.phase, report.error.as_deref()), (Phase::Failed, Some("exited with code 3")));
}

#[test]
fn a_confirmed_release_that_fails_later_is_restarted_and_not_fallen_back_from() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap-after 20000"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(20_500);
    assert_eq!(bench.phase("hello"), Some(Phase::Restarting));
    bench.advance(5_000);
    assert_eq!(bench.running("hello"), [module(&two)]);
}

#[test]
fn failures_long_ago_do_not_count() {
    let one = Built::new("hello", "trap-after 100000");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.advance(10 * 110_000);
    assert!(bench.started.len() > 8, "it was given up after {} starts", bench.started.len());
}

#[test]
fn a_release_that_takes_the_device_down_is_fallen_back_from_after_a_few_boots() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    for _ in 0..10 {
        bench.advance(HEALTHY_MS / 2);
        bench.reboot();
    }
    bench.advance(1_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
    let report = bench.reported("hello").unwrap();
    assert_eq!(report.phase, Phase::FellBack);
    assert!(report.error.unwrap().contains("the device restarted"));
}

#[test]
fn a_first_release_is_never_given_up_for_power_cuts() {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    for _ in 0..10 {
        bench.advance(HEALTHY_MS / 2);
        bench.reboot();
    }
    bench.advance(10_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn a_neighbours_failure_changes_nothing_for_the_others() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("other", "trap"));
    let mut bench = running(&one);
    assign(&mut bench, &[&one, &two]);
    bench.reassign();
    bench.advance(100_000);
    assert_eq!(bench.phase("other"), Some(Phase::Failed));
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
    assert_eq!(bench.started.iter().filter(|start| start.application == "hello").count(), 1);
}

#[test]
fn what_an_old_run_still_says_changes_nothing() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(10_000);
    let old = bench.started[0].instance;
    for event in [
        ApplicationEvent::Trapped { reason: "late".into() },
        ApplicationEvent::Exited { code: 1 },
        ApplicationEvent::Stopped,
        ApplicationEvent::Started,
    ] {
        bench.hand(Event::Application { instance: old, event });
    }
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&two)]);
    assert_eq!(bench.started.len(), 2);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn a_damaged_module_is_bridged_by_the_release_before_and_fetched_again() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    offer(&mut bench, &two);
    bench.advance(HEALTHY_MS / 2);
    let place = bench.started[1].module.offset as usize + 100;
    bench.flash.medium_mut()[place] ^= 0x10;
    bench.online = false;
    bench.reboot();
    bench.advance(60_000);
    assert!(bench.said("a stored module is damaged"), "{:?}", bench.log);
    assert_eq!(bench.running("hello"), [module(&one)]);
    bench.online = true;
    bench.advance(60_000);
    assert_eq!(bench.running("hello"), [module(&two)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}
