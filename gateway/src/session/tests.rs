//! Every odd ordering of a session.

use wasmbed_protocol::ModuleDigest;
use wasmbed_protocol::message::{Introduction, Level, Log, Phase, Pulse, Report, SignedAssignment, SignedRelease};
use wasmbed_protocol::pairing::Proof;

use super::*;

const TIMES: Times = Times {
    heartbeat: Duration::from_secs(30),
    silence: Duration::from_secs(600),
    enrollment: Duration::from_secs(300),
    hello: Duration::from_secs(15),
};

const RELEASE: ReleaseDigest = ReleaseDigest([1; 32]);
const OTHER: ReleaseDigest = ReleaseDigest([2; 32]);

fn now() -> Now {
    Now { at: Instant::now(), unix_ms: 1_700_000_000_000 }
}

fn after(now: Now, time: Duration) -> Now {
    Now { at: now.at + time, ..now }
}

fn introduction() -> GatewayMessage {
    Introduction { keyset: vec![1], credential: vec![2] }.into()
}

fn known() -> Standing {
    Standing::Known("sensor-1".into())
}

fn session(standing: Standing, now: Now) -> Session {
    let mut session = Session::new(TIMES, standing, introduction(), now);
    assert_eq!(actions(&mut session), [Action::Send(introduction())], "the gateway speaks first");
    session
}

fn open(now: Now) -> Session {
    let mut session = session(known(), now);
    session.on_message(hello().into(), now);
    actions(&mut session);
    session
}

fn hello() -> Hello {
    Hello {
        versions: vec![1],
        board: "Host".into(),
        memory: 1 << 20,
        features: vec![],
        nonce: Nonce([3; 16]),
        running: vec![report(Phase::Running)],
        pairing: None,
    }
}

fn report(phase: Phase) -> Report {
    Report {
        application: "hello".into(),
        release: RELEASE,
        phase,
        restarts: 0,
        error: None,
        fallback: None,
        throttled: None,
    }
}

fn heartbeat(applications: Vec<Pulse>) -> DeviceMessage {
    Heartbeat { uptime_ms: 1, memory_free: 2, applications }.into()
}

fn pulse(phase: Phase) -> Pulse {
    Pulse { application: "hello".into(), phase, cpu_ms: 1, restarts: 4 }
}

fn actions(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.next_action()).collect()
}

fn sent(session: &mut Session) -> Vec<GatewayMessage> {
    let message = |action| match action {
        Action::Send(message) => Some(message),
        _ => None,
    };
    actions(session).into_iter().filter_map(message).collect()
}

fn closing(session: &mut Session) -> Option<Closing> {
    actions(session).into_iter().find_map(|action| match action {
        Action::Close(closing) => Some(closing),
        _ => None,
    })
}

fn phases(session: &Session) -> Vec<String> {
    let applications = session.applications().expect("it is open").to_status();
    applications.iter().map(|application| application.phase.to_string()).collect()
}

#[test]
fn a_known_device_is_welcomed_and_everyone_is_told() {
    let now = now();
    let mut session = session(known(), now);
    session.on_message(hello().into(), now);
    let actions = actions(&mut session);
    assert_eq!(actions[0], Action::Open { device: "sensor-1".into(), nonce: Nonce([3; 16]) });
    let Action::Send(GatewayMessage::Welcome(welcome)) = &actions[1] else { panic!("{actions:?}") };
    assert_eq!((welcome.name.as_str(), welcome.heartbeat_ms, welcome.version), ("sensor-1", 30_000, 1));
    assert_eq!(actions[2..], [Action::Status]);
    assert_eq!(phases(&session), ["Running"]);
}

#[test]
fn a_device_that_speaks_another_version_is_told_so() {
    let now = now();
    let mut session = session(known(), now);
    session.on_message(Hello { versions: vec![2, 3], ..hello() }.into(), now);
    let actions = actions(&mut session);
    assert!(matches!(&actions[0], Action::Send(GatewayMessage::Enrollment(e)) if e.reason.contains("version 1")));
    assert!(matches!(&actions[1], Action::Close(Closing::Refused(_))));
}

#[test]
fn anything_before_hello_ends_the_session() {
    let now = now();
    let mut session = session(known(), now);
    session.on_message(heartbeat(vec![]), now);
    assert!(matches!(closing(&mut session), Some(Closing::OutOfTurn(_))));
}

