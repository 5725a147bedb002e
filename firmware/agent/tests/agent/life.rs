//! What a device does from day to day.

use wasmbed_agent::store::{Area, Geometry};
use wasmbed_agent::{ApplicationEvent, Event, HeldBack, Level};
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::message::{Phase, Throttled};
use wasmbed_protocol::signed::RunState;

use crate::bench::Bench;
use crate::fleet::{Built, Fleet};

/// A bench whose device runs this, confirmed.
pub fn running(built: &Built) -> Bench {
    let mut bench = Bench::new();
    assign(&mut bench, &[built]);
    bench.advance(10_000);
    assert_eq!(bench.phase(&built.release.application), Some(Phase::Running), "{:?}", bench.log);
    bench
}

/// Makes these the plan, without telling the device.
pub fn assign(bench: &mut Bench, built: &[&Built]) {
    built.iter().for_each(|built| bench.plan.publish(built));
    bench.plan.entries = built.iter().map(|built| built.entry()).collect();
}

pub fn module(built: &Built) -> [u8; 32] {
    built.release.artifacts[0].digest.0
}

#[test]
fn an_assigned_application_is_fetched_verified_started_and_confirmed() {
    let one = Built::new("hello", "run 1");
    let bench = running(&one);
    let start = &bench.started[0];
    assert_eq!(start.application, "hello");
    assert_eq!(start.arguments, ["one"]);
    assert_eq!(start.environment, [("KEY".to_string(), "value".to_string())]);
    assert_eq!(start.limits, one.release.limits);
    assert_eq!(start.capabilities, one.release.capabilities);
    assert_eq!(bench.started.len(), 1);
    let phases: Vec<Phase> = bench.reports().iter().map(|report| report.phase).collect();
    assert_eq!(phases, [Phase::Fetching, Phase::Starting, Phase::Running]);
    assert_eq!(bench.plan.fetched, one.module.len());
}

#[test]
fn a_new_release_is_whole_before_the_old_one_is_stopped() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    // The last bytes never come: the old one runs on.
    bench.plan.tamper = Some(Box::new(|message, answers| {
        if matches!(message, DeviceMessage::Fetch(fetch) if fetch.offset > 0) {
            answers.clear();
        }
    }));
    bench.reassign();
    bench.advance(5_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Fetching));
    bench.plan.tamper = None;
    bench.advance(30_000);
    assert_eq!(bench.running("hello"), [module(&two)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn the_gap_of_a_swap_is_a_stop_and_a_start_and_nothing_between() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    bench.reassign();
    let told = bench.trace.iter().filter(|line| !line.starts_with("send")).rev().take(2).collect::<Vec<_>>();
    assert_eq!(told, ["start hello", "stop 1"]);
}

#[test]
fn a_revert_fetches_nothing() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    bench.reassign();
    bench.advance(10_000);
    let fetched = bench.plan.fetched;
    assign(&mut bench, &[&one]);
    bench.reassign();
    assert_eq!(bench.running("hello"), [module(&one)]);
    assert_eq!(bench.plan.fetched, fetched);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn a_release_that_changes_only_its_configuration_fetches_nothing() {
    let one = Built::new("hello", "run 1");
    let mut two = one.clone();
    two.release.config.env.insert("KEY".into(), "other".into());
    let mut bench = running(&one);
    let fetched = bench.plan.fetched;
    assign(&mut bench, &[&two]);
    bench.reassign();
    assert_eq!(bench.started.len(), 2);
    assert_eq!(bench.started[1].environment, [("KEY".to_string(), "other".to_string())]);
    assert_eq!(bench.plan.fetched, fetched);
}

#[test]
fn what_was_accepted_last_runs_after_a_reset_without_any_gateway() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("other", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&one, &two]);
    bench.reassign();
    bench.advance(10_000);
    bench.online = false;
    bench.reboot();
    bench.run();
    assert_eq!(bench.running("hello"), [module(&one)]);
    assert_eq!(bench.running("other"), [module(&two)]);
}

