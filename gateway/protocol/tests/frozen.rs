//! The bytes of version 1 are frozen in `vectors/v1`. When one of these tests fails, a change would break devices in the
//! field: make it a new optional field or a new version instead. Vectors are added, never changed.
#![allow(clippy::unwrap_used)]

mod samples;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use wasmbed_protocol::pairing::Code;
use wasmbed_protocol::signed::Expected;
use wasmbed_protocol::{Assignment, Credential, DeviceMessage, GatewayMessage, KeySet, Release};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1")
}

/// The frozen bytes. A vector that is not there yet is written when `WASMBED_ADD_VECTORS` is set; none is overwritten.
fn frozen(name: &str, now: &[u8]) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    if !path.exists() && std::env::var_os("WASMBED_ADD_VECTORS").is_some() {
        let mut text = String::new();
        for line in now.chunks(32) {
            line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_a_device_of_version_1_sends_means_the_same_and_looks_the_same() {
    for (name, message) in samples::device_messages() {
        let now = message.encode().unwrap();
        let then = frozen(&format!("device-{name}"), &now);
        assert_eq!(DeviceMessage::decode(&then), Ok(message), "{name} no longer means what it meant");
        assert_eq!(now, then, "{name} no longer looks as it looked");
    }
}

#[test]
fn what_a_gateway_of_version_1_sends_means_the_same_and_looks_the_same() {
    for (name, message) in samples::gateway_messages() {
        let now = message.encode().unwrap();
        let then = frozen(&format!("gateway-{name}"), &now);
        assert_eq!(GatewayMessage::decode(&then), Ok(message), "{name} no longer means what it meant");
        assert_eq!(now, then, "{name} no longer looks as it looked");
    }
}

#[test]
fn what_was_signed_in_version_1_is_still_believed() {
    for (name, _, cose) in samples::signed_objects() {
        let then = frozen(&format!("signed-{name}"), &cose);
        assert_eq!(cose, then, "{name} no longer looks as it looked");
    }
    let read = |name| frozen(&format!("signed-{name}"), &[]);
    let keyset = KeySet::verify(&read("key-set"), &samples::key(samples::ROOT).public(), "example", 3).unwrap();
    assert_eq!(keyset, samples::keyset());
    let tls = samples::key(samples::TLS).public();
    assert_eq!(Credential::verify(&read("credential"), &keyset, &tls).unwrap(), samples::credential());
    let (digest, release) = Release::verify(&read("release"), &keyset).unwrap();
    assert_eq!(release, samples::release());
    assert_eq!(
        digest.to_string(),
        "47e3aa571dac43facdba0374e7a645696bbd07940cc945a1d6e7ca59204fae34",
        "a Release has got another name"
    );
    let device = samples::key(samples::DEVICE).public();
    let expected = Expected { device: &device, nonce: &samples::NONCE, gateway: "gateway-1", last: None };
    assert_eq!(Assignment::verify(&read("assignment"), &keyset, &expected).unwrap(), samples::assignment());
}

#[test]
fn a_pairing_code_gives_the_key_it_always_gave() {
    let code = Code::new([10; 16]);
    assert_eq!(code.to_text().as_str(), "0A18-50M2-GA18-50M2-GA18-50M2-GAQM");
    assert_eq!(code.key().public().to_string(), "70e7dfc3cd574f622fef1308aa16125f1a48ff3aeea875547bdcafd3239f9a83");
}

#[test]
fn no_vector_was_taken_away_and_none_is_unused() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".hex").to_owned())
        .collect();
    let used = samples::device_messages().into_iter().map(|(name, _)| format!("device-{name}"));
    let used = used.chain(samples::gateway_messages().into_iter().map(|(name, _)| format!("gateway-{name}")));
    let used = used.chain(samples::signed_objects().into_iter().map(|(name, ..)| format!("signed-{name}")));
    assert_eq!(there, used.collect());
}