#[test]
fn a_second_hello_ends_the_session() {
    let now = now();
    let mut session = open(now);
    session.on_message(hello().into(), now);
    assert!(matches!(closing(&mut session), Some(Closing::OutOfTurn(_))));
}

#[test]
fn who_never_says_hello_is_not_waited_for() {
    let now = now();
    let mut session = session(known(), now);
    assert_eq!(session.deadline(), Some(now.at + TIMES.hello));
    session.on_time(after(now, TIMES.hello - Duration::from_millis(1)));
    assert!(session.is_idle());
    session.on_time(after(now, TIMES.hello));
    assert_eq!(closing(&mut session), Some(Closing::NoHello));
    assert_eq!(session.deadline(), None);
}

#[test]
fn an_unknown_key_waits_and_comes_alive_when_it_becomes_known() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    session.on_message(hello().into(), now);
    assert_eq!(actions(&mut session), [Action::Knock { board: "Host".into(), pairing: None }]);
    session.judged(Verdict::Pending("approve it".into()));
    let sent = sent(&mut session);
    assert!(matches!(&sent[..], [GatewayMessage::Enrollment(e)] if e.state == EnrollmentState::Pending));
    session.on_message(heartbeat(vec![]), now);
    assert_eq!(actions(&mut session).len(), 1, "its heartbeat is answered");
    session.set_standing(known(), now);
    assert!(matches!(actions(&mut session)[0], Action::Open { .. }));
    assert_eq!(session.device(), Some("sensor-1"));
}

#[test]
fn a_key_that_becomes_known_before_hello_is_welcomed_at_once() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    session.set_standing(known(), now);
    session.on_message(hello().into(), now);
    assert!(matches!(actions(&mut session)[0], Action::Open { .. }));
}

#[test]
fn an_unknown_key_that_asks_for_more_is_sent_away() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    session.on_message(hello().into(), now);
    session.judged(Verdict::Pending("approve it".into()));
    actions(&mut session);
    session.on_message(Fetch { digest: ModuleDigest([0; 32]), offset: 0, length: 1 }.into(), now);
    assert!(matches!(closing(&mut session), Some(Closing::OutOfTurn(_))));
}

#[test]
fn nobody_waits_for_approval_for_ever() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    session.on_message(hello().into(), now);
    session.judged(Verdict::Pending("approve it".into()));
    actions(&mut session);
    session.on_time(after(now, TIMES.enrollment));
    assert!(matches!(closing(&mut session), Some(Closing::Refused(_))));
}

#[test]
fn a_refused_knock_says_why_and_when_to_come_again() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    let pairing = Pairing { device: "sensor-1".into(), proof: Proof([0; 64]) };
    session.on_message(Hello { pairing: Some(pairing.clone()), ..hello() }.into(), now);
    assert_eq!(actions(&mut session), [Action::Knock { board: "Host".into(), pairing: Some(pairing) }]);
    session.judged(Verdict::Refused { reason: "é".repeat(300), retry: Duration::from_secs(7) });
    let actions = actions(&mut session);
    let Action::Send(GatewayMessage::Enrollment(enrollment)) = &actions[0] else { panic!("{actions:?}") };
    assert_eq!((enrollment.state, enrollment.retry_ms), (EnrollmentState::Refused, 7000));
    assert_eq!(enrollment.reason.len(), 256, "cut between characters to what a frame may hold");
    assert!(matches!(actions[1], Action::Close(Closing::Refused(_))));
}

#[test]
fn a_device_there_is_no_place_for_is_turned_away_unwelcomed() {
    let now = now();
    let mut session = session(known(), now);
    session.on_message(hello().into(), now);
    assert!(matches!(session.next_action(), Some(Action::Open { .. })));
    session.turn_away("full");
    let actions = actions(&mut session);
    assert!(matches!(&actions[0], Action::Send(GatewayMessage::Enrollment(e)) if e.reason == "full"));
    assert!(matches!(&actions[1..], [Action::Close(_)]));
}

#[test]
fn a_device_that_is_undeclared_or_given_another_key_or_name_leaves() {
    for standing in [Standing::Unknown, Standing::Known("sensor-2".into())] {
        let now = now();
        let mut session = open(now);
        session.set_standing(known(), now);
        assert!(session.is_idle(), "the same again is no change");
        session.set_standing(standing, now);
        assert_eq!(closing(&mut session), Some(Closing::Undeclared));
    }
}