#[test]
fn the_same_assignment_in_a_new_session_changes_nothing_and_writes_nothing() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let before = bench.flash.medium().clone();
    for _ in 0..3 {
        bench.hang_up();
        bench.advance(10_000);
    }
    assert_eq!(bench.hellos(), 4);
    assert_eq!(bench.started.len(), 1);
    assert!(*bench.flash.medium() == before, "the flash was written for nothing");
}

#[test]
fn what_the_assignment_does_not_name_is_stopped_and_erased() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("other", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&one, &two]);
    bench.reassign();
    bench.advance(10_000);
    assign(&mut bench, &[&two]);
    bench.reassign();
    bench.advance(1_000);
    assert!(bench.running("hello").is_empty());
    assert_eq!(bench.running("other"), [module(&two)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Erased));
    let text = &one.module[..200];
    assert!(!bench.flash.medium().windows(200).any(|bytes| bytes == text), "the module is still in the flash");
}

#[test]
fn a_suspended_application_is_held_ready_and_does_not_run() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    bench.plan.entries[0].state = RunState::Suspended;
    bench.reassign();
    bench.advance(1_000);
    assert!(bench.running("hello").is_empty());
    assert_eq!(bench.phase("hello"), Some(Phase::Suspended));
    let fetched = bench.plan.fetched;
    bench.plan.entries[0].state = RunState::Run;
    bench.reassign();
    assert_eq!(bench.running("hello"), [module(&two)]);
    assert_eq!(bench.plan.fetched, fetched, "it was not held ready");
}

#[test]
fn a_changed_restart_counter_starts_it_anew() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.plan.entries[0].restart = 1;
    bench.reassign();
    bench.advance(1_000);
    assert_eq!(bench.started.len(), 2);
    assert_eq!(bench.stopped.len(), 1);
    bench.reboot();
    bench.advance(5_000);
    assert_eq!(bench.started.len(), 3, "the counter is remembered");
}

