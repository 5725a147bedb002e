//! Whatever comes over the wire, decoders answer and never panic; whatever was encoded, they give back.
#![allow(clippy::unwrap_used)]

mod samples;

use proptest::collection::vec;
use proptest::prelude::*;
use wasmbed_protocol::limits::{MAX_FRAME, MAX_SIGNED};
use wasmbed_protocol::message::{Chunk, Fetch, Heartbeat, Log, Output, Phase, Pulse, Report, Throttled};
use wasmbed_protocol::pairing::{Code, Proof, exporter_from_secret};
use wasmbed_protocol::{
    Assignment, Credential, DeviceMessage, FrameDecoder, FrameError, GatewayMessage, KeySet, ModuleDigest, PublicKey,
    Release, ReleaseDigest, Thumbprint, frame, spki,
};

fn decode_everything(bytes: &[u8]) {
    let _ = DeviceMessage::decode(bytes);
    let _ = GatewayMessage::decode(bytes);
    let _ = KeySet::read_unverified(bytes);
    let _ = Credential::read_unverified(bytes);
    let _ = Release::read_unverified(bytes);
    let _ = Assignment::read_unverified(bytes);
    let _ = spki::decode(bytes);
    let _ = exporter_from_secret(bytes);
}

fn phase() -> impl Strategy<Value = Phase> {
    (0..Phase::ALL.len()).prop_map(|index| Phase::ALL[index])
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,62}"
}

fn device_message() -> impl Strategy<Value = DeviceMessage> {
    let throttled = prop::option::of((0..Throttled::ALL.len()).prop_map(|index| Throttled::ALL[index]));
    let error = (any::<Option<String>>(), throttled);
    let report = (name(), any::<[u8; 32]>(), phase(), any::<u32>(), error, any::<Option<[u8; 32]>>())
        .prop_filter("reasons are short", |report| report.4.0.as_ref().is_none_or(|text| text.len() <= 256))
        .prop_map(|(application, release, phase, restarts, (error, throttled), fallback)| Report {
            application,
            release: ReleaseDigest(release),
            phase,
            restarts,
            error,
            fallback: fallback.map(ReleaseDigest),
            throttled,
        });
    let pulse = (name(), phase(), any::<u64>(), any::<u32>())
        .prop_map(|(application, phase, cpu_ms, restarts)| Pulse { application, phase, cpu_ms, restarts });
    prop_oneof![
        report.prop_map(DeviceMessage::from),
        (any::<u64>(), any::<u32>(), vec(pulse, 0..16)).prop_map(|(uptime_ms, memory_free, applications)| {
            Heartbeat { uptime_ms, memory_free, applications }.into()
        }),
        (any::<[u8; 32]>(), any::<u32>(), any::<u32>()).prop_map(|(digest, offset, length)| Fetch {
            digest: ModuleDigest(digest),
            offset,
            length
        }
        .into()),
        (name(), "[a-z/]{0,64}", vec(any::<u8>(), 0..1024), any::<Option<u32>>())
            .prop_map(|(application, topic, payload, dropped)| Output { application, topic, payload, dropped }.into()),
        (proptest::option::of(name()), ".{0,100}", any::<Option<u32>>()).prop_map(|(application, text, dropped)| {
            Log { application, level: wasmbed_protocol::message::Level::Info, text, dropped }.into()
        }),
    ]
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..512)) {
        decode_everything(&bytes);
    }

    /// Bytes near real messages get further into the decoders than random ones.
    #[test]
    fn damaged_messages_never_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..9)) {
        let mut all: Vec<Vec<u8>> = samples::device_messages().iter().map(|(_, message)| message.encode().unwrap()).collect();
        all.extend(samples::gateway_messages().iter().map(|(_, message)| message.encode().unwrap()));
        all.extend(samples::signed_objects().into_iter().map(|(.., cose)| cose));
        let mut bytes = which.get(&all).clone();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + with.len());
        bytes.splice(at..end, with);
        decode_everything(&bytes);
    }

    #[test]
    fn a_message_comes_back_as_it_was(message in device_message()) {
        let body = message.encode().unwrap();
        prop_assert!(body.len() <= MAX_FRAME);
        prop_assert_eq!(DeviceMessage::decode(&body), Ok(message));
    }

    #[test]
    fn a_chunk_comes_back_as_it_was(digest: [u8; 32], offset: u32, bytes in vec(any::<u8>(), 0..=2048)) {
        let message = GatewayMessage::from(Chunk { digest: ModuleDigest(digest), offset, bytes });
        prop_assert_eq!(GatewayMessage::decode(&message.encode().unwrap()), Ok(message));
    }

    #[test]
    fn frames_come_back_however_the_stream_is_cut(bodies in vec(vec(any::<u8>(), 1..300), 0..8), cuts in vec(1usize..50, 1..40)) {
        let mut stream = Vec::new();
        for body in &bodies {
            frame::write(body, &mut stream).unwrap();
        }
        let mut decoder = FrameDecoder::new();
        let mut found = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut piece, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            while let Some(body) = decoder.next(&mut piece).unwrap() {
                found.push(body);
            }
            prop_assert!(piece.is_empty());
        }
        prop_assert!(decoder.is_between_frames());
        prop_assert_eq!(found, bodies);
    }

    #[test]
    fn any_stream_of_bytes_is_cut_without_a_panic(bytes in vec(any::<u8>(), 0..2000)) {
        let mut decoder = FrameDecoder::new();
        let mut input = bytes.as_slice();
        while let Ok(Some(body)) = decoder.next(&mut input) {
            prop_assert!((1..=MAX_FRAME).contains(&body.len()));
        }
    }

    #[test]
    fn names_come_back_from_their_text(bytes: [u8; 32]) {
        prop_assert_eq!(Thumbprint(bytes).to_string().parse(), Ok(Thumbprint(bytes)));
        let json = serde_json::to_string(&PublicKey(bytes)).unwrap();
        prop_assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), PublicKey(bytes));
        let mut cbor = Vec::new();
        ciborium::into_writer(&PublicKey(bytes), &mut cbor).unwrap();
        prop_assert_eq!(ciborium::from_reader::<PublicKey, _>(cbor.as_slice()).unwrap(), PublicKey(bytes));
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in ".{0,80}") {
        let _ = text.parse::<ReleaseDigest>();
        let _ = text.parse::<Code>();
    }

    #[test]
    fn a_pairing_code_comes_back_from_its_text(random: [u8; 16]) {
        let code = Code::new(random);
        let text = code.to_text();
        prop_assert_eq!(text.parse::<Code>(), Ok(code.clone()));
        prop_assert_eq!(text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l").parse::<Code>(), Ok(code));
    }

    #[test]
    fn a_typing_error_in_a_pairing_code_is_noticed(random: [u8; 16], at in 0usize..28, to in 0usize..32) {
        let code = Code::new(random);
        let text = code.to_text();
        let at = at + at / 4;
        let mut typed: Vec<u8> = text.bytes().collect();
        let letter = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[to];
        prop_assume!(typed[at] != letter);
        typed[at] = letter;
        // Ten bits of checksum: one in a thousand slips through, as another code, and then fails to prove anything.
        if let Ok(other) = String::from_utf8(typed).unwrap().parse::<Code>() {
            prop_assert_ne!(other, code);
        }
    }
}

