//! What lies before the store in flash is read back whole, or not at all.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use wasmbed_agent::Provisioning;
use wasmbed_agent::region::{self, MAX_PANIC, RegionError, SEED_RECORD, Seed, UNITS, Unit};

const UNIT: usize = 4096;

fn provisioning() -> Provisioning {
    Provisioning {
        seed: [1; 32],
        root: [2; 32],
        fleet: "example".into(),
        gateways: vec!["10.0.2.100:4433".into()],
        pairing: None,
        address: None,
    }
}

/// An erase unit with these bytes programmed at its begin.
fn unit(record: &[u8]) -> Vec<u8> {
    let mut unit = vec![0xFF; UNIT];
    unit[..record.len()].copy_from_slice(record);
    unit
}

fn panic_record(text: &str) -> Vec<u8> {
    let mut buffer = [0; 1024];
    region::encode_panic(text, &mut buffer).unwrap().to_vec()
}

#[test]
fn records_lie_in_their_units_before_the_store() {
    assert_eq!([Unit::Provisioning, Unit::Seed, Unit::Panic].map(|unit| unit.address(4096)), [0, 4096, 8192]);
    assert_eq!(region::store_address(4096), UNITS * 4096);
}

#[test]
fn what_was_written_is_read_back() {
    let record = region::encode_provisioning(&provisioning()).unwrap();
    assert!(record.starts_with(b"WBPR"));
    assert!(region::provisioning(&unit(&record)).unwrap() == provisioning());
    let seed = Seed::new([7; 32]);
    assert!(Seed::decode(&unit(&seed.encode())).unwrap() == seed);
    assert_eq!(region::panic_text(&unit(&panic_record("index out of bounds"))), Ok("index out of bounds"));
    assert_eq!(region::panic_text(&unit(&panic_record(""))), Ok(""));
}

/// The layout is a contract with hosts of other versions: these bytes were made by hand from the table.
#[test]
fn the_layout_is_as_documented() {
    let mut expected = b"WBPA\x09\0\0\0".to_vec();
    expected.extend(0xCBF4_3926_u32.to_le_bytes());
    expected.extend(b"123456789");
    assert_eq!(panic_record("123456789"), expected);
    let mut seed = b"WBSE".to_vec();
    seed.extend([0; 32]);
    seed.extend(0x190A_55AD_u32.to_le_bytes());
    assert_eq!(Seed::new([0; 32]).encode().to_vec(), seed);
}

#[test]
fn an_erased_unit_holds_nothing() {
    let erased = unit(&[]);
    assert_eq!(region::provisioning(&erased).err(), Some(RegionError::Missing));
    assert_eq!(Seed::decode(&erased).err(), Some(RegionError::Missing));
    assert_eq!(region::panic_text(&erased).err(), Some(RegionError::Missing));
}

#[test]
fn a_record_torn_anywhere_is_damaged_or_missing() {
    let provisioning = region::encode_provisioning(&provisioning()).unwrap();
    let seed = Seed::new([7; 32]).encode();
    let panic = panic_record("out of memory");
    for whole in 0..provisioning.len() {
        assert!(region::provisioning(&unit(&provisioning[..whole])).is_err(), "{whole} bytes were taken");
    }
    for whole in 0..SEED_RECORD {
        assert!(Seed::decode(&unit(&seed[..whole])).is_err(), "{whole} bytes were taken");
    }
    for whole in 0..panic.len() {
        assert!(region::panic_text(&unit(&panic[..whole])).is_err(), "{whole} bytes were taken");
    }
}

#[test]
fn a_record_of_another_kind_is_damaged() {
    let seed = unit(&Seed::new([7; 32]).encode());
    assert_eq!(region::provisioning(&seed).err(), Some(RegionError::Damaged));
    assert_eq!(region::panic_text(&seed).err(), Some(RegionError::Damaged));
    assert_eq!(Seed::decode(&unit(&panic_record("x"))).err(), Some(RegionError::Damaged));
}

#[test]
fn a_length_beyond_the_unit_or_the_bound_is_damaged() {
    for length in [MAX_PANIC as u32 + 1, u32::MAX] {
        let mut record = panic_record("x");
        record[4..8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(region::panic_text(&unit(&record)).err(), Some(RegionError::Damaged));
    }
    assert_eq!(region::panic_text(b"WBPA").err(), Some(RegionError::Damaged));
    let record = panic_record("0123456789");
    assert_eq!(region::panic_text(&record[..record.len() - 1]).err(), Some(RegionError::Damaged));
}

#[test]
fn a_long_panic_is_cut_at_a_character_and_a_tiny_buffer_holds_none() {
    let text = "ä".repeat(MAX_PANIC);
    let read = panic_record(&text);
    assert_eq!(region::panic_text(&unit(&read)).unwrap(), "ä".repeat(MAX_PANIC / 2));
    assert_eq!(region::encode_panic("text", &mut [0; 11]), None);
    assert_eq!(region::encode_panic("text", &mut [0; 14]).map(<[u8]>::len), Some(14));
}

#[test]
fn a_ratchet_never_gives_the_same_key_again() {
    let mut seed = Seed::new([7; 32]);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        assert!(seen.insert(*seed.as_bytes()), "a seed came back");
        let ratchet = seed.ratchet(&[]);
        assert!(seen.insert(*ratchet.key.as_bytes()), "a key came back");
        seed = ratchet.next;
    }
    let seed = Seed::new([7; 32]);
    assert!(seed.ratchet(&[]).key != seed.ratchet(&[1]).key, "what the board adds counts");
    assert_eq!(format!("{seed:?}"), "Seed");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..5_000), magic in 0..4_usize) {
        let mut bytes = bytes;
        if let Some(magic) = [b"WBPR", b"WBSE", b"WBPA"].get(magic) && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(*magic);
        }
        let _ = (region::provisioning(&bytes).is_ok(), Seed::decode(&bytes).is_ok(), region::panic_text(&bytes).is_ok());
    }

    #[test]
    fn a_changed_bit_is_noticed(place in 0..SEED_RECORD, bit in 0..8_u32) {
        let mut record = Seed::new([7; 32]).encode();
        record[place] ^= 1_u8 << bit;
        prop_assert!(Seed::decode(&unit(&record)).is_err());
    }
}
