//! Each rule by which a signed object is refused, one test each.
#![allow(clippy::unwrap_used)]

mod samples;

use ciborium::Value;
use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use samples::{ASSIGNMENT, DEVICE, GATEWAY_CA, NONCE, RELEASE, ROOT, TLS, key, keyset};
use wasmbed_protocol::limits::MAX_SIGNED;
use wasmbed_protocol::signed::Expected;
use wasmbed_protocol::{
    Assignment, Credential, DecodeError, KeySet, Nonce, Refusal, Release, ReleaseDigest, SignError, SigningKey,
};

fn verify_keyset(cose: &[u8], stored: u64) -> Result<KeySet, Refusal> {
    KeySet::verify(cose, &key(ROOT).public(), "example", stored)
}

fn verify_assignment(cose: &[u8]) -> Result<Assignment, Refusal> {
    let device = key(DEVICE).public();
    Assignment::verify(
        cose,
        &keyset(),
        &Expected { device: &device, nonce: &NONCE, gateway: "gateway-1", last: Some(10) },
    )
}

/// Signs any payload as if it were an object with this `external_aad`.
fn forge(payload: Vec<u8>, aad: &[u8], key: &SigningKey) -> Vec<u8> {
    CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
        .payload(payload)
        .create_signature(aad, |message| key.sign(message).to_vec())
        .build()
        .to_vec()
        .unwrap()
}