#[test]
fn heartbeats_are_answered_and_keep_the_session() {
    let now = now();
    let mut session = open(now);
    let later = after(now, Duration::from_secs(599));
    session.on_message(heartbeat(vec![pulse(Phase::Running)]), later);
    let actions = actions(&mut session);
    assert!(matches!(&actions[0], Action::Send(GatewayMessage::HeartbeatAck(_))));
    assert_eq!(actions[1], Action::Status);
    assert!(matches!(&actions[2], Action::Live { kind: LiveKind::Heartbeat { uptime_ms: 1, .. }, .. }));
    session.on_time(after(now, TIMES.silence));
    assert!(session.is_idle());
    session.on_time(after(later, TIMES.silence));
    assert_eq!(closing(&mut session), Some(Closing::Silent));
}

#[test]
fn a_heartbeat_puts_right_what_a_lost_report_left_wrong() {
    let now = now();
    let mut session = open(now);
    session.on_message(heartbeat(vec![pulse(Phase::Failed)]), now);
    assert_eq!(phases(&session), ["Failed"]);
    session.on_message(heartbeat(vec![]), now);
    assert!(phases(&session).is_empty());
}

#[test]
fn a_report_is_told_once() {
    let now = now();
    let mut session = open(now);
    let failed = Report { error: Some("trap".into()), ..report(Phase::Failed) };
    session.on_message(failed.clone().into(), now);
    let kind = LiveKind::Phase { phase: "Failed".into(), reason: Some("trap".into()) };
    let live = Action::Live { application: Some("hello".into()), kind };
    assert_eq!(actions(&mut session), [Action::Status, live]);
    session.on_message(failed.into(), now);
    assert!(session.is_idle());
    session.on_message(report(Phase::Erased).into(), now);
    assert_eq!(actions(&mut session).len(), 2);
    assert!(phases(&session).is_empty());
}

#[test]
fn what_holds_an_application_back_is_written_when_it_begins_and_when_it_ends_and_not_between() {
    let now = now();
    let mut session = open(now);
    let throttled = |session: &Session| session.applications().expect("it is open").to_status()[0].throttled;
    let flood = Report { throttled: Some(wasmbed_protocol::message::Throttled::Log), ..report(Phase::Running) };
    session.on_message(flood.clone().into(), now);
    assert_eq!(actions(&mut session), [Action::Status], "nobody who watches phases is told of a new one");
    assert_eq!(throttled(&session), Some(wasmbed_api::Throttled::Log));
    session.on_message(flood.into(), now);
    assert!(session.is_idle());
    session.on_message(heartbeat(vec![Pulse { restarts: 0, ..pulse(Phase::Running) }]), now);
    actions(&mut session);
    assert_eq!(throttled(&session), Some(wasmbed_api::Throttled::Log), "a heartbeat says nothing of it");
    session.on_message(report(Phase::Running).into(), now);
    assert_eq!(actions(&mut session), [Action::Status]);
    assert_eq!(throttled(&session), None);
}

#[test]
fn a_device_cannot_fill_the_memory_with_applications() {
    let now = now();
    let mut session = open(now);
    for number in 0..1000 {
        session.on_message(Report { application: format!("a{number}"), ..report(Phase::Running) }.into(), now);
    }
    assert_eq!(phases(&session).len(), 16);
}

#[test]
fn an_assignment_goes_out_after_the_releases_it_names() {
    let now = now();
    let mut session = open(now);
    session.assign(vec![9], vec![RELEASE, OTHER]);
    assert_eq!(actions(&mut session), [Action::FindRelease(RELEASE), Action::FindRelease(OTHER)]);
    session.found_release(OTHER, Some(Bytes::from_static(b"2")), now);
    assert!(session.is_idle());
    session.found_release(RELEASE, Some(Bytes::from_static(b"1")), now);
    let expected: [GatewayMessage; 3] = [
        SignedRelease { cose: b"1".to_vec() }.into(),
        SignedRelease { cose: b"2".to_vec() }.into(),
        SignedAssignment { cose: vec![9] }.into(),
    ];
    assert_eq!(sent(&mut session), expected);
    assert_eq!(session.lookups(), 0);
}

