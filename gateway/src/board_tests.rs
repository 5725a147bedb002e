use wasmbed_api::{Digest, InstancePhase};
use wasmbed_protocol::PublicKey;

use super::*;

const GRACE: Duration = Duration::from_secs(30);

fn board(now: Instant) -> Board {
    Board::new("gateway-1".into(), GRACE, now)
}

fn known(status: DeviceStatus) -> Known {
    Known { key: Some(PublicKey([1; 32])), pairing: None, status }
}

fn session(replica: &str, counter: i64) -> Option<DeviceSession> {
    Some(DeviceSession { replica: replica.into(), counter })
}

fn status(phase: DevicePhase, session: Option<DeviceSession>) -> DeviceStatus {
    DeviceStatus { phase: Some(phase), session, ..DeviceStatus::default() }
}

fn written(owned: &Owned) -> Known {
    known(serde_json::from_value(owned.to_json()).expect("what we write can be read"))
}

fn application() -> DeviceApplication {
    DeviceApplication {
        name: "hello".parse().expect("it is a name"),
        release: Digest::from_bytes([2; 32]),
        phase: InstancePhase::Running,
        error: None,
        restarts: 0,
        throttled: None,
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("it is in range")
}

#[test]
fn a_declared_device_is_pending_then_enrolling_then_enrolled() {
    let now = Instant::now();
    let mut board = board(now);
    let phase = |owned: Option<Owned>| owned.and_then(|owned| owned.phase);
    let unknown = Known { key: None, ..known(DeviceStatus::default()) };
    assert_eq!(phase(board.judge("a", &unknown, false, now)), Some(DevicePhase::Pending));
    assert_eq!(phase(board.judge("a", &unknown, true, now)), Some(DevicePhase::Enrolling));
    let pending = known(status(DevicePhase::Pending, None));
    assert_eq!(phase(board.judge("a", &pending, false, now)), Some(DevicePhase::Enrolled));
    let enrolled = known(status(DevicePhase::Enrolled, None));
    assert_eq!(board.judge("a", &enrolled, false, now), None, "nothing to write");
}

#[test]
fn nothing_is_written_twice_and_a_deleted_status_comes_back() {
    let now = Instant::now();
    let mut board = board(now);
    let counter = board.open("a", None);
    board.update("a", counter, vec![application()], time(1000));
    assert_eq!(board.take_dirty(now), ["a"]);
    let wanted = board.judge("a", &known(DeviceStatus::default()), false, now).expect("it was not there");
    assert_eq!(wanted.phase, Some(DevicePhase::Connected));
    assert_eq!(board.judge("a", &written(&wanted), false, now), None);
    let again = board.judge("a", &known(DeviceStatus::default()), false, now);
    assert_eq!(again, Some(wanted), "someone deleted it");
}

#[test]
fn a_heartbeat_alone_is_written_once_in_minutes() {
    let now = Instant::now();
    let mut board = board(now);
    let counter = board.open("a", None);
    board.update("a", counter, vec![], time(1000));
    let first = board.judge("a", &known(DeviceStatus::default()), false, now).expect("it was not there");
    board.update("a", counter, vec![], time(1299));
    assert_eq!(board.judge("a", &written(&first), false, now), None);
    board.update("a", counter, vec![], time(1300));
    assert!(board.judge("a", &written(&first), false, now).is_some());
}

#[test]
fn a_session_that_was_superseded_says_nothing_more() {
    let now = Instant::now();
    let mut board = board(now);
    let old = board.open("a", None);
    let new = board.open("a", None);
    assert!(new > old);
    board.close("a", old, DevicePhase::Disconnected);
    assert!(board.take_dirty(now).is_empty());
    board.close("a", new, DevicePhase::Unreachable);
    let wanted = board.judge("a", &known(DeviceStatus::default()), false, now).expect("it was not there");
    assert_eq!(wanted.phase, Some(DevicePhase::Unreachable));
}

#[test]
fn a_counter_is_above_every_one_seen_and_never_overwrites_a_higher_one() {
    let now = Instant::now();
    let mut board = board(now);
    let seen = known(status(DevicePhase::Connected, session("gateway-2", 7)));
    assert_eq!(board.open("a", Some(&seen)), 8);
    assert!(board.judge("a", &seen, false, now).is_some());
    let newer = known(status(DevicePhase::Connected, session("gateway-2", 9)));
    assert_eq!(board.judge("a", &newer, false, now), None);
    assert!(board.is_superseded("a", &newer.status));
    assert!(!board.is_superseded("a", &seen.status));
}

#[test]
fn what_an_earlier_process_left_connected_is_disconnected_after_a_grace() {
    let now = Instant::now();
    let mut board = board(now);
    let mut left = status(DevicePhase::Connected, session("gateway-1", 3));
    left.applications = vec![application()];
    assert_eq!(board.judge("a", &known(left.clone()), false, now), None);
    let wanted = board.judge("a", &known(left.clone()), false, now + GRACE).expect("it has not come back");
    assert_eq!(wanted.phase, Some(DevicePhase::Disconnected));
    assert_eq!(wanted.applications, left.applications, "the last word on its applications stays");
    let elsewhere = known(status(DevicePhase::Connected, session("gateway-2", 3)));
    assert_eq!(board.judge("a", &elsewhere, false, now + GRACE), None, "that is another replica's to say");
}

#[test]
fn a_device_that_flaps_is_written_at_a_bounded_rate_and_in_the_end_truly() {
    let now = Instant::now();
    let mut board = board(now);
    let counter = board.open("a", None);
    let mut writes = 0;
    let mut last = known(DeviceStatus::default());
    for restarts in 0..100 {
        board.update("a", counter, vec![DeviceApplication { restarts, ..application() }], time(1000));
        if let Some(wanted) = board.judge("a", &last, false, now) {
            writes += 1;
            last = written(&wanted);
        }
    }
    assert_eq!(writes, 8);
    board.take_dirty(now);
    let due = board.deferred_until().expect("one is to be written later");
    assert_eq!(board.take_dirty(due), ["a"]);
    let wanted = board.judge("a", &last, false, due).expect("it is missed");
    assert_eq!(wanted.applications[0].restarts, 99);
}

#[test]
fn the_last_word_on_a_device_that_goes_in_session_is_said_unless_another_gateway_has_it() {
    let now = Instant::now();
    let mut board = board(now);
    board.open("a", None);
    board.mark("b");
    board.forget("a");
    board.forget("b");
    assert_eq!(board.take_dirty(now), ["a"]);
    assert!(board.is_parting("a") && !board.is_parting("b"));
    let ours = status(DevicePhase::Connected, session("gateway-1", 1));
    let last = board.last_words("a", &ours).expect("nobody else says more");
    assert_eq!((last.phase, &last.session), (Some(DevicePhase::Disconnected), &ours.session));
    assert_eq!(board.last_words("a", &status(DevicePhase::Connected, session("gateway-2", 2))), None);
    assert_eq!(board.last_words("a", &status(DevicePhase::Disconnected, session("gateway-1", 1))), None);
    board.parted("a");
    assert!(!board.is_parting("a"));
}

#[test]
fn of_two_sessions_with_the_same_counter_one_gives_way() {
    let now = Instant::now();
    let at = |replica: &str| Board::new(replica.into(), GRACE, now);
    let (mut a, mut b) = (at("a"), at("b"));
    let (in_a, in_b) = (a.open("d", None), b.open("d", None));
    assert_eq!(in_a, in_b, "neither has seen the other's");
    let connected = |replica| status(DevicePhase::Connected, session(replica, in_a));
    assert!(a.is_superseded("d", &connected("b")), "both go on: the last by name does");
    assert!(!b.is_superseded("d", &connected("a")));
    b.close("d", in_b, DevicePhase::Disconnected);
    assert!(b.is_superseded("d", &connected("a")), "one that is over says nothing more");
    assert_eq!(b.judge("d", &known(connected("a")), false, now), None);
    let over = status(DevicePhase::Disconnected, session("b", in_b));
    assert!(!a.is_superseded("d", &over));
    a.update("d", in_a, vec![], time(1000));
    assert_eq!(a.judge("d", &known(over), false, now).and_then(|owned| owned.session), session("a", in_a));
}