#[test]
fn an_oversized_frame_is_refused_at_its_header() {
    let mut decoder = FrameDecoder::new();
    let header = u16::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    assert_eq!(decoder.next(&mut &header[..1]), Ok(None));
    assert_eq!(decoder.next(&mut &header[1..]), Err(FrameError::Oversized(MAX_FRAME + 1)));
    assert_eq!(decoder.next(&mut &[0u8, 1, 2][..]), Err(FrameError::Oversized(MAX_FRAME + 1)), "and stays refused");
    assert_eq!(frame::write(&[0; MAX_FRAME + 1], &mut Vec::new()), Err(FrameError::Oversized(MAX_FRAME + 1)));
}

#[test]
fn an_empty_frame_is_refused() {
    assert_eq!(FrameDecoder::new().next(&mut &[0u8, 0][..]), Err(FrameError::Empty));
}

#[test]
fn a_truncated_frame_waits_for_its_rest() {
    let mut decoder = FrameDecoder::new();
    assert_eq!(decoder.next(&mut &[0u8, 3, 1, 2][..]), Ok(None));
    assert!(!decoder.is_between_frames());
    assert_eq!(decoder.next(&mut &[3u8][..]), Ok(Some(vec![1, 2, 3])));
    assert!(decoder.is_between_frames());
}

#[test]
fn the_largest_messages_fit_one_frame() {
    let chunk = GatewayMessage::from(Chunk { digest: ModuleDigest([0; 32]), offset: u32::MAX, bytes: vec![0; 2048] });
    assert!(chunk.to_frame().unwrap().len() <= MAX_FRAME);
    let release = wasmbed_protocol::message::SignedRelease { cose: vec![0; MAX_SIGNED] };
    assert!(GatewayMessage::from(release).to_frame().is_ok());
}

#[test]
fn a_message_longer_than_the_protocol_allows_is_not_sent() {
    let chunk = GatewayMessage::from(Chunk { digest: ModuleDigest([0; 32]), offset: 0, bytes: vec![0; 2049] });
    assert!(chunk.encode().is_err());
}

#[test]
fn a_pairing_proof_holds_for_exactly_one_session_name_and_key() {
    let code = Code::new([1; 16]);
    let pairing = code.key().public();
    let device = samples::key(samples::DEVICE).public();
    let proof = Proof::new(&code, &[2; 32], "sensor-1", &device);
    assert!(proof.verify(&pairing, &[2; 32], "sensor-1", &device));
    assert!(!proof.verify(&pairing, &[3; 32], "sensor-1", &device), "another session");
    assert!(!proof.verify(&pairing, &[2; 32], "sensor-2", &device), "another name");
    assert!(!proof.verify(&pairing, &[2; 32], "sensor-1", &samples::key(9).public()), "another key");
    assert!(!proof.verify(&Code::new([4; 16]).key().public(), &[2; 32], "sensor-1", &device), "another code");
}

#[test]
fn a_raw_public_key_is_the_der_that_tls_carries() {
    let key = samples::key(1).public();
    let der = spki::encode(&key);
    assert_eq!(der.len(), 44);
    assert_eq!(spki::decode(&der), Some(key));
    let mut other_algorithm = der;
    other_algorithm[8] = 0x6e;
    assert_eq!(spki::decode(&other_algorithm), None);
    assert_eq!(spki::decode(&der[..43]), None);
    assert_eq!(spki::decode(&[&der[..], &[0]].concat()), None);
}
