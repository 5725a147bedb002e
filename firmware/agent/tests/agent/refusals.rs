//! What a device does not believe, and that it then changes nothing.

use wasmbed_protocol::message::{Chunk, Introduction, Phase, SignedAssignment, SignedRelease};
use wasmbed_protocol::signed::Entry;
use wasmbed_protocol::{Assignment, DeviceMessage, GatewayMessage, KeySet, ModuleDigest, Nonce, PublicKey, SigningKey};

use crate::bench::{Bench, device_key};
use crate::fleet::{Built, FLEET, Fleet, GATEWAY, key};
use crate::life::{assign, module, running};

/// Connects to a gateway whose introduction is this; nothing must come of it.
fn introduced_by(introduction: Introduction) -> Bench {
    let mut bench = Bench::new();
    bench.plan.introduction = Some(introduction);
    bench.advance(100);
    assert!(bench.plan.heard.is_empty(), "the device spoke to {:?}", bench.plan.heard);
    bench
}

fn introduction(fleet: &Fleet) -> Introduction {
    Introduction { keyset: fleet.keyset(), credential: fleet.credential(fleet.gateway.public()) }
}

#[test]
fn a_keyset_of_another_root_is_refused_before_the_device_says_a_word() {
    let fleet = Fleet { root: key(66), ..Fleet::default() };
    let bench = introduced_by(introduction(&fleet));
    assert!(bench.said("not signed as a KeySet"), "{:?}", bench.log);
}

#[test]
fn a_keyset_of_another_fleet_is_refused() {
    let fleet = Fleet::default();
    let keyset = KeySet {
        epoch: 9,
        fleet: "another".into(),
        release: vec![],
        assignment: vec![],
        gateway_ca: fleet.gateway_ca.public(),
    };
    let keyset = keyset.sign(&fleet.root).unwrap();
    let bench = introduced_by(Introduction { keyset, ..introduction(&fleet) });
    assert!(bench.said("another"), "{:?}", bench.log);
}

#[test]
fn a_credential_of_another_ca_is_refused() {
    let fleet = Fleet { gateway_ca: key(66), ..Fleet::default() };
    let forged = fleet.credential(Fleet::default().gateway.public());
    let bench = introduced_by(Introduction { credential: forged, ..introduction(&Fleet::default()) });
    assert!(bench.said("credential"), "{:?}", bench.log);
}

#[test]
fn a_credential_for_another_tls_key_is_refused() {
    let fleet = Fleet::default();
    let stolen = fleet.credential(key(66).public());
    let bench = introduced_by(Introduction { credential: stolen, ..introduction(&fleet) });
    assert!(bench.said("another TLS key"), "{:?}", bench.log);
}

#[test]
fn an_older_keyset_is_refused_also_after_a_reset() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.plan.introduction = Some(introduction(&Fleet { epoch: 6, ..Fleet::default() }));
    let hellos = bench.hellos();
    bench.reboot();
    bench.advance(5_000);
    assert_eq!(bench.hellos(), hellos);
    assert!(bench.said("older than the stored epoch 7"), "{:?}", bench.log);
    assert_eq!(bench.running("hello"), [module(&one)], "it runs on");
}

#[test]
fn a_newer_keyset_is_kept_and_its_keys_count() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.plan.fleet = Fleet { epoch: 8, release: key(20), assignment: key(21), ..Fleet::default() };
    let two = Built::new("hello", "run 2");
    assign(&mut bench, &[&two]);
    bench.hang_up();
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&two)]);
    bench.plan.fleet = Fleet::default();
    let hellos = bench.hellos();
    bench.hang_up();
    bench.advance(10_000);
    assert_eq!(bench.hellos(), hellos, "the old epoch is refused from now on");
}

#[test]
fn a_gateway_that_does_not_introduce_itself_first_is_left() {
    let mut bench = Bench::new();
    bench.plan.introduction = Some(Introduction { keyset: vec![], credential: vec![] });
    bench.advance(100);
    assert!(bench.plan.heard.is_empty());
    assert!(bench.said("no session"), "{:?}", bench.log);
}

#[test]
fn work_before_the_welcome_ends_the_session() {
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.run();
    assert_eq!(bench.hellos(), 1);
    bench.say(SignedAssignment { cose: vec![] });
    assert!(bench.gateway.is_none());
    assert!(bench.said("before it said Welcome"), "{:?}", bench.log);
}

#[test]
fn an_assignment_replayed_from_an_earlier_session_is_refused() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    let old = bench.plan.signed.last().unwrap().clone();
    assign(&mut bench, &[&two]);
    bench.reassign();
    bench.advance(10_000);
    bench.hang_up();
    bench.advance(10_000);
    bench.say(SignedAssignment { cose: old });
    bench.advance(10_000);
    assert!(bench.said("refused an Assignment: an Assignment of another session"), "{:?}", bench.log);
    assert_eq!(bench.running("hello"), [module(&two)]);
}