#[test]
fn a_download_goes_on_where_it_stopped_in_the_next_session() {
    let one = Built::sized("hello", "run 1", 9_000);
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.plan.tamper = Some(Box::new(|message, answers| {
        if matches!(message, DeviceMessage::Fetch(fetch) if fetch.offset >= 4_096) {
            answers.clear();
        }
    }));
    bench.advance(1_000);
    assert_eq!(bench.plan.fetched, 4_096 + 2_048);
    bench.hang_up();
    bench.plan.tamper = None;
    bench.advance(10_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
    assert_eq!(bench.plan.fetched, 9_000 + 2_048, "only the lost answer was fetched again");
}

#[test]
fn a_download_goes_on_where_it_stopped_after_a_reset() {
    let one = Built::sized("hello", "run 1", 9_000);
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.plan.tamper = Some(Box::new(|message, answers| {
        if matches!(message, DeviceMessage::Fetch(fetch) if fetch.offset >= 4_096) {
            answers.clear();
        }
    }));
    bench.advance(1_000);
    bench.plan.tamper = None;
    bench.plan.fetched = 0;
    bench.reboot();
    bench.advance(10_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
    assert!(bench.plan.fetched < 9_000 - 4_096 + 64, "{} bytes were fetched again", bench.plan.fetched);
}

#[test]
fn a_gateway_without_the_module_is_asked_again() {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.plan.modules.clear();
    bench.advance(5_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Fetching));
    let problem = bench.reported("hello").unwrap().error;
    assert_eq!(problem.as_deref(), Some("the gateway does not have the module now"));
    bench.plan.publish(&one);
    bench.advance(20_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn room_for_a_new_module_is_made_of_the_previous_one() {
    let geometry = Geometry { modules: Area { address: 16_384, unit: 1_024, units: 8 }, ..crate::bench::GEOMETRY };
    let built: Vec<Built> = (1..=4).map(|n| Built::sized("hello", &format!("run {n}"), 3_500)).collect();
    let mut bench = Bench::with_geometry(Fleet::default(), geometry);
    for next in &built {
        assign(&mut bench, &[next]);
        if bench.hellos() > 0 {
            bench.reassign();
        }
        bench.advance(10_000);
        assert_eq!(bench.running("hello"), [module(next)], "{:?}", bench.reported("hello"));
    }
}

#[test]
fn a_module_larger_than_the_flash_is_reported_and_the_old_one_runs_on() {
    let (one, two) = (Built::new("hello", "run 1"), Built::sized("hello", "run 2", 20_000));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    bench.reassign();
    bench.advance(5_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
    let report = bench.reported("hello").unwrap();
    assert_eq!(report.phase, Phase::Fetching);
    assert!(report.error.as_deref().is_some_and(|error| error.contains("the store is full")), "{report:?}");
}

#[test]
fn more_applications_than_the_store_can_remember_are_reported_and_the_others_run() {
    let built: Vec<Built> =
        (0..16).map(|n| Built::sized(&format!("application-{n:02}-{}", "y".repeat(40)), "run", 300)).collect();
    let mut bench = Bench::new();
    assign(&mut bench, &built.iter().collect::<Vec<_>>());
    bench.advance(60_000);
    let phase = |one: &Built| bench.reported(&one.release.application).unwrap();
    let (running, waiting): (Vec<_>, Vec<_>) =
        built.iter().map(phase).partition(|report| report.phase == Phase::Running);
    assert!(running.len() > 5 && waiting.len() > 3, "{} run, {} wait", running.len(), waiting.len());
    for report in waiting {
        assert!(report.error.as_deref().is_some_and(|error| error.contains("the store is full")), "{report:?}");
    }
    assert!(!bench.said("cannot be kept over a reset"), "{:?}", bench.log);
    bench.online = false;
    let count = running.len();
    bench.reboot();
    bench.run();
    assert_eq!(bench.runs.len(), count);
}

#[test]
fn flash_that_takes_no_writes_is_reported_and_tried_again() {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    bench.run();
    bench.flash_full = true;
    assign(&mut bench, &[&one]);
    bench.reassign();
    bench.advance(20_000);
    assert!(bench.running("hello").is_empty());
    assert!(bench.said("no space left"), "{:?}", bench.log);
    bench.flash_full = false;
    bench.advance(200_000);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

#[test]
fn heartbeats_carry_the_state_of_every_application() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let instance = bench.started[0].instance;
    let event = ApplicationEvent::Stats { cpu_ms: 12, memory: 65_536, held_back: HeldBack::default() };
    bench.hand(Event::Application { instance, event });
    bench.advance(10_000);
    let heartbeat = bench
        .plan
        .heard
        .iter()
        .rev()
        .find_map(|message| if let DeviceMessage::Heartbeat(heartbeat) = message { Some(heartbeat) } else { None })
        .unwrap();
    assert_eq!(heartbeat.memory_free, (1 << 20) - 65_536);
    assert_eq!(heartbeat.applications.len(), 1);
    assert_eq!(heartbeat.applications[0].phase, Phase::Running);
    assert_eq!(heartbeat.applications[0].cpu_ms, 12);
}

#[test]
fn an_application_that_is_held_back_again_and_again_is_reported_once() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let instance = bench.started[0].instance;
    let reports = bench.reports().len();
    let account = |bench: &mut Bench, log| {
        let held_back = HeldBack { log, ..HeldBack::default() };
        let event = ApplicationEvent::Stats { cpu_ms: 0, memory: 0, held_back };
        bench.hand(Event::Application { instance, event });
        bench.advance(1_000);
    };
    (1..=200).for_each(|lines| account(&mut bench, lines));
    assert_eq!(bench.reports().len(), reports + 1, "one for all of it");
    let report = bench.reported("hello").unwrap();
    assert_eq!((report.phase, report.throttled), (Phase::Running, Some(Throttled::Log)));
    (0..100).for_each(|_| account(&mut bench, 200));
    assert_eq!(bench.reports().len(), reports + 2);
    assert_eq!(bench.reported("hello").unwrap().throttled, None);
}

#[test]
fn lines_and_outputs_reach_the_gateway_in_order() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let instance = bench.started[0].instance;
    for n in 0..3 {
        let event = ApplicationEvent::Log { level: Level::Stdout, text: format!("line {n}") };
        bench.hand(Event::Application { instance, event });
    }
    let event = ApplicationEvent::Published { topic: "t/x".into(), payload: vec![0x01] };
    bench.hand(Event::Application { instance, event });
    let lines: Vec<String> = bench
        .plan
        .heard
        .iter()
        .filter_map(|message| match message {
            DeviceMessage::Log(log) if log.application.is_some() => Some(log.text.clone()),
            DeviceMessage::Output(output) => Some(output.topic.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(lines, ["line 0", "line 1", "line 2", "t/x"]);
}

#[test]
fn what_is_logged_offline_waits_and_what_does_not_fit_is_counted() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let instance = bench.started[0].instance;
    bench.online = false;
    bench.hang_up();
    for n in 0..1_000 {
        let event = ApplicationEvent::Log { level: Level::Stdout, text: format!("line {n:04}") };
        bench.hand(Event::Application { instance, event });
    }
    bench.online = true;
    bench.advance(60_000);
    let logs: Vec<(String, Option<u32>)> = bench
        .plan
        .heard
        .iter()
        .filter_map(|message| match message {
            DeviceMessage::Log(log) if log.application.is_some() => Some((log.text.clone(), log.dropped)),
            _ => None,
        })
        .collect();
    assert_eq!(logs.last().unwrap().0, "line 0999");
    assert!(logs.len() > 50 && logs.len() < 200, "{} lines were kept", logs.len());
    assert_eq!(logs[0].1, Some(1_000 - logs.len() as u32), "the first kept line says how many are missing");
    assert!(logs[1..].iter().all(|(_, dropped)| dropped.is_none()));
}

#[test]
fn a_flood_goes_at_a_pace_that_gateways_take_and_the_rest_is_counted() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    let instance = bench.started[0].instance;
    bench.plan.heard.clear();
    for second in 0..10 {
        for n in 0..500 {
            let event = ApplicationEvent::Log { level: Level::Stdout, text: format!("{second} {n}") };
            bench.hand(Event::Application { instance, event });
        }
        bench.advance(1_000);
    }
    bench.advance(10_000);
    let logs = bench.plan.heard.iter().filter_map(|message| match message {
        DeviceMessage::Log(log) => Some(log.dropped.unwrap_or(0)),
        _ => None,
    });
    let (sent, dropped) = logs.fold((0, 0), |(sent, dropped), more| (sent + 1, dropped + more));
    assert!((400..=750).contains(&sent), "{sent} lines were sent");
    assert_eq!(sent + dropped, 5_000, "every line is sent or counted");
}

#[test]
fn a_flood_of_one_application_does_not_cost_its_neighbour_a_line() {
    let (one, two) = (Built::new("flood", "run 1"), Built::new("quiet", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&one, &two]);
    bench.reassign();
    bench.advance(10_000);
    let instance = |name: &str| bench.started.iter().find(|start| start.application == name).unwrap().instance;
    let (flood, quiet) = (instance("flood"), instance("quiet"));
    bench.online = false;
    bench.hang_up();
    for n in 0..500 {
        if n == 100 {
            let event = ApplicationEvent::Log { level: Level::Stdout, text: "the one line".into() };
            bench.hand(Event::Application { instance: quiet, event });
        }
        let event = ApplicationEvent::Log { level: Level::Stdout, text: "x".repeat(500) };
        bench.hand(Event::Application { instance: flood, event });
    }
    bench.online = true;
    bench.advance(60_000);
    let kept = |message: &DeviceMessage| matches!(message, DeviceMessage::Log(log) if log.text == "the one line");
    assert!(bench.plan.heard.iter().any(kept));
}

#[test]
fn the_gateways_clock_is_known_after_the_welcome() {
    let one = Built::new("hello", "run 1");
    let bench = running(&one);
    assert_eq!(bench.agent.unix_time_ms(bench.now + 5), Some(1_700_000_000_005), "told by the last heartbeat's answer");
}