fn payload(cose: &[u8]) -> Value {
    ciborium::from_reader(CoseSign1::from_slice(cose).unwrap().payload.unwrap().as_slice()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_signed_by_the_right_keys_is_believed() {
    assert_eq!(verify_keyset(&keyset().sign(&key(ROOT)).unwrap(), 3).unwrap(), keyset());
    let credential = samples::credential().sign(&key(GATEWAY_CA)).unwrap();
    assert_eq!(Credential::verify(&credential, &keyset(), &key(TLS).public()).unwrap(), samples::credential());
    let release = samples::release().sign(&key(RELEASE)).unwrap();
    let digest = samples::release().digest().unwrap();
    assert_eq!(Release::verify(&release, &keyset()).unwrap(), (digest, samples::release()));
    assert_eq!(Release::verify_named(&release, &keyset(), &digest).unwrap(), samples::release());
    let assignment = samples::assignment().sign(&key(ASSIGNMENT)).unwrap();
    assert_eq!(verify_assignment(&assignment).unwrap(), samples::assignment());
}

#[test]
fn any_of_several_release_keys_may_sign() {
    let keyset = KeySet { release: vec![key(20).public(), key(21).public()], ..keyset() };
    let cose = samples::release().sign(&key(21)).unwrap();
    assert!(Release::verify(&cose, &keyset).is_ok());
}

#[test]
fn a_wrong_key_is_refused() {
    let wrong = key(99);
    assert_eq!(verify_keyset(&keyset().sign(&wrong).unwrap(), 0), Err(Refusal::Signature("KeySet")));
    let credential = samples::credential().sign(&wrong).unwrap();
    assert_eq!(
        Credential::verify(&credential, &keyset(), &key(TLS).public()),
        Err(Refusal::Signature("gateway credential"))
    );
    let release = samples::release().sign(&wrong).unwrap();
    assert_eq!(Release::verify(&release, &keyset()), Err(Refusal::Signature("Release")));
    let assignment = samples::assignment().sign(&wrong).unwrap();
    assert_eq!(verify_assignment(&assignment), Err(Refusal::Signature("Assignment")));
}

#[test]
fn keys_are_not_believed_outside_their_office() {
    let release = samples::release().sign(&key(ASSIGNMENT)).unwrap();
    assert_eq!(Release::verify(&release, &keyset()), Err(Refusal::Signature("Release")));
    let assignment = samples::assignment().sign(&key(RELEASE)).unwrap();
    assert_eq!(verify_assignment(&assignment), Err(Refusal::Signature("Assignment")));
    assert_eq!(verify_keyset(&keyset().sign(&key(GATEWAY_CA)).unwrap(), 0), Err(Refusal::Signature("KeySet")));
}

#[test]
fn an_object_does_not_pass_for_one_of_another_type() {
    let keyset = KeySet { assignment: vec![key(RELEASE).public()], ..keyset() };
    let payload = bytes(&payload(&samples::assignment().sign(&key(RELEASE)).unwrap()));
    let expected = Expected { device: &key(DEVICE).public(), nonce: &NONCE, gateway: "gateway-1", last: None };
    let right = forge(payload.clone(), b"wasmbed/1 Assignment", &key(RELEASE));
    assert!(Assignment::verify(&right, &keyset, &expected).is_ok());
    for aad in ["", "wasmbed/1 Release", "wasmbed/1 KeySet", "wasmbed/1 Credential"] {
        let confused = forge(payload.clone(), aad.as_bytes(), &key(RELEASE));
        assert_eq!(Assignment::verify(&confused, &keyset, &expected), Err(Refusal::Signature("Assignment")), "{aad:?}");
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let cose = samples::assignment().sign(&key(ASSIGNMENT)).unwrap();
    for at in 0..cose.len() {
        for bit in 0..8 {
            let mut changed = cose.clone();
            changed[at] ^= 1 << bit;
            assert!(verify_assignment(&changed).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let cose = samples::assignment().sign(&key(ASSIGNMENT)).unwrap();
    for end in 0..cose.len() {
        assert!(verify_assignment(&cose[..end]).is_err(), "{end}");
    }
    assert_eq!(verify_assignment(&[&cose[..], &[0]].concat()), Err(Refusal::Envelope));
}

#[test]
fn an_unknown_field_is_refused() {
    let mut value = payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap());
    value.as_map_mut().unwrap().push((6.into(), true.into()));
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::Payload(DecodeError::UnknownField(6))));
}

#[test]
fn an_unknown_field_deep_inside_is_refused() {
    let mut value = payload(&samples::release().sign(&key(RELEASE)).unwrap());
    let limits = &mut value.as_map_mut().unwrap()[4].1;
    limits.as_map_mut().unwrap().push((3.into(), 1.into()));
    let cose = forge(bytes(&value), b"wasmbed/1 Release", &key(RELEASE));
    assert_eq!(Release::verify(&cose, &keyset()), Err(Refusal::Payload(DecodeError::UnknownField(3))));
}

#[test]
fn a_payload_that_is_not_deterministic_is_refused() {
    let empty = samples::empty_assignment().sign(&key(ASSIGNMENT)).unwrap();
    let mut value = payload(&empty);
    value.as_map_mut().unwrap().push((5.into(), Value::Array(vec![])));
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::NotDeterministic), "an empty list that should be absent");

    let mut long = bytes(&payload(&empty));
    assert_eq!(long[1], 0x00, "the first key");
    long.splice(1..2, [0x18, 0x00]);
    let cose = forge(long, b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::NotDeterministic), "a number longer than it need be");

    let mut value = payload(&samples::release().sign(&key(RELEASE)).unwrap());
    let environment = &mut value.as_map_mut().unwrap()[3].1.as_map_mut().unwrap()[0].1;
    environment.as_map_mut().unwrap().reverse();
    let cose = forge(bytes(&value), b"wasmbed/1 Release", &key(RELEASE));
    assert_eq!(Release::verify(&cose, &keyset()), Err(Refusal::NotDeterministic), "keys in another order");
}

#[test]
fn repeated_and_disordered_fields_are_refused() {
    let mut value = payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap());
    value.as_map_mut().unwrap().swap(0, 1);
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::Payload(DecodeError::Order(0))));
    let mut value = payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap());
    let first = value.as_map().unwrap()[0].clone();
    value.as_map_mut().unwrap().insert(0, first);
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::Payload(DecodeError::Order(0))));
}

#[test]
fn a_missing_field_is_refused() {
    let mut value = payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap());
    value.as_map_mut().unwrap().remove(3);
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(Refusal::Payload(DecodeError::Missing("Assignment.n"))));
}