#[test]
fn an_assignment_that_is_not_newer_in_its_session_is_refused() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    let old = bench.plan.signed.last().unwrap().clone();
    assign(&mut bench, &[&two]);
    bench.reassign();
    let same = bench.plan.signed.last().unwrap().clone();
    bench.say(SignedAssignment { cose: old });
    bench.say(SignedAssignment { cose: same });
    bench.advance(10_000);
    assert_eq!(bench.log.iter().filter(|(_, line)| line.contains("is not newer than")).count(), 2);
    assert_eq!(bench.running("hello"), [module(&two)]);
}

/// An Assignment of nothing at all, made as `change` says, reaches a device that runs something.
fn emptied_by(change: impl Fn(&mut Assignment, &mut SigningKey)) -> Bench {
    let mut bench = running(&Built::new("hello", "run 1"));
    let nonce = bench.gateway.as_ref().and_then(|(_, gateway)| gateway.nonce).unwrap();
    let mut signer = bench.plan.fleet.assignment.clone();
    let mut assignment = Assignment {
        fleet: FLEET.into(),
        device: device_key().public().thumbprint(),
        nonce,
        n: 1_000,
        gateway: GATEWAY.into(),
        entries: Vec::<Entry>::new(),
    };
    change(&mut assignment, &mut signer);
    bench.say(SignedAssignment { cose: assignment.sign(&signer).unwrap() });
    bench.advance(10_000);
    bench
}

fn assert_refused(bench: &Bench, reason: &str) {
    assert!(bench.said(reason), "{:?}", bench.log);
    assert_eq!(bench.running("hello").len(), 1);
    assert_eq!(bench.started.len(), 1);
    assert!(bench.gateway.is_some(), "the session goes on");
}

#[test]
fn the_assignment_that_the_next_tests_spoil_is_a_good_one() {
    let bench = emptied_by(|_, _| {});
    assert!(bench.running("hello").is_empty());
}

#[test]
fn an_assignment_for_another_device_is_refused() {
    let bench = emptied_by(|assignment, _| assignment.device = key(77).public().thumbprint());
    assert_refused(&bench, "an Assignment for another device");
}

#[test]
fn an_assignment_for_another_fleet_is_refused() {
    assert_refused(&emptied_by(|assignment, _| assignment.fleet = "another".into()), "for the fleet");
}

#[test]
fn an_assignment_for_another_session_is_refused() {
    assert_refused(&emptied_by(|assignment, _| assignment.nonce = Nonce([0; 16])), "another session");
}

#[test]
fn an_assignment_through_another_gateway_is_refused() {
    assert_refused(&emptied_by(|assignment, _| assignment.gateway = "gateway-2".into()), "gateway-2");
}

#[test]
fn an_assignment_by_any_other_key_is_refused() {
    let fleet = Fleet::default();
    for other in [fleet.root, fleet.release, fleet.gateway_ca, fleet.gateway, device_key(), key(66)] {
        let bench = emptied_by(|_, signer| *signer = other.clone());
        assert_refused(&bench, "not signed as a Assignment");
    }
}

#[test]
fn a_release_by_another_key_is_refused_and_its_application_waits() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    let forged = two.release.sign(&key(66)).unwrap();
    bench.plan.releases.insert(two.digest().0, forged);
    bench.reassign();
    bench.advance(10_000);
    assert!(bench.said("refused a Release"), "{:?}", bench.log);
    assert_eq!(bench.running("hello"), [module(&one)]);
    assert_eq!(bench.phase("hello"), Some(Phase::Fetching));
    let good = two.release.sign(&bench.plan.fleet.release).unwrap();
    bench.say(SignedRelease { cose: good });
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&two)], "the true one is taken when it comes");
}

#[test]
fn a_release_of_another_application_is_not_run_under_this_name() {
    let one = Built::new("hello", "run 1");
    let other = Built::new("other", "run 2");
    let mut bench = running(&one);
    bench.plan.publish(&other);
    bench.plan.entries = vec![Entry { application: "hello".into(), ..other.entry() }];
    bench.reassign();
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
    let report = bench.reported("hello").unwrap();
    assert!(report.error.unwrap().contains("of the application other"));
}

/// A gateway that answers the first question for bytes with this.
fn answers(change: impl Fn(&mut Chunk) + 'static) -> (Bench, Built) {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    let mut lies = 1;
    bench.plan.tamper = Some(Box::new(move |_, answers| {
        for answer in answers {
            if let GatewayMessage::Chunk(chunk) = answer
                && lies > 0
            {
                lies -= 1;
                change(chunk);
            }
        }
    }));
    bench.run();
    (bench, one)
}

fn assert_left_and_done_by_the_next(mut bench: Bench, one: &Built, reason: &str) {
    assert!(bench.gateway.is_none(), "the session ended");
    assert!(bench.said(reason), "{:?}", bench.log);
    assert!(bench.started.is_empty());
    bench.advance(10_000);
    assert_eq!(bench.addresses[..2], ["one:4433", "two:4433"], "the next gateway is tried");
    assert_eq!(bench.running("hello"), [module(one)]);
}

