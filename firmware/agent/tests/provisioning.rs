//! What is put into a device survives, and nothing else is taken for it.
#![allow(clippy::unwrap_used, missing_docs)]

use ciborium::Value;
use proptest::prelude::*;
use wasmbed_agent::{MAX_GATEWAYS, Pairing, Provisioning, ProvisioningError, StaticAddress};
use wasmbed_protocol::pairing::Code;

fn good() -> Provisioning {
    Provisioning {
        seed: [1; 32],
        root: [2; 32],
        fleet: "example".into(),
        gateways: vec!["127.0.0.1:4433".into(), "gateway.example.org:4433".into(), "[::1]:4433".into()],
        pairing: Some(Pairing { device: "sensor-1".into(), code: Code::new([7; 16]) }),
        address: None,
    }
}

#[test]
fn what_was_written_is_read_back() {
    for pairing in [None, good().pairing.clone()] {
        let mut provisioning = good();
        provisioning.pairing = pairing;
        assert!(Provisioning::decode(&provisioning.encode().unwrap()).unwrap() == provisioning);
    }
}

#[test]
fn an_address_given_by_hand_is_read_back_and_without_one_the_bytes_are_as_before() {
    let mut provisioning = good();
    let before = provisioning.encode().unwrap();
    assert!(!before.windows(8).any(|bytes| bytes == b"\x67address"), "older devices refuse fields they do not know");
    for (router, dns) in [(None, None), (Some([192, 168, 1, 1]), Some([9, 9, 9, 9]))] {
        provisioning.address = Some(StaticAddress { address: [192, 168, 1, 7], prefix: 24, router, dns });
        assert!(Provisioning::decode(&provisioning.encode().unwrap()).unwrap() == provisioning);
    }
    for prefix in [0, 31, 32, 255] {
        provisioning.address = Some(StaticAddress { address: [192, 168, 1, 7], prefix, router: None, dns: None });
        assert!(matches!(provisioning.encode(), Err(ProvisioningError::Unusable { field: "address", .. })));
    }
}

/// Devices and folders out there hold what another CBOR library wrote.
#[test]
fn the_bytes_are_one_cbor_map_of_named_fields() {
    let text = |text: &str| Value::Text(text.into());
    let mut address = good();
    address.address =
        Some(StaticAddress { address: [192, 168, 1, 7], prefix: 24, router: None, dns: Some([9, 9, 9, 9]) });
    let map = Value::Map(vec![
        (text("version"), 1.into()),
        (text("seed"), Value::Bytes(vec![1; 32])),
        (text("root"), Value::Bytes(vec![2; 32])),
        (text("fleet"), text("example")),
        (text("gateways"), Value::Array(good().gateways.iter().map(|gateway| text(gateway)).collect())),
        (
            text("pairing"),
            Value::Map(vec![(text("device"), text("sensor-1")), (text("code"), text(&Code::new([7; 16]).to_text()))]),
        ),
        (
            text("address"),
            Value::Map(vec![
                (text("address"), Value::Bytes(vec![192, 168, 1, 7])),
                (text("prefix"), 24.into()),
                (text("dns"), Value::Bytes(vec![9; 4])),
            ]),
        ),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&map, &mut bytes).unwrap();
    assert_eq!(address.encode().unwrap(), bytes);
}

#[test]
fn a_field_that_is_unknown_or_there_twice_is_refused() {
    let good = good().encode().unwrap();
    for (more, problem) in [(&b"\x65other\x01"[..], "unknown field"), (b"\x65fleet\x61x", "twice")] {
        let mut bytes = good.clone();
        bytes[0] += 1;
        bytes.extend(more);
        let error = Provisioning::decode(&bytes).err().unwrap().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn every_shorter_piece_is_refused() {
    let bytes = good().encode().unwrap();
    for length in 0..bytes.len() {
        assert!(Provisioning::decode(&bytes[..length]).is_err(), "the first {length} bytes were taken");
    }
}

#[test]
fn values_out_of_their_range_are_refused_both_ways() {
    let spoil: [fn(&mut Provisioning); 8] = [
        |p| p.fleet.clear(),
        |p| p.fleet = "x".repeat(254),
        |p| p.gateways.clear(),
        |p| p.gateways = vec!["host:1".into(); MAX_GATEWAYS + 1],
        |p| p.gateways[0] = "no-port".into(),
        |p| p.gateways[0] = ":4433".into(),
        |p| p.gateways[0] = "host:99999".into(),
        |p| p.pairing.as_mut().unwrap().device.clear(),
    ];
    for spoil in spoil {
        let mut provisioning = good();
        spoil(&mut provisioning);
        let error = provisioning.encode().unwrap_err();
        assert!(matches!(error, ProvisioningError::Unusable { .. }));
        assert!(error.to_string().contains("wasmbed provision"), "{error}");
    }
}

#[test]
fn a_file_of_a_newer_program_is_refused_by_its_number() {
    let mut bytes = good().encode().unwrap();
    let version = bytes.windows(7).position(|bytes| bytes == b"version").unwrap() + 7;
    bytes[version] = 2;
    assert_eq!(Provisioning::decode(&bytes).err(), Some(ProvisioningError::Version(2)));
}

#[test]
fn secrets_do_not_show_in_logs() {
    let shown = format!("{:?}", good());
    assert!(!shown.contains("[1, 1") && !shown.contains(&*Code::new([7; 16]).to_text()), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = Provisioning::decode(&bytes);
    }

    #[test]
    fn any_changed_byte_is_read_or_refused(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = good().encode().unwrap();
        let place = place.index(bytes.len());
        bytes[place] = value;
        let _ = Provisioning::decode(&bytes);
    }
}
