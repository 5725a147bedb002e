//! More applications than the device has memory for.

use wasmbed_agent::HEALTHY_MS;
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::message::Phase;

use crate::bench::Bench;
use crate::fleet::{Built, Fleet};
use crate::life::{assign, module};

/// Applications `a0`, `a1` and so on, each with a module of its own.
fn applications(count: usize) -> Vec<Built> {
    (0..count).map(|number| Built::new(&format!("a{number}"), &format!("run {number}"))).collect()
}

/// What an application takes of the device's memory.
fn memory(built: &Built) -> usize {
    let signed = built.release.sign(&Fleet::default().release).expect("a small Release");
    wasmbed_agent::memory::of(&built.release, signed.len())
}

/// A bench whose device has memory for so many applications of those that [`applications`] makes.
fn keeping(most: usize) -> Bench {
    with_memory(most * memory(&applications(1)[0]))
}

/// A bench whose device has so many bytes for applications.
fn with_memory(bytes: usize) -> Bench {
    let mut bench = Bench::new();
    bench.options.memory_for_applications = bytes;
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

/// One of the application `name` with so much configuration.
fn configured(name: &str, bytes: usize) -> Built {
    let mut built = Built::new(name, &format!("run {name} {bytes}"));
    built.release.config.env.insert("text".into(), "x".repeat(bytes));
    built
}

#[test]
fn configuration_takes_memory_too_and_in_whatever_order_releases_come_the_first_by_name_run() {
    let all = [configured("a", 10), configured("b", 2_000), configured("c", 10)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = with_memory(memory(&all[0]) + memory(&all[1]) - 1);
        assign(&mut bench, &order.map(|at| &all[at]));
        bench.advance(60_000);
        assert_eq!(phases(&bench, &all), [Some(Phase::Running), Some(Phase::Failed), Some(Phase::Failed)], "{order:?}");
        let error = bench.reported("b").and_then(|report| report.error).expect("a reason");
        assert!(error.contains("memory for 1 of them") && error.contains("less configuration"), "{error}");
        assert_eq!(bench.hellos(), 1, "there is nothing to ask for anew");
    }
}

#[test]
fn less_configuration_makes_room_and_more_takes_it() {
    let small = [configured("a", 10), configured("b", 10), configured("c", 10)];
    let large = configured("a", 2_000);
    let mut bench = with_memory(memory(&large) + memory(&small[1]));
    assign(&mut bench, &[&large, &small[1], &small[2]]);
    bench.advance(60_000);
    let failed_from = |bench: &Bench| {
        let phases = phases(bench, &small);
        let running = phases.iter().take_while(|phase| **phase == Some(Phase::Running)).count();
        assert!(phases[running..].iter().all(|phase| *phase == Some(Phase::Failed)), "{phases:?}");
        running
    };
    let few = failed_from(&bench);
    assert_eq!(few, 2);

    // Its revert makes room at once: with a Release that has proven healthy before, nothing has to be kept to fall back to.
    assign(&mut bench, &small.iter().collect::<Vec<_>>());
    bench.reassign();
    let sessions = bench.hellos();
    bench.advance(60_000);
    assert_eq!(failed_from(&bench), 3, "{:?}", bench.log);
    assert!(bench.hellos() <= sessions + 1, "it asked for the Release at most once");
    bench.reboot();
    bench.advance(60_000);
    assert_eq!(failed_from(&bench), 3);

    assign(&mut bench, &[&large, &small[1], &small[2]]);
    bench.reassign();
    bench.advance(60_000);
    assert_eq!(failed_from(&bench), few, "the later ones by name make room");
    assert_eq!(bench.running("a"), [module(&large)]);
}

#[test]
fn a_release_for_which_the_device_is_too_small_alone_is_refused_with_the_numbers() {
    let large = configured("a", 2_000);
    let mut bench = with_memory(memory(&large) - 1);
    assign(&mut bench, &[&large]);
    bench.advance(60_000);
    let error = bench.reported("a").and_then(|report| report.error).expect("a reason");
    assert!(error.contains("1 applications are assigned to this device, which has memory for 0"), "{error}");
    assert_eq!(bench.hellos(), 1);
    bench.options.memory_for_applications += 1;
    bench.reboot();
    bench.advance(60_000);
    assert_eq!(bench.phase("a"), Some(Phase::Running), "{:?}", bench.log);
}

#[test]
fn a_new_release_keeps_the_larger_one_before_until_it_has_proven_healthy() {
    let (large, small, other) = (configured("a", 2_000), configured("a", 10), configured("b", 10));
    let mut bench = with_memory(memory(&large) + memory(&other) - 1);
    assign(&mut bench, &[&large, &other]);
    bench.advance(HEALTHY_MS + 60_000);
    assert_eq!((bench.phase("a"), bench.phase("b")), (Some(Phase::Running), Some(Phase::Failed)));
    assign(&mut bench, &[&small, &other]);
    bench.reassign();
    bench.advance(HEALTHY_MS / 2);
    assert_eq!(bench.running("a"), [module(&small)]);
    assert_eq!(bench.phase("b"), Some(Phase::Failed), "what a would fall back to is kept");
    bench.advance(HEALTHY_MS + 60_000);
    assert_eq!((bench.phase("a"), bench.phase("b")), (Some(Phase::Running), Some(Phase::Running)), "{:?}", bench.log);
    assert_eq!(bench.running("b"), [module(&other)]);
}

#[test]
fn a_release_that_is_not_believed_does_not_end_session_after_session() {
    let all = [configured("a", 2_000), configured("b", 10)];
    let mut bench = with_memory(memory(&all[0]));
    assign(&mut bench, &[&all[0], &all[1]]);
    bench.advance(60_000);
    assert_eq!(bench.phase("b"), Some(Phase::Failed));
    // There is room for it now, but its signature is broken on the way.
    bench.plan.tamper = Some(Box::new(|_, answers| {
        answers.retain(|answer| !matches!(answer, wasmbed_protocol::GatewayMessage::SignedRelease(_)));
    }));
    assign(&mut bench, &[&configured("a", 10), &all[1]]);
    bench.reassign();
    bench.advance(600_000);
    assert!(bench.hellos() <= 3, "{} sessions", bench.hellos());
}