#[test]
fn a_chunk_of_another_place_ends_the_session() {
    let (bench, one) = answers(|chunk| chunk.offset += 1);
    assert_left_and_done_by_the_next(bench, &one, "other bytes than it was asked for");
}

#[test]
fn a_chunk_of_another_module_ends_the_session() {
    let (bench, one) = answers(|chunk| chunk.digest = ModuleDigest([0; 32]));
    assert_left_and_done_by_the_next(bench, &one, "other bytes than it was asked for");
}

#[test]
fn a_chunk_nobody_asked_for_ends_the_session() {
    let mut bench = running(&Built::new("hello", "run 1"));
    bench.say(Chunk { digest: ModuleDigest([0; 32]), offset: 0, bytes: vec![1] });
    assert!(bench.gateway.is_none());
}

#[test]
fn a_chunk_longer_than_asked_for_ends_the_session() {
    let one = Built::sized("hello", "run 1", 2_050);
    let mut bench = Bench::new();
    assign(&mut bench, &[&one]);
    bench.plan.tamper = Some(Box::new(|_, answers| {
        for answer in answers {
            if let GatewayMessage::Chunk(chunk) = answer {
                chunk.bytes.resize(3, 0);
            }
        }
    }));
    bench.run();
    assert!(bench.gateway.is_none());
    assert!(bench.started.is_empty());
}

#[test]
fn a_module_with_a_wrong_byte_is_thrown_away_whole_and_fetched_again_later() {
    let (mut bench, one) = answers(|chunk| chunk.bytes[100] ^= 1);
    bench.run();
    assert!(bench.started.is_empty());
    assert_eq!(bench.phase("hello"), Some(Phase::Fetching));
    let problem = bench.reported("hello").unwrap().error.unwrap();
    assert!(problem.contains("not the module of the Release"), "{problem}");
    let fetched = bench.plan.fetched;
    bench.advance(1_000);
    assert_eq!(bench.plan.fetched, fetched, "it waits before it tries again");
    bench.advance(10_000);
    assert_eq!(bench.plan.fetched, 2 * one.module.len());
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_gateway_that_lies_for_ever_is_asked_less_and_less_and_the_old_one_runs_on() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let mut bench = running(&one);
    assign(&mut bench, &[&two]);
    bench.plan.tamper = Some(Box::new(|_, answers| {
        for answer in answers {
            if let GatewayMessage::Chunk(chunk) = answer {
                chunk.bytes[7] ^= 0x55;
            }
        }
    }));
    let before = bench.plan.fetched;
    bench.reassign();
    bench.advance(3_600_000);
    let downloads = (bench.plan.fetched - before) / two.module.len();
    assert!((10..25).contains(&downloads), "{downloads} downloads in an hour");
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn garbage_in_place_of_messages_ends_the_session_and_not_the_device() {
    let garbage: [&[u8]; 7] = [
        &[0, 0],
        &[0xff, 0xff, 1],
        &[0, 3, 0x83, 0x02, 0x00],
        &[0, 1, 0xff],
        &[0, 4, 0x83, 0x01, 0x00, 0xf6],
        &[0, 5, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f],
        &[0, 4, 0x83, 0x01, 0x04, 0xa0],
    ];
    for frame in garbage {
        let one = Built::new("hello", "run 1");
        let mut bench = running(&one);
        let (_, gateway) = bench.gateway.as_mut().unwrap();
        gateway.say_raw(frame);
        bench.deliver();
        bench.run();
        assert!(bench.gateway.is_none(), "{frame:?} was taken");
        bench.advance(10_000);
        assert_eq!(bench.hellos(), 2);
        assert_eq!(bench.running("hello"), [module(&one)]);
    }
}

#[test]
fn a_message_of_a_newer_protocol_is_skipped() {
    let mut bench = running(&Built::new("hello", "run 1"));
    let (_, gateway) = bench.gateway.as_mut().unwrap();
    gateway.say_raw(&[0, 5, 0x83, 0x01, 0x18, 0x63, 0xa0]);
    bench.deliver();
    bench.run();
    assert!(bench.gateway.is_some());
}

#[test]
fn a_store_of_another_identity_is_not_acted_on() {
    let one = Built::new("hello", "run 1");
    let mut bench = running(&one);
    bench.options.provisioning.seed = [99; 32];
    bench.online = false;
    bench.reboot();
    bench.run();
    assert!(bench.running("hello").is_empty());
    assert_ne!(bench.agent.public_key(), PublicKey(device_key().public().0));
}

#[test]
fn devices_say_nothing_but_hello_before_they_are_welcomed() {
    let mut bench = Bench::new();
    bench.plan.known = false;
    bench.advance(20_000);
    assert_eq!(bench.plan.heard.len(), 1);
    assert!(matches!(bench.plan.heard[0], DeviceMessage::Hello(_)));
}
