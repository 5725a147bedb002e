//! Who may be at the other end of the line, and what broken or hostile bytes do to it.

use std::sync::Arc;

use wasmbed_agent::Event;
use wasmbed_protocol::message::Introduction;

use crate::bench::Bench;
use crate::fleet::{Built, Fleet, key};
use crate::gateway::{Gateway, config, config_of, config_that_refuses};
use crate::life::{assign, module, running};

/// A server that holds this key and presents that one; nothing must come of it.
fn refuses(presented: u8, signer: u8) -> Bench {
    let mut bench = Bench::new();
    bench.make_gateway = Box::new(move |_| Gateway::with_config(config(&key(presented), &key(signer))));
    bench.advance(100);
    assert!(bench.plan.heard.is_empty());
    bench
}

#[test]
fn a_server_with_another_key_than_its_credential_is_refused() {
    let bench = refuses(66, 66);
    assert!(bench.said("another TLS key"), "{:?}", bench.log);
}

#[test]
fn a_server_that_presents_the_right_key_and_signs_with_another_is_refused() {
    let bench = refuses(5, 66);
    assert!(bench.said("TLS: the gateway did not prove that it has the key"), "{:?}", bench.log);
}

#[test]
fn a_server_that_speaks_another_protocol_is_refused() {
    for protocols in [vec![], vec![b"h2".to_vec()]] {
        let mut bench = Bench::new();
        bench.make_gateway = Box::new(move |fleet| {
            let mut config = config(&fleet.gateway, &fleet.gateway);
            config.alpn_protocols = protocols.clone();
            Gateway::with_config(config)
        });
        bench.advance(100);
        assert!(bench.plan.heard.is_empty());
        assert!(bench.said("no session"), "{:?}", bench.log);
    }
}

#[test]
fn a_server_without_a_key_or_with_several_is_refused() {
    for count in [0, 2] {
        let mut bench = Bench::new();
        bench.make_gateway =
            Box::new(move |fleet| Gateway::with_config(config_of(vec![fleet.gateway.public(); count], &fleet.gateway)));
        bench.advance(100);
        assert!(bench.plan.heard.is_empty());
        assert!(bench.said("no session: TLS"), "{:?}", bench.log);
    }
}

#[test]
fn a_device_whose_key_is_refused_learns_it_although_its_own_handshake_was_done() {
    let mut bench = Bench::new();
    bench.make_gateway = Box::new(|fleet| Gateway::with_config(config_that_refuses(&fleet.gateway)));
    bench.advance(60_000);
    assert!(bench.plan.heard.is_empty());
    assert!(bench.said("no session: TLS"), "{:?}", bench.log);
    assert!(bench.addresses.len() < 30, "it backs off: {} attempts in a minute", bench.addresses.len());
}

#[test]
fn a_device_proves_its_own_key() {
    let bench = running(&Built::new("hello", "run 1"));
    let (_, gateway) = bench.gateway.as_ref().unwrap();
    let presented = gateway.tls.peer_certificates().unwrap();
    let public = wasmbed_protocol::spki::decode(&presented[0]).unwrap();
    assert_eq!(public, bench.agent.public_key());
}

/// What the server sends up to the end of the handshake, record by record.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 5 {
        let length = 5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        records.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    records
}

