//! The link's bytes are frozen in `vectors/link-v1`: a packet and the frame that carries it. Vectors are added, never changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use wasmbed_protocol::link::frame::Decoder;
use wasmbed_protocol::link::packet::Packet;
use wasmbed_protocol::link::{FrameBuffer, MAX_DATA, Reason, VERSION};

fn packets() -> Vec<(&'static str, Packet<'static>)> {
    const FULL: [u8; MAX_DATA] = [0; MAX_DATA];
    vec![
        ("reset-at-boot", Packet::Reset { epoch: 0x0102_0304, tag: 0 }),
        ("reset-of-a-tag", Packet::Reset { epoch: 0x0102_0304, tag: 0xA1A2_A3A4 }),
        (
            "open",
            Packet::Open {
                version: VERSION,
                epoch: 0x0102_0304,
                number: 1,
                limit: 2048,
                address: b"gateway.example:4433",
            },
        ),
        ("opened", Packet::Opened { epoch: 0x0102_0304, number: 1, host_epoch: 0x0506_0708, limit: 8192 }),
        ("refused", Packet::Refused { epoch: 0x0102_0304, number: 1, reason: Reason::NotAllowed.code() }),
        ("credit", Packet::Credit { tag: 0xA1A2_A3A4, next: 241, limit: 2289, gap: false }),
        ("credit-gap", Packet::Credit { tag: 0xA1A2_A3A4, next: 241, limit: 2289, gap: true }),
        ("close", Packet::Close { tag: 0xA1A2_A3A4, reason: Reason::Finished.code() }),
        ("closed", Packet::Closed { tag: 0xA1A2_A3A4 }),
        ("data", Packet::Data { tag: 0xA1A2_A3A4, offset: 7, bytes: b"bytes of TLS" }),
        ("data-empty", Packet::Data { tag: 0xA1A2_A3A4, offset: 7, bytes: b"" }),
        ("data-longest", Packet::Data { tag: 0xA1A2_A3A4, offset: 0xFFFF_FFFF, bytes: &FULL }),
        ("log", Packet::Log { number: 255, bytes: b"booted\n" }),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/link-v1")
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
fn frames_of_version_1_mean_the_same_and_look_the_same() {
    let mut frame = FrameBuffer::new();
    for (name, packet) in packets() {
        let now = packet.encode(&mut frame, false);
        let then = frozen(name, now);
        assert_eq!(now, then, "{name} no longer looks as it looked");
        let mut decoder = Decoder::new();
        let raw = decoder.next(&mut then.as_slice()).unwrap_or_else(|| panic!("{name} no longer decodes"));
        assert_eq!(Packet::decode(raw), Some(packet), "{name} no longer means what it meant");
    }
}

#[test]
fn what_a_later_version_appends_to_a_control_packet_is_skipped() {
    let close = [0x05, 1, 0, 0, 0, 0, b'm', b'o', b'r', b'e'];
    assert_eq!(Packet::decode(&close), Some(Packet::Close { tag: 1, reason: 0 }));
    assert_eq!(Packet::decode(&close[..5]), None, "too short");
    assert_eq!(Packet::decode(&[0x3F, 0, 0, 0, 0]), None, "a kind that does not exist yet");
    assert_eq!(Packet::decode(&[0xC0, 0, 0, 0, 0]), None, "a channel that does not exist yet");
}

#[test]
fn no_vector_was_taken_away_and_none_is_unused() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".hex").to_owned())
        .collect();
    assert_eq!(there, packets().into_iter().map(|(name, _)| name.to_owned()).collect());
}
