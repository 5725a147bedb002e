//! More applications than the device has memory for.

use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::message::Phase;

use crate::bench::Bench;
use crate::fleet::Built;
use crate::life::{assign, module};

/// Applications `a0`, `a1` and so on, each with a module of its own.
fn applications(count: usize) -> Vec<Built> {
    (0..count).map(|number| Built::new(&format!("a{number}"), &format!("run {number}"))).collect()
}

/// A bench whose device keeps so many applications.
fn keeping(most: usize) -> Bench {
    let mut bench = Bench::new();
    bench.options.max_applications = most;
    bench.reboot();
    bench
}

fn phases(bench: &Bench, all: &[Built]) -> Vec<Option<Phase>> {
    all.iter().map(|built| bench.phase(&built.release.application)).collect()
}

#[test]
fn of_too_many_applications_the_first_by_name_run_and_the_others_say_why_not() {
    let all = applications(5);
    let mut bench = keeping(3);
    // A gateway sends them in any order.
    assign(&mut bench, &[&all[4], &all[2], &all[3], &all[0], &all[1]]);
    bench.advance(20_000);
    let (running, failed) = (Some(Phase::Running), Some(Phase::Failed));
    assert_eq!(phases(&bench, &all), [running, running, running, failed, failed], "{:?}", bench.log);
    for name in ["a3", "a4"] {
        let error = bench.reported(name).and_then(|report| report.error).expect("a reason");
        assert!(error.contains("5 applications are assigned") && error.contains("memory for 3"), "{error}");
    }
    let fetched: usize = all[..3].iter().map(|built| built.module.len()).sum();
    assert_eq!(bench.plan.fetched, fetched, "nothing is fetched that does not run");

    // The gateway hears of all of them in every sign of life, and again in a new session.
    let told = |bench: &Bench| {
        let heartbeat = bench.plan.heard.iter().rev().find_map(|message| match message {
            DeviceMessage::Heartbeat(heartbeat) => Some(heartbeat.applications.len()),
            _ => None,
        });
        let hello = bench.plan.heard.iter().rev().find_map(|message| match message {
            DeviceMessage::Hello(hello) => Some(hello.running.len()),
            _ => None,
        });
        (hello, heartbeat)
    };
    assert_eq!(told(&bench).1, Some(5));
    bench.hang_up();
    bench.advance(60_000);
    assert_eq!(told(&bench), (Some(5), Some(5)));
    let reports = bench.reports().len();
    bench.advance(60_000);
    assert_eq!(bench.reports().len(), reports, "what does not change is not told again");
}

#[test]
fn when_one_leaves_the_next_by_name_takes_its_place_and_gives_it_back() {
    let all = applications(4);
    let mut bench = keeping(2);
    assign(&mut bench, &all.iter().collect::<Vec<_>>());
    bench.advance(20_000);
    assert_eq!(bench.phase("a1"), Some(Phase::Running));
    assert_eq!(bench.phase("a2"), Some(Phase::Failed));
    // The gateway does not send what an earlier Assignment of the session named already.
    let sent = bench.plan.releases.clone();
    assign(&mut bench, &[&all[0], &all[2], &all[3]]);
    bench.plan.releases.clear();
    bench.reassign();
    bench.plan.releases = sent;
    let sessions = bench.hellos();
    bench.advance(60_000);
    assert_eq!(bench.hellos(), sessions + 1, "it asked for the Release in a new session, once");
    assert_eq!(bench.running("a2"), [module(&all[2])]);
    assert_eq!(bench.phase("a2"), Some(Phase::Running));
    assert!(bench.running("a1").is_empty());
    assert_eq!(bench.phase("a3"), Some(Phase::Failed));
    let error = bench.reported("a3").and_then(|report| report.error).expect("a reason");
    assert!(error.contains("3 applications are assigned"), "the numbers are those of now: {error}");

    // Back again: what has to make way is stopped and erased, and says why.
    assign(&mut bench, &all.iter().collect::<Vec<_>>());
    bench.reassign();
    bench.advance(60_000);
    assert_eq!(bench.running("a1"), [module(&all[1])]);
    assert!(bench.running("a2").is_empty());
    assert_eq!(bench.phase("a2"), Some(Phase::Failed));
    assert_eq!(bench.stored().len(), 2, "its module is erased");

    // A reset changes nothing of it.
    bench.reboot();
    bench.advance(60_000);
    assert_eq!(bench.running("a1"), [module(&all[1])]);
    assert_eq!(bench.phase("a2"), Some(Phase::Failed));

    assign(&mut bench, &[&all[0], &all[1]]);
    bench.reassign();
    bench.advance(10_000);
    assert_eq!(bench.phase("a2"), Some(Phase::Erased));
    assert_eq!(bench.phase("a3"), Some(Phase::Erased));
}

#[test]
fn releases_that_no_assignment_follows_keep_no_place() {
    let all = applications(4);
    let mut bench = keeping(2);
    // Two Releases come, and the session ends before their Assignment.
    all[..2].iter().for_each(|built| bench.plan.publish(built));
    bench.plan.entries = all[..2].iter().map(Built::entry).collect();
    bench.plan.tamper = Some(Box::new(|_, answers| {
        answers.retain(|answer| !matches!(answer, wasmbed_protocol::GatewayMessage::SignedAssignment(_)));
    }));
    bench.advance(5_000);
    bench.plan.tamper = None;
    bench.hang_up();
    assign(&mut bench, &[&all[2], &all[3]]);
    bench.advance(60_000);
    assert_eq!(phases(&bench, &all[2..]), [Some(Phase::Running); 2], "{:?}", bench.log);
}
