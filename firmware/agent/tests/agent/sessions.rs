//! Connecting, losing, and connecting again.

use wasmbed_agent::store::{Area, Geometry};
use wasmbed_agent::{Action, Agent, Event};
use wasmbed_protocol::message::{Enrollment, EnrollmentState, Phase, Welcome};
use wasmbed_protocol::pairing::{Code, EXPORTER_LABEL, EXPORTER_LENGTH};
use wasmbed_protocol::{DeviceMessage, GatewayMessage};

use crate::bench::{Bench, GEOMETRY, device_key};
use crate::fleet::{Built, Fleet};
use crate::life::{assign, module, running};

fn hello(bench: &Bench) -> wasmbed_protocol::message::Hello {
    let hello = |message: &DeviceMessage| match message {
        DeviceMessage::Hello(hello) => Some(hello.clone()),
        _ => None,
    };
    bench.plan.heard.iter().rev().find_map(hello).unwrap()
}

#[test]
fn hello_says_what_the_device_is_and_what_it_runs() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.hang_up();
    bench.advance(2_000);
    let hello = hello(&bench);
    assert_eq!(hello.versions, [1]);
    assert_eq!(hello.board, "Host");
    assert_eq!(hello.features, ["wasm32"]);
    assert_eq!(hello.running.len(), 1);
    assert_eq!(hello.running[0].release, one.digest());
    assert_eq!(hello.pairing, None);
}

#[test]
fn every_session_has_a_nonce_of_its_own() {
    let mut bench = running(&Built::new("hello", "run 1"));
    let first = hello(&bench).nonce;
    bench.hang_up();
    bench.advance(2_000);
    assert_ne!(hello(&bench).nonce, first);
}

#[test]
fn a_pairing_proof_covers_this_very_session() {
    let code = Code::new([5; 16]);
    let mut bench = Bench::new();
    bench.options.provisioning.pairing = Some(wasmbed_agent::Pairing { device: "sensor-7".into(), code: code.clone() });
    bench.reboot();
    bench.run();
    let pairing = hello(&bench).pairing.unwrap();
    let (_, gateway) = bench.gateway.as_ref().unwrap();
    let exporter = [0; EXPORTER_LENGTH];
    let exporter = gateway.tls.export_keying_material(exporter, EXPORTER_LABEL, None).unwrap();
    let device = device_key().public();
    assert!(pairing.proof.verify(&code.key().public(), &exporter, "sensor-7", &device));
    assert!(!pairing.proof.verify(&code.key().public(), &exporter, "sensor-8", &device));
    assert!(!pairing.proof.verify(&code.key().public(), &[0; EXPORTER_LENGTH], "sensor-7", &device));
}

#[test]
fn attempts_wait_longer_and_longer_and_go_round_the_gateways() {
    let mut bench = Bench::new();
    bench.online = false;
    bench.advance(60_000);
    let first = bench.addresses.len();
    assert!((10..30).contains(&first), "{first} attempts in the first minute");
    assert_eq!(bench.addresses[..4], ["one:4433", "two:4433", "one:4433", "two:4433"]);
    bench.addresses.clear();
    bench.advance(3_600_000);
    let hour = bench.addresses.len();
    assert!((60..=125).contains(&hour), "{hour} attempts in an hour");
}

#[test]
fn after_a_session_the_next_attempt_comes_soon() {
    let mut bench = Bench::new();
    bench.online = false;
    bench.advance(600_000);
    bench.online = true;
    bench.advance(80_000);
    assert_eq!(bench.hellos(), 1);
    bench.hang_up();
    bench.advance(1_000);
    assert_eq!(bench.hellos(), 2);
}

#[test]
fn a_gateway_that_welcomes_and_closes_is_not_called_without_pause() {
    let mut bench = Bench::new();
    let end = 600_000;
    while bench.now < end {
        bench.advance(50);
        if bench.gateway.is_some() {
            bench.hang_up();
        }
    }
    assert!(bench.hellos() < 50, "{} sessions in ten minutes", bench.hellos());
}