#[test]
fn another_algorithm_or_a_critical_header_is_refused() {
    let payload = bytes(&payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap()));
    let builders = [
        HeaderBuilder::new().algorithm(iana::Algorithm::ES256),
        HeaderBuilder::new(),
        HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).add_critical(iana::HeaderParameter::ContentType),
        HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(vec![1]),
        HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).value(99, true.into()),
    ];
    for header in builders {
        let cose = CoseSign1Builder::new()
            .protected(header.build())
            .payload(payload.clone())
            .create_signature(b"wasmbed/1 Assignment", |message| key(ASSIGNMENT).sign(message).to_vec())
            .build();
        assert_eq!(verify_assignment(&cose.to_vec().unwrap()), Err(Refusal::Header));
    }
    let mut cose = CoseSign1::from_slice(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap()).unwrap();
    cose.unprotected = HeaderBuilder::new().key_id(vec![1]).build();
    assert_eq!(verify_assignment(&cose.to_vec().unwrap()), Err(Refusal::Header), "an unprotected header");
}

#[test]
fn a_detached_payload_is_refused() {
    let mut cose = CoseSign1::from_slice(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap()).unwrap();
    cose.payload = None;
    assert_eq!(verify_assignment(&cose.to_vec().unwrap()), Err(Refusal::Envelope));
}

#[test]
fn a_deeply_nested_object_is_refused_and_overflows_no_stack() {
    for byte in [0x81, 0xa1, 0xc1, 0x9f, 0xbf, 0xd8] {
        let deep = vec![byte; MAX_SIGNED];
        assert_eq!(verify_assignment(&deep), Err(Refusal::Envelope));
        let inside = forge(vec![byte; 2048], b"wasmbed/1 Assignment", &key(ASSIGNMENT));
        assert!(matches!(verify_assignment(&inside), Err(Refusal::Payload(_))));
    }
}

#[test]
fn an_oversized_object_is_refused_and_not_signed() {
    assert_eq!(verify_assignment(&vec![0x84; MAX_SIGNED + 1]), Err(Refusal::Oversized(MAX_SIGNED + 1)));
    let mut release = samples::release();
    release.config.args = vec!["x".repeat(400); 8];
    assert!(matches!(release.sign(&key(RELEASE)), Err(SignError::TooLong(_))));
    release.config.args = vec![String::new(); 33];
    assert!(matches!(release.sign(&key(RELEASE)), Err(SignError::TooLong(_))));
}

#[test]
fn the_largest_object_that_can_be_signed_is_also_believed() {
    let mut release = samples::bare_release();
    let signed = (0..3000).rev().find_map(|length| {
        release.config.args = vec!["x".repeat(length)];
        release.sign(&key(RELEASE)).ok()
    });
    let signed = signed.unwrap();
    assert!(signed.len() <= MAX_SIGNED && signed.len() > MAX_SIGNED - 20, "{}", signed.len());
    assert!(Release::verify(&signed, &keyset()).is_ok());
}

#[test]
fn an_older_keyset_is_refused() {
    let cose = keyset().sign(&key(ROOT)).unwrap();
    assert_eq!(verify_keyset(&cose, 4), Err(Refusal::OldEpoch { found: 3, stored: 4 }));
    assert!(verify_keyset(&cose, 3).is_ok());
}