#[test]
fn only_releases_that_the_last_assignment_did_not_name_are_sent_again() {
    let now = now();
    let mut session = open(now);
    session.assign(vec![1], vec![RELEASE]);
    session.found_release(RELEASE, Some(Bytes::from_static(b"1")), now);
    actions(&mut session);
    session.assign(vec![2], vec![RELEASE]);
    assert_eq!(sent(&mut session), [SignedAssignment { cose: vec![2] }.into()]);
    session.assign(vec![3], vec![]);
    assert_eq!(sent(&mut session), [SignedAssignment { cose: vec![3] }.into()]);
    session.assign(vec![4], vec![RELEASE]);
    assert_eq!(actions(&mut session), [Action::FindRelease(RELEASE)], "the device may have dropped it");
}

#[test]
fn the_newer_assignment_wins_while_releases_are_looked_for() {
    let now = now();
    let mut session = open(now);
    session.assign(vec![1], vec![RELEASE]);
    session.assign(vec![2], vec![OTHER]);
    actions(&mut session);
    session.found_release(RELEASE, Some(Bytes::from_static(b"1")), now);
    assert!(session.is_idle(), "nobody wants it any more");
    session.found_release(OTHER, Some(Bytes::from_static(b"2")), now);
    assert_eq!(sent(&mut session).last(), Some(&SignedAssignment { cose: vec![2] }.into()));
}

#[test]
fn a_release_that_is_not_there_yet_is_looked_for_again_and_more_and_more_slowly() {
    let now = now();
    let mut session = open(now);
    session.assign(vec![1], vec![RELEASE]);
    actions(&mut session);
    let mut at = now;
    let mut waits = Vec::new();
    for _ in 0..10 {
        session.found_release(RELEASE, None, at);
        let due = session.deadline().expect("it looks again");
        waits.push(due - at.at);
        at = after(at, due - at.at);
        session.on_time(at);
        if waits.len() < 10 {
            assert_eq!(actions(&mut session), [Action::FindRelease(RELEASE)]);
        }
    }
    let wait = Duration::from_millis;
    assert_eq!((waits[0], waits[1], waits[9]), (wait(50), wait(100), wait(25_600)));
    actions(&mut session);
    session.found_release(RELEASE, Some(Bytes::from_static(b"1")), at);
    assert_eq!(sent(&mut session).len(), 2);
}

#[test]
fn an_assignment_for_a_session_that_is_not_open_goes_nowhere() {
    let now = now();
    let mut session = session(Standing::Unknown, now);
    session.assign(vec![1], vec![RELEASE]);
    assert!(session.is_idle());
}

#[test]
fn fetches_are_answered_and_counted_until_they_are() {
    let now = now();
    let mut session = open(now);
    let fetch = Fetch { digest: ModuleDigest([5; 32]), offset: 7, length: 2048 };
    session.on_message(fetch.clone().into(), now);
    assert_eq!((actions(&mut session), session.lookups()), (vec![Action::FindChunk(fetch.clone())], 1));
    session.found_chunk(&fetch, vec![1, 2]);
    let chunk = Chunk { digest: fetch.digest, offset: 7, bytes: vec![1, 2] };
    assert_eq!((sent(&mut session), session.lookups()), (vec![chunk.into()], 0));
}

#[test]
fn a_fetch_of_more_than_a_chunk_ends_the_session() {
    let now = now();
    let mut session = open(now);
    session.on_message(Fetch { digest: ModuleDigest([5; 32]), offset: 0, length: 2049 }.into(), now);
    assert!(matches!(closing(&mut session), Some(Closing::Garbage(_))));
}

#[test]
fn unknown_message_kinds_are_skipped_and_garbage_is_not() {
    let now = now();
    let mut session = open(now);
    for _ in 0..UNKNOWN_KINDS {
        session.on_frame(&[0x83, 1, 0x18, 99, 0xa0], now);
    }
    assert!(session.is_idle());
    session.on_frame(&[0x83, 1, 0x18, 99, 0xa0], now);
    assert!(matches!(closing(&mut session), Some(Closing::Garbage(_))), "there is an end to it");
    let mut session = open(now);
    session.on_frame(b"GET / HTTP/1.1", now);
    assert!(matches!(closing(&mut session), Some(Closing::Garbage(_))));
    session.on_frame(&hello_frame(), now);
    assert!(session.is_idle(), "nothing is heard after the end");
}

