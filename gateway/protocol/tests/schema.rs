//! Every message is what `wasmbed.cddl` says, judged by a CDDL implementation that is not ours.
#![allow(clippy::unwrap_used)]

mod samples;

use ciborium::Value;
use wasmbed_protocol::{DeviceMessage, GatewayMessage};

const SCHEMA: &str = include_str!("../wasmbed.cddl");

/// Checks bytes against one rule: the first rule of a CDDL text is the one that counts.
fn check(rule: &str, cbor: &[u8]) -> Result<(), String> {
    let schema = format!("start = {rule}\n{SCHEMA}");
    cddl::validate_cbor_from_slice(&schema, cbor, None).map_err(|error| error.to_string())
}

#[test]
fn every_device_message_is_in_the_schema() {
    for (name, message) in samples::device_messages() {
        check("device-message", &message.encode().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_gateway_message_is_in_the_schema() {
    for (name, message) in samples::gateway_messages() {
        check("gateway-message", &message.encode().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_signed_object_is_in_the_schema() {
    for (name, rule, cose) in samples::signed_objects() {
        check("cose-sign1", &cose).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Value::Array(parts) = ciborium::from_reader(cose.as_slice()).unwrap() else { panic!("{name}: no array") };
        check(rule, parts[2].as_bytes().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The schema would be no check if it accepted anything: each message with a field of another type is outside of it,
/// and the decoder refuses it too.
#[test]
fn a_field_of_another_type_is_outside_the_schema_and_refused() {
    let device = samples::device_messages().into_iter().map(|(name, message)| {
        let decode: fn(&[u8]) -> bool = |body| DeviceMessage::decode(body).is_ok();
        ("device-message", name, message.encode().unwrap(), decode)
    });
    let gateway = samples::gateway_messages().into_iter().map(|(name, message)| {
        let decode: fn(&[u8]) -> bool = |body| GatewayMessage::decode(body).is_ok();
        ("gateway-message", name, message.encode().unwrap(), decode)
    });
    for (rule, name, body, decodes) in device.chain(gateway) {
        let fields = match ciborium::from_reader(body.as_slice()).unwrap() {
            Value::Array(envelope) => envelope[2].as_map().unwrap().len(),
            _ => panic!("{name}: no envelope"),
        };
        check(rule, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
        for field in 0..fields {
            let Ok(Value::Array(mut envelope)) = ciborium::from_reader(body.as_slice()) else { unreachable!() };
            envelope[2].as_map_mut().unwrap()[field].1 = Value::Float(0.5);
            let mut wrong = Vec::new();
            ciborium::into_writer(&Value::Array(envelope), &mut wrong).unwrap();
            assert!(check(rule, &wrong).is_err(), "{name}: the schema accepts a float in field {field}");
            assert!(!decodes(&wrong), "{name}: the decoder accepts a float in field {field}");
        }
    }
}

#[test]
fn unknown_fields_and_trailing_items_of_messages_are_skipped() {
    for (name, message) in samples::device_messages() {
        let Ok(Value::Array(mut envelope)) = ciborium::from_reader(message.encode().unwrap().as_slice()) else {
            panic!("{name}")
        };
        let nested = Value::Array(vec![Value::Map(vec![(1.into(), Value::Tag(5, Box::new(Value::Null)))]); 3]);
        envelope[2].as_map_mut().unwrap().push((Value::from(99), nested));
        envelope.push(Value::Text("from a later version".into()));
        let mut body = Vec::new();
        ciborium::into_writer(&Value::Array(envelope), &mut body).unwrap();
        assert_eq!(DeviceMessage::decode(&body), Ok(message), "{name}");
    }
}