#[test]
fn a_gateway_that_falls_silent_is_left() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.plan.tamper = Some(Box::new(|_, answers| answers.clear()));
    bench.advance(20_000);
    assert!(bench.gateway.is_some(), "two heartbeats may go missing");
    bench.plan.tamper = None;
    bench.plan.heard.clear();
    bench.advance(10_000);
    assert_eq!(bench.hellos(), 1, "and then it is a new session: {:?}", bench.log);
    assert_eq!(bench.started.len(), 1);
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_gateway_that_never_answers_is_left() {
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.advance(40_000);
    assert!(bench.addresses.len() >= 2);
    assert!(bench.said("the gateway said too little for too long"), "{:?}", bench.log);
}

#[test]
fn a_device_that_waits_for_approval_stays_and_works_when_it_comes() {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.run();
    let reason = "your key is not known".to_string();
    bench.say(Enrollment { state: EnrollmentState::Pending, reason, retry_ms: 5_000 });
    bench.advance(300_000);
    assert_eq!(bench.hellos(), 1, "it waits in its session");
    let heartbeats = bench.plan.heard.iter().filter(|message| matches!(message, DeviceMessage::Heartbeat(_)));
    assert_eq!(heartbeats.count(), 10, "and says that it lives");
    bench.say(Welcome { version: 1, name: "device-1".into(), heartbeat_ms: 10_000, time_ms: 0 });
    assign(&mut bench, &[&one]);
    bench.reassign();
    bench.advance(5_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_device_that_waits_for_approval_notices_a_dead_connection() {
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.run();
    bench.say(Enrollment { state: EnrollmentState::Pending, reason: "wait".into(), retry_ms: 5_000 });
    bench.plan.tamper = Some(Box::new(|_, answers| answers.clear()));
    bench.advance(70_000);
    assert_eq!(bench.hellos(), 2);
}

#[test]
fn releases_that_arrive_while_an_assignment_is_written_are_kept() {
    let (one, two, three) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"), Built::new("hello", "run 3"));
    let mut bench = running(&one);
    let nonce = bench.gateway.as_ref().and_then(|(_, gateway)| gateway.nonce).unwrap();
    // Both decisions reach the device in one piece, before its flash had time for the first.
    let mut messages = Vec::new();
    for built in [&two, &three] {
        assign(&mut bench, &[built]);
        messages.extend(bench.plan.assignment(nonce));
    }
    let (_, gateway) = bench.gateway.as_mut().unwrap();
    messages.iter().for_each(|message| gateway.say(message));
    bench.deliver();
    bench.run();
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&three)], "{:?}", bench.reported("hello"));
}

#[test]
fn many_applications_with_long_reasons_fit_a_hello() {
    let long = "x".repeat(250);
    let built: Vec<Built> =
        (0..16).map(|n| Built::sized(&format!("application-{n:02}-{}", "y".repeat(45)), "trap", 300)).collect();
    let geometry = Geometry {
        log: Area { unit: 16_384, ..GEOMETRY.log },
        modules: Area { address: 65_536, ..GEOMETRY.modules },
        ..GEOMETRY
    };
    let mut bench = Bench::with_geometry(Fleet::default(), geometry);
    assign(&mut bench, &built.iter().collect::<Vec<_>>());
    bench.trap_reason = long.clone();
    bench.advance(600_000);
    assert!(built.iter().all(|one| bench.phase(&one.release.application) == Some(Phase::Failed)));
    bench.plan.heard.clear();
    bench.hang_up();
    bench.advance(5_000);
    assert_eq!(bench.hellos(), 1);
    let reasons = bench.reports().into_iter().filter(|report| report.error.as_ref() == Some(&long)).count();
    assert_eq!(reasons, 16, "the reasons follow on their own");
}

#[test]
fn a_device_that_is_refused_comes_again_when_it_was_told_to() {
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.run();
    let reason = "this code was used".to_string();
    bench.say(Enrollment { state: EnrollmentState::Refused, reason, retry_ms: 120_000 });
    assert!(bench.gateway.is_none());
    assert!(bench.said("this code was used"));
    bench.advance(119_000);
    assert_eq!(bench.hellos(), 1);
    bench.advance(2_000);
    assert_eq!(bench.hellos(), 2);
}