#[test]
fn objects_of_another_fleet_are_refused() {
    let other = |error| matches!(error, Refusal::OtherFleet { found, .. } if found == "other");
    let cose = KeySet { fleet: "other".into(), ..keyset() }.sign(&key(ROOT)).unwrap();
    assert!(other(verify_keyset(&cose, 0).unwrap_err()));
    let cose = Credential { fleet: "other".into(), ..samples::credential() }.sign(&key(GATEWAY_CA)).unwrap();
    assert!(other(Credential::verify(&cose, &keyset(), &key(TLS).public()).unwrap_err()));
    let cose = Release { fleet: "other".into(), ..samples::release() }.sign(&key(RELEASE)).unwrap();
    assert!(other(Release::verify(&cose, &keyset()).unwrap_err()));
    let cose = Assignment { fleet: "other".into(), ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
    assert!(other(verify_assignment(&cose).unwrap_err()));
}

#[test]
fn a_credential_for_another_tls_key_is_refused() {
    let cose = samples::credential().sign(&key(GATEWAY_CA)).unwrap();
    assert_eq!(Credential::verify(&cose, &keyset(), &key(98).public()), Err(Refusal::OtherTlsKey));
}

#[test]
fn an_assignment_for_another_device_is_refused() {
    let cose =
        Assignment { device: key(97).public().thumbprint(), ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
    assert_eq!(verify_assignment(&cose), Err(Refusal::OtherDevice));
}

#[test]
fn an_assignment_of_another_session_is_refused() {
    let cose = Assignment { nonce: Nonce([0; 16]), ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
    assert_eq!(verify_assignment(&cose), Err(Refusal::OtherSession));
}

#[test]
fn an_assignment_through_another_gateway_is_refused() {
    let cose = Assignment { gateway: "gateway-2".into(), ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
    assert_eq!(verify_assignment(&cose), Err(Refusal::OtherGateway("gateway-2".into())));
}

#[test]
fn an_assignment_that_is_not_newer_than_the_last_is_refused() {
    for n in [0, 9, 10] {
        let cose = Assignment { n, ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
        assert_eq!(verify_assignment(&cose), Err(Refusal::NotNewer { found: n, last: 10 }));
    }
    let cose = Assignment { n: 11, ..samples::assignment() }.sign(&key(ASSIGNMENT)).unwrap();
    assert!(verify_assignment(&cose).is_ok());
}

#[test]
fn an_assignment_that_names_an_application_twice_is_refused_and_not_signed() {
    let mut assignment = samples::assignment();
    assignment.entries[1].application = "hello".into();
    let refusal = Refusal::DuplicateApplication("hello".into());
    assert_eq!(assignment.sign(&key(ASSIGNMENT)), Err(SignError::WouldBeRefused(refusal.clone())));

    let mut value = payload(&samples::assignment().sign(&key(ASSIGNMENT)).unwrap());
    let entries = value.as_map_mut().unwrap()[5].1.as_array_mut().unwrap();
    entries[1].as_map_mut().unwrap()[0].1 = "hello".into();
    let cose = forge(bytes(&value), b"wasmbed/1 Assignment", &key(ASSIGNMENT));
    assert_eq!(verify_assignment(&cose), Err(refusal));
}

#[test]
fn an_assignment_out_of_order_is_refused() {
    let mut assignment = samples::assignment();
    assignment.entries.reverse();
    assert!(matches!(assignment.sign(&key(ASSIGNMENT)), Err(SignError::WouldBeRefused(Refusal::Content(_)))));
}

#[test]
fn a_release_that_was_not_asked_for_is_refused() {
    let cose = samples::release().sign(&key(RELEASE)).unwrap();
    let asked = ReleaseDigest([0; 32]);
    assert_eq!(Release::verify_named(&cose, &keyset(), &asked), Err(Refusal::OtherRelease));
}

#[test]
fn a_release_without_artifacts_or_of_impossible_size_is_refused() {
    let mut release = samples::release();
    release.artifacts[0].size = (16 << 20) + 1;
    assert!(matches!(release.sign(&key(RELEASE)), Err(SignError::WouldBeRefused(Refusal::Content(_)))));
    release.artifacts.clear();
    assert!(matches!(release.sign(&key(RELEASE)), Err(SignError::WouldBeRefused(Refusal::Content(_)))));
}

#[test]
fn a_weak_key_verifies_nothing() {
    // The neutral element: with it, a permissive verifier accepts one signature for every message.
    let mut weak = [0; 32];
    weak[0] = 1;
    let weak = wasmbed_protocol::PublicKey(weak);
    assert!(!weak.is_usable());
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!weak.verify(b"anything", &signature));
    assert!(key(1).public().is_usable());
}

#[test]
fn the_same_content_is_the_same_release() {
    let mut other = samples::release();
    other.config.env = [("PIN".to_owned(), "led0".to_owned()), ("INTERVAL".to_owned(), "500".to_owned())].into();
    assert_eq!(other.digest(), samples::release().digest());
    other.limits.memory += 1;
    assert_ne!(other.digest(), samples::release().digest());
}