fn hello_frame() -> Vec<u8> {
    DeviceMessage::from(hello()).encode().expect("it is short")
}

#[test]
fn a_flood_of_lines_is_cut_and_the_cut_is_told() {
    let now = now();
    let mut session = open(now);
    let line = || Log { application: Some("hello".into()), level: Level::Stdout, text: "x".into(), dropped: None };
    for _ in 0..1000 {
        session.on_message(line().into(), now);
    }
    assert_eq!(actions(&mut session).len(), 200);
    session.on_message(line().into(), after(now, Duration::from_secs(1)));
    let told = actions(&mut session);
    let Action::Live { kind: LiveKind::Log { level, text }, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!((level.as_str(), text.starts_with("800 dropped by the gateway")), ("warn", true));
    assert_eq!(told.len(), 2);
}

mod any_order {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Frame(Vec<u8>),
        Message(usize),
        Standing(bool),
        Judged(bool),
        Assign(u8),
        Found(bool),
        Chunk,
        Time(u64),
        TurnAway,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Step::Frame),
            6 => (0usize..6).prop_map(Step::Message),
            1 => any::<bool>().prop_map(Step::Standing),
            1 => any::<bool>().prop_map(Step::Judged),
            2 => any::<u8>().prop_map(Step::Assign),
            2 => any::<bool>().prop_map(Step::Found),
            1 => Just(Step::Chunk),
            1 => (0u64..700).prop_map(Step::Time),
            1 => Just(Step::TurnAway),
        ]
    }

    fn message(index: usize) -> DeviceMessage {
        match index {
            0 => hello().into(),
            1 => heartbeat(vec![pulse(Phase::Running)]),
            2 => Fetch { digest: ModuleDigest([5; 32]), offset: 0, length: 10 }.into(),
            3 => report(Phase::Failed).into(),
            4 => wasmbed_protocol::message::Output {
                application: "hello".into(),
                topic: "t".into(),
                payload: vec![0],
                dropped: Some(1),
            }
            .into(),
            _ => Log { application: None, level: Level::Warn, text: "x".into(), dropped: None }.into(),
        }
    }

    proptest! {
        /// In whatever order things happen: an unknown key opens nothing, nothing follows the end, the end comes once, and
        /// a deadline that has passed is not passed again.
        #[test]
        fn a_session_stays_sound(steps in proptest::collection::vec(step(), 0..60), begins_known: bool) {
            let mut now = now();
            let mut is_known = begins_known;
            let standing = |known: bool| if known { super::known() } else { Standing::Unknown };
            let mut session = session(standing(begins_known), now);
            let mut ended = false;
            for step in steps {
                match step {
                    Step::Frame(bytes) => session.on_frame(&bytes, now),
                    Step::Message(index) => session.on_message(message(index), now),
                    Step::Standing(known) => {
                        is_known = known;
                        session.set_standing(standing(known), now);
                    }
                    Step::Judged(pending) => session.judged(if pending {
                        Verdict::Pending("wait".into())
                    } else {
                        Verdict::Refused { reason: "no".into(), retry: RETRY }
                    }),
                    Step::Assign(n) => session.assign(vec![n], vec![RELEASE, OTHER]),
                    Step::Found(found) => {
                        session.found_release(RELEASE, found.then(|| Bytes::from_static(b"r")), now);
                    }
                    Step::Chunk => {
                        session.found_chunk(&Fetch { digest: ModuleDigest([5; 32]), offset: 0, length: 1 }, vec![]);
                    }
                    Step::Time(seconds) => {
                        now = after(now, Duration::from_secs(seconds));
                        session.on_time(now);
                        prop_assert!(session.deadline().is_none_or(|deadline| deadline > now.at));
                    }
                    Step::TurnAway => session.turn_away("full"),
                }
                for action in actions(&mut session) {
                    prop_assert!(!ended, "{action:?} after the end");
                    match action {
                        Action::Open { .. } => prop_assert!(is_known),
                        Action::Close(_) => ended = true,
                        Action::Send(message) => prop_assert!(message.to_frame().is_ok()),
                        _ => {}
                    }
                }
            }
        }
    }
}