#[test]
fn a_gateway_cannot_make_a_device_call_it_without_pause() {
    let mut bench = Bench::new();
    bench.plan.tamper = Some(Box::new(|message, answers| {
        if matches!(message, DeviceMessage::Hello(_)) {
            let refused = Enrollment { state: EnrollmentState::Refused, reason: String::new(), retry_ms: 0 };
            *answers = vec![GatewayMessage::Enrollment(refused)];
        }
    }));
    bench.advance(60_000);
    assert!(bench.hellos() <= 61);
}

#[test]
fn a_connection_that_is_never_made_is_given_up() {
    let mut bench = Bench::new();
    let mut agent = Agent::new(bench.options.clone(), 0).unwrap();
    let mut connects = 0;
    let mut now = 0;
    while now < 100_000 {
        while let Some(action) = agent.next_action() {
            match action {
                Action::Flash(action) => {
                    let result = Ok(bench.flash.perform(&action).unwrap());
                    agent.handle(Event::Flash { id: action.id(), result }, now);
                }
                Action::Connect { .. } => connects += 1,
                _ => {}
            }
        }
        now = agent.next_deadline().unwrap().max(now + 1);
        agent.handle(Event::Tick, now);
    }
    assert!((3..=5).contains(&connects), "{connects}");
}

#[test]
fn events_of_an_older_connection_change_nothing() {
    let mut bench = running(&Built::new("hello", "run 1"));
    bench.hang_up();
    bench.advance(5_000);
    let (current, _) = bench.gateway.as_ref().unwrap();
    let old = current - 1;
    bench.hand(Event::Received { connection: old, bytes: vec![0; 100] });
    bench.hand(Event::Disconnected { connection: old, reason: "late".into() });
    bench.hand(Event::Connected { connection: old });
    bench.hand(Event::Sent { connection: old });
    bench.advance(30_000);
    assert_eq!(bench.hellos(), 2);
    assert!(bench.gateway.is_some());
}

#[test]
fn events_out_of_order_are_survived() {
    let mut bench = Bench::new();
    let connection = 1;
    for event in [
        Event::Sent { connection },
        Event::Received { connection, bytes: vec![22, 3, 3, 0, 1, 0] },
        Event::Disconnected { connection, reason: "before it began".into() },
        Event::Connected { connection },
        Event::Tick,
    ] {
        bench.agent.handle(event, 0);
    }
    let one = Built::new("hello", "run 1");
    assign(&mut bench, &[&one]);
    bench.advance(20_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_clock_that_goes_backwards_is_survived() {
    let mut bench = running(&Built::new("hello", "run 1"));
    let connection = bench.gateway.as_ref().unwrap().0;
    for now in [5, 0, 7] {
        bench.agent.handle(Event::Sent { connection }, now);
        bench.agent.handle(Event::Tick, now);
    }
    bench.run();
    bench.advance(60_000);
    assert_eq!(bench.hellos(), 1);
}

#[test]
fn no_bytes_are_given_before_the_last_ones_were_taken() {
    let fleet = Fleet::default();
    let mut bench = Bench::with_fleet(fleet);
    let mut agent = Agent::new(bench.options.clone(), 0).unwrap();
    let mut sends = 0;
    let mut connection = None;
    for now in 0..20 {
        while let Some(action) = agent.next_action() {
            match action {
                Action::Flash(action) => {
                    let result = Ok(bench.flash.perform(&action).unwrap());
                    agent.handle(Event::Flash { id: action.id(), result }, now);
                }
                Action::Connect { connection: number, .. } => {
                    connection = Some(number);
                    agent.handle(Event::Connected { connection: number }, now);
                }
                Action::Send { .. } => sends += 1,
                _ => {}
            }
        }
        agent.handle(Event::Tick, now);
    }
    assert!(connection.is_some());
    assert_eq!(sends, 1);
}
