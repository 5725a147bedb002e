#![allow(clippy::unwrap_used)]

use wasmbed_api::DeviceStatus;
use wasmbed_protocol::SigningKey;
use wasmbed_protocol::pairing::Code;

use super::*;

const EXPORTER: [u8; 32] = [5; 32];

fn now() -> Now {
    Now { at: Instant::now(), unix_ms: 1_700_000_000_000 }
}

fn later(now: Now, seconds: u64) -> Now {
    Now { at: now.at + Duration::from_secs(seconds), unix_ms: now.unix_ms + seconds * 1000 }
}

fn key(number: u8) -> PublicKey {
    SigningKey::from_seed(&[number; 32]).public()
}

fn source(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

fn list() -> PendingList {
    PendingList::new(&Limits { pending: 4, pending_per_source: 2, ..Limits::default() })
}

fn knock(number: u8, from: u8) -> Knock<'static> {
    Knock { key: key(number), source: source(from), board: "Host".into(), pairing: None, exporter: EXPORTER }
}

fn is_pending(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Pending(_))
}

fn declared(code: &Code, until: Option<i64>) -> Known {
    Known {
        key: None,
        pairing: Some(wasmbed_api::Pairing {
            public_key: wasmbed_api::PublicKey::from_bytes(code.key().public().0),
            until: until.map(|seconds| Time(Timestamp::from_second(seconds).unwrap())),
        }),
        status: DeviceStatus::default(),
    }
}

fn pairing(code: &Code, number: u8) -> Pairing {
    Pairing { device: "sensor-1".into(), proof: Proof::new(code, &EXPORTER, "sensor-1", &key(number)) }
}

fn pair(list: &mut PendingList, pairing: &Pairing, number: u8, from: u8, claimed: Option<&Known>, now: Now) -> Verdict {
    list.knock(Knock { pairing: Some(pairing), ..knock(number, from) }, claimed, now)
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Refused { reason, .. } => reason,
        Verdict::Pending(reason) => panic!("it was let in: {reason}"),
    }
}

#[test]
fn unknown_keys_are_listed_up_to_the_quota_of_their_source_and_of_all() {
    let (mut list, now) = (list(), now());
    assert!(is_pending(&list.knock(knock(1, 1), None, now)));
    assert!(is_pending(&list.knock(knock(2, 1), None, now)));
    assert!(reason(list.knock(knock(3, 1), None, now)).contains("this address"));
    assert!(is_pending(&list.knock(knock(1, 1), None, now)), "one that is listed may come again");
    assert!(is_pending(&list.knock(knock(3, 2), None, now)));
    assert!(is_pending(&list.knock(knock(4, 2), None, now)));
    assert!(reason(list.knock(knock(5, 3), None, now)).contains("this gateway"));
    assert!(list.remove(&key(1)));
    assert!(is_pending(&list.knock(knock(5, 3), None, now)));
    assert_eq!(list.to_status().len(), 4);
}

#[test]
fn keys_made_one_after_the_other_are_slowed_down() {
    let (mut list, now) = (list(), now());
    let mut refused = 0;
    for number in 0..40 {
        let verdict = list.knock(knock(number, 1), None, now);
        list.remove(&key(number));
        refused += usize::from(!is_pending(&verdict));
    }
    assert_eq!(refused, 40 - 16);
    assert!(is_pending(&list.knock(knock(41, 1), None, later(now, 11))));
}

#[test]
fn a_key_not_heard_for_long_is_forgotten() {
    let (mut list, now) = (list(), now());
    list.knock(knock(1, 1), None, now);
    assert!(!list.expire(later(now, 3599).at));
    assert!(list.expire(later(now, 3601).at));
    assert!(list.to_status().is_empty());
}

#[test]
fn the_right_code_is_recorded_with_a_proof_that_others_can_check() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, Some(1_700_000_001));
    assert!(is_pending(&pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), now)));
    assert!(list.is_enrolling("sensor-1"));
    let pending = list.to_status().remove(0);
    assert_eq!(pending.paired_with.unwrap().to_string(), "sensor-1");
    let proof = Proof(pending.proof.unwrap().0.try_into().unwrap());
    let exporter = pending.exporter.unwrap().0.try_into().unwrap();
    assert!(proof.verify(&code.key().public(), &exporter, "sensor-1", &key(1)));
}

