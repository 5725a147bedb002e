//! What is put into a device survives, and nothing else is taken for it.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use wasmbed_agent::{MAX_GATEWAYS, Pairing, Provisioning, ProvisioningError};
use wasmbed_protocol::pairing::Code;

fn good() -> Provisioning {
    Provisioning {
        seed: [1; 32],
        root: [2; 32],
        fleet: "example".into(),
        gateways: vec!["127.0.0.1:4433".into(), "gateway.example.org:4433".into(), "[::1]:4433".into()],
        pairing: Some(Pairing { device: "sensor-1".into(), code: Code::new([7; 16]) }),
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