/// Gives the device's first flight to a real server and hands its answer, changed, to the device.
fn handshake_with(change: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Bench {
    let mut bench = Bench::new();
    bench.online = true;
    bench.make_gateway = Box::new(|fleet| Gateway::with_config(config(&fleet.gateway, &fleet.gateway)));
    bench.before_delivery = Some(Box::new(change));
    bench.run();
    bench
}

#[test]
fn a_handshake_with_a_record_left_out_is_refused() {
    // A machine in the middle cannot read which record is which, but it can drop any of them.
    let kinds = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = kinds.clone();
    let good = handshake_with(move |bytes| {
        seen.lock().unwrap().extend(records(&bytes).iter().map(|record| record[0]));
        bytes
    });
    assert_eq!(good.hellos(), 1);
    let kinds = kinds.lock().unwrap().clone();
    // ServerHello in the clear, ChangeCipherSpec (which means nothing), the encrypted flight, the introduction.
    assert_eq!(kinds[..4], [22, 20, 23, 23]);
    for dropped in [0, 2, 3] {
        let position = std::sync::Mutex::new(0);
        let bench = handshake_with(move |bytes| {
            let mut position = position.lock().unwrap();
            records(&bytes)
                .into_iter()
                .filter(|_| {
                    *position += 1;
                    *position - 1 != dropped
                })
                .collect::<Vec<_>>()
                .concat()
        });
        assert!(!bench.said("in session"), "a session without record {dropped} was believed");
    }
}

#[test]
fn after_any_changed_byte_the_device_comes_back_and_nothing_panics() {
    let length = Arc::new(std::sync::Mutex::new(0));
    let seen = length.clone();
    handshake_with(move |bytes| {
        *seen.lock().unwrap() += bytes.len();
        bytes
    });
    let length = *length.lock().unwrap();
    for place in (0..length).step_by(3) {
        let position = std::sync::Mutex::new(0);
        let mut bench = handshake_with(move |mut bytes| {
            let mut position = position.lock().unwrap();
            if (*position..*position + bytes.len()).contains(&place) {
                bytes[place - *position] ^= 0x40;
            }
            *position += bytes.len();
            bytes
        });
        bench.before_delivery = None;
        bench.advance(40_000);
        assert!(bench.said("in session"), "a changed byte {place} left the device in between: {:?}", bench.log);
    }
}

#[test]
fn a_handshake_in_single_bytes_works() {
    let one = Built::new("hello", "run 1");
    let mut bench = Bench::new();
    bench.piecewise = true;
    assign(&mut bench, &[&one]);
    bench.advance(10_000);
    assert_eq!(bench.running("hello"), [module(&one)]);
}

#[test]
fn a_connection_closed_at_any_byte_of_the_handshake_is_survived() {
    let length = Arc::new(std::sync::Mutex::new(0));
    let seen = length.clone();
    handshake_with(move |bytes| {
        *seen.lock().unwrap() += bytes.len();
        bytes
    });
    let length = *length.lock().unwrap();
    for kept in (0..length).step_by(7) {
        let position = std::sync::Mutex::new(0);
        let mut bench = handshake_with(move |mut bytes| {
            let mut position = position.lock().unwrap();
            let room = kept.saturating_sub(*position).min(bytes.len());
            *position += bytes.len();
            bytes.truncate(room);
            bytes
        });
        bench.before_delivery = None;
        bench.hang_up();
        bench.advance(2_000);
        assert!(bench.said("in session"), "{:?}", bench.log);
    }
}

#[test]
fn plain_text_on_the_port_is_survived() {
    let mut bench = Bench::new();
    bench.before_delivery = Some(Box::new(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    bench.advance(1_000);
    assert!(bench.said("no session"), "{:?}", bench.log);
}

#[test]
fn a_record_larger_than_the_protocol_allows_is_refused_and_not_buffered() {
    let mut bench = running(&Built::new("hello", "run 1"));
    let connection = bench.gateway.as_ref().unwrap().0;
    let mut bytes = vec![23, 3, 3, 0x3f, 0xff];
    bytes.resize(20_000, 0);
    bench.hand(Event::Received { connection, bytes });
    assert!(bench.gateway.is_none());
    assert!(bench.said("record larger than"), "{:?}", bench.log);
}

#[test]
fn an_introduction_made_for_another_connection_is_worthless() {
    let fleet = Fleet::default();
    let mut bench = refuses(66, 66);
    // The attacker holds a key of its own and replays the true gateway's introduction.
    bench.plan.introduction =
        Some(Introduction { keyset: fleet.keyset(), credential: fleet.credential(fleet.gateway.public()) });
    bench.advance(60_000);
    assert!(bench.plan.heard.is_empty());
}