#[test]
fn a_wrong_code_an_unknown_device_and_a_device_without_a_code_sound_the_same() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, None);
    let wrong = pair(&mut list, &pairing(&Code::new([2; 16]), 1), 1, 1, Some(&known), now);
    let unknown = pair(&mut list, &pairing(&code, 1), 1, 1, None, now);
    let none = Known { pairing: None, ..known };
    let without = pair(&mut list, &pairing(&code, 1), 1, 1, Some(&none), now);
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, without);
    assert!(reason(wrong).contains("not the one-time code"));
    assert!(list.to_status().is_empty(), "who guesses is not listed either");
}

#[test]
fn a_proof_of_another_session_or_for_another_key_is_refused() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, None);
    let elsewhere = Pairing { device: "sensor-1".into(), proof: Proof::new(&code, &[9; 32], "sensor-1", &key(1)) };
    assert!(!is_pending(&pair(&mut list, &elsewhere, 1, 1, Some(&known), now)));
    assert!(!is_pending(&pair(&mut list, &pairing(&code, 2), 1, 1, Some(&known), now)));
}

#[test]
fn a_late_code_is_refused() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, Some(1_700_000_000));
    assert!(reason(pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), now)).contains("expired"));
}

#[test]
fn a_used_code_is_refused_to_another_key_and_good_for_the_same() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, None);
    assert!(is_pending(&pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), now)));
    assert!(reason(pair(&mut list, &pairing(&code, 2), 2, 2, Some(&known), now)).contains("used"));
    assert!(is_pending(&pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), now)), "the same key reconnects");
    let taken_up = Known { key: Some(key(1)), ..known };
    list.remove(&key(1));
    assert!(reason(pair(&mut list, &pairing(&code, 2), 2, 2, Some(&taken_up), now)).contains("used"));
}

#[test]
fn guessing_is_slowed_down_and_does_not_lock_out_other_devices() {
    let (mut list, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, None);
    for guess in 0..5 {
        let wrong = pairing(&Code::new([100 + guess; 16]), 1);
        assert!(reason(pair(&mut list, &wrong, 1, 1, Some(&known), now)).contains("not the one-time code"));
    }
    assert!(reason(pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), now)).contains("too many attempts"));
    let other = Code::new([3; 16]);
    let proof = Proof::new(&other, &EXPORTER, "sensor-2", &key(2));
    let honest = Pairing { device: "sensor-2".into(), proof };
    assert!(is_pending(&pair(&mut list, &honest, 2, 2, Some(&declared(&other, None)), now)));
    assert!(is_pending(&pair(&mut list, &pairing(&code, 1), 1, 1, Some(&known), later(now, 61))));
}

#[test]
fn a_restart_forgets_nobody_and_a_used_code_stays_used() {
    let (mut before, now, code) = (list(), now(), Code::new([1; 16]));
    let known = declared(&code, None);
    pair(&mut before, &pairing(&code, 1), 1, 1, Some(&known), now);
    before.knock(knock(2, 2), None, now);
    let left = before.to_status();
    let mut after = list();
    after.restore(&left, |name| (name == "sensor-1").then(|| known.clone()), now.at);
    assert_eq!(after.to_status(), left);
    assert!(reason(pair(&mut after, &pairing(&code, 3), 3, 3, Some(&known), now)).contains("used"));
}

#[test]
fn a_proof_that_someone_wrote_into_the_status_is_not_believed() {
    let (mut before, now, code) = (list(), now(), Code::new([1; 16]));
    pair(&mut before, &pairing(&code, 1), 1, 1, Some(&declared(&code, None)), now);
    let mut left = before.to_status();
    left[0].proof = Some(ByteString(vec![0; 64]));
    let mut after = list();
    after.restore(&left, |_| Some(declared(&code, None)), now.at);
    assert!(!after.is_enrolling("sensor-1"));
}
