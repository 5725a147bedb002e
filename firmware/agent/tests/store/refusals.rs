//! What the store refuses, before it changes anything; and what a record of an application keeps.

use proptest::prelude::*;
use wasmbed_agent::store::nor::{Nor, NorError};
use wasmbed_agent::store::{
    ApplicationRecord, Area, Event, Failed, Geometry, GeometryError, Key, MAX_NAME, Module, Outcome, Slot, StoreError,
};

use crate::model::{Op, content, digest};
use crate::rig::{Rig, geometry};

#[test]
fn a_full_log_refuses_with_numbers_and_loses_nothing() {
    let mut rig = Rig::new(geometry(4));
    let mut kept = 0;
    let error = loop {
        match rig.op(&Op::Put(Key::Other(kept), vec![kept; 50])) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    let (used, capacity) = rig.store.log_use();
    assert_eq!(error, StoreError::Full { needed: 68, available: capacity - used });
    assert!(error.to_string().contains("68 bytes needed"), "{error}");
    // Values of the same size can still be replaced, and removing makes room.
    assert_eq!(rig.op(&Op::Put(Key::Other(0), vec![9; 50])), Ok(Outcome::Written));
    assert_eq!(rig.op(&Op::Reserve(10)), Err(StoreError::Full { needed: 60, available: capacity - used }));
    assert_eq!(rig.op(&Op::Remove(Key::Other(1))), Ok(Outcome::Removed));
    assert_eq!(rig.op(&Op::Reserve(10)), Ok(Outcome::Reserved));
    let rig = rig.reboot();
    assert_eq!(rig.store.value(&Key::Other(0)), Some(&[9; 50][..]));
    for number in 2..kept {
        assert_eq!(rig.store.value(&Key::Other(number)), Some(&[number; 50][..]));
    }
}

#[test]
fn writes_that_wait_count_against_the_room() {
    let mut rig = Rig::new(geometry(4));
    let accepted =
        (0..40_u8).take_while(|number| rig.submit(&Op::Put(Key::Other(*number), vec![1; 50])).is_ok()).count();
    let events = rig.drive(&mut None).unwrap();
    assert_eq!(events.len(), accepted);
    assert!(events.iter().all(|event| matches!(event, Event::Done { outcome: Outcome::Written, .. })));
    assert_eq!(accepted, 12);
}

#[test]
fn modules_that_do_not_fit_are_refused_with_numbers() {
    let mut rig = Rig::new(geometry(4));
    assert_eq!(rig.op(&Op::Reserve(5000)), Err(StoreError::Full { needed: 5000, available: 4096 }));
    assert_eq!(rig.op(&Op::Reserve(0)), Err(StoreError::Empty));
    for size in [513, 514, 515] {
        rig.op(&Op::Reserve(size)).unwrap();
    }
    rig.op(&Op::Discard(514)).unwrap();
    assert_eq!(rig.op(&Op::Reserve(1500)), Err(StoreError::Full { needed: 1500, available: 1024 }));
    assert_eq!(rig.op(&Op::Reserve(513)), Err(StoreError::Exists));
}

#[test]
fn an_older_keyset_is_refused_even_while_the_newer_is_on_its_way() {
    let mut rig = Rig::new(geometry(4));
    rig.submit(&Op::KeySet(7, vec![1])).unwrap();
    assert_eq!(rig.submit(&Op::KeySet(6, vec![2])), Err(StoreError::EpochBelow { stored: 7 }));
    rig.drive(&mut None).unwrap();
    assert_eq!(rig.op(&Op::KeySet(6, vec![2])), Err(StoreError::EpochBelow { stored: 7 }));
    assert_eq!(rig.reboot().store.keyset(), Some((7, &[1][..])));
}

#[test]
fn chunks_out_of_place_are_refused_and_downloads_go_on_after_a_reboot() {
    let mut rig = Rig::new(geometry(8));
    let bytes = content(600);
    rig.op(&Op::Reserve(600)).unwrap();
    assert_eq!(rig.store.append(digest(600), 8, &bytes[8..16]), Err(StoreError::Offset { expected: 0 }));
    assert_eq!(rig.store.append(digest(600), 0, &[0; 601]), Err(StoreError::TooLong { length: 601, most: 600 }));
    assert_eq!(rig.store.append(digest(601), 0, &[0]), Err(StoreError::Unknown));
    // Chunks may be asked for ahead.
    rig.store.append(digest(600), 0, &bytes[..100]).unwrap();
    rig.store.append(digest(600), 100, &bytes[100..203]).unwrap();
    rig.drive(&mut None).unwrap();
    assert_eq!(rig.store.module(&digest(600)), Some(Module::Filling { size: 600, next: 203 }));
    assert_eq!(rig.op(&Op::Check(600)), Ok(Outcome::Incomplete { next: 203 }));
    let mut rig = rig.reboot();
    assert_eq!(
        rig.store.module(&digest(600)),
        Some(Module::Filling { size: 600, next: 192 }),
        "the last whole word again"
    );
    assert_eq!(rig.op(&Op::Append(600, 1000)), Ok(Outcome::Appended { next: 600 }));
    assert_eq!(rig.op(&Op::Check(600)), Ok(Outcome::Stored));
    assert_eq!(rig.module_bytes(&digest(600)), Some(bytes));
}

#[test]
fn a_discarded_module_is_gone_from_the_flash() {
    let mut rig = Rig::new(geometry(4));
    for op in [Op::Reserve(600), Op::Append(600, 600), Op::Check(600), Op::Discard(600)] {
        rig.op(&op).unwrap();
    }
    assert!(rig.flash.medium()[geometry(4).modules.address as usize..].iter().all(|byte| *byte == 0xFF));
}

#[test]
fn writing_what_is_there_costs_no_wear() {
    let mut rig = Rig::new(geometry(4));
    rig.op(&Op::Put(Key::Assignment, vec![1; 30])).unwrap();
    let before = rig.flash.medium().clone();
    assert_eq!(rig.op(&Op::Put(Key::Assignment, vec![1; 30])), Ok(Outcome::Written));
    assert_eq!(rig.op(&Op::Remove(Key::Panic)), Ok(Outcome::Removed));
    assert_eq!(*rig.flash.medium(), before);
}

#[test]
fn names_and_values_have_their_bounds() {
    let mut rig = Rig::new(geometry(4));
    for length in [0, MAX_NAME + 1] {
        let refused = rig.op(&Op::Put(Key::Application("n".repeat(length)), vec![]));
        assert_eq!(refused, Err(StoreError::Name { length }));
    }
    assert_eq!(rig.op(&Op::Put(Key::Application("n".repeat(MAX_NAME)), vec![])), Ok(Outcome::Written));
    let refused = rig.op(&Op::Put(Key::Panic, vec![0; 70_000]));
    assert_eq!(refused, Err(StoreError::TooLong { length: 70_000, most: 65_535 }));
}

#[test]
fn an_answer_nobody_waits_for_is_ignored() {
    let mut rig = Rig::new(geometry(4));
    rig.submit(&Op::Put(Key::Panic, vec![1; 9])).unwrap();
    let action = rig.store.next_action().unwrap();
    let late = action.id();
    rig.flash.perform(&action).unwrap();
    rig.store.complete(late, Ok(Vec::new()));
    rig.store.complete(late, Ok(Vec::new()));
    rig.drive(&mut None).unwrap();
    assert_eq!(rig.reboot().store.panic_note(), Some(&[1; 9][..]));
}

#[test]
fn geometries_that_cannot_work_are_refused_with_what_to_change() {
    let area = |address, unit, units| Area { address, unit, units };
    let check = |word, log, modules| Geometry { word, log, modules }.check();
    assert_eq!(check(4, area(0, 512, 4), area(2048, 512, 8)), Ok(()));
    assert_eq!(check(2, area(0, 512, 4), area(2048, 512, 8)), Err(GeometryError::Word(2)));
    assert_eq!(check(8, area(0, 500, 4), area(2048, 512, 8)), Err(GeometryError::Unit { unit: 500, word: 8 }));
    assert_eq!(check(8, area(0, 512, 3), area(2048, 512, 8)), Err(GeometryError::OddLog(3)));
    assert_eq!(check(8, area(0, 512, 2), area(2048, 512, 8)), Err(GeometryError::SmallLog(512)));
    assert_eq!(check(8, area(0, 512, 4), area(2048, 512, 0)), Err(GeometryError::NoModules));
    assert_eq!(check(8, area(0, 512, 4), area(2047, 512, 8)), Err(GeometryError::Overlap));
    assert_eq!(check(8, area(0, 1 << 31, 4), area(2048, 512, 8)), Err(GeometryError::Overlap));
}

#[test]
fn the_flash_model_refuses_what_flash_cannot_do() {
    let mut flash = Nor::new(vec![0xFF; 6144], geometry(4));
    flash.program(8, &[0xF0; 8]).unwrap();
    assert_eq!(flash.program(8, &[0xF1; 4]), Err(NorError::BitRaised { address: 8 }));
    assert_eq!(flash.program(12, &[0x80; 4]), Err(NorError::ProgrammedTwice { address: 12 }));
    assert_eq!(flash.program(18, &[0; 4]), Err(NorError::Misplaced { address: 18, length: 4 }));
    assert_eq!(flash.program(16, &[0; 3]), Err(NorError::Misplaced { address: 16, length: 3 }));
    assert_eq!(flash.erase(0, 256), Err(NorError::Misplaced { address: 0, length: 256 }));
    assert_eq!(flash.read(6140, 8), Err(NorError::Misplaced { address: 6140, length: 8 }));
    flash.program_cut(16, &[0; 8], 1, 0x0F).unwrap();
    assert_eq!(flash.read(16, 8), Ok(vec![0, 0, 0, 0, 0xF0, 0xF0, 0xF0, 0xF0]));
    flash.erase(0, 512).unwrap();
    assert_eq!(flash.read(0, 512), Ok(vec![0xFF; 512]));
}

#[test]
fn applications_are_remembered_by_name() {
    let record = ApplicationRecord {
        current: Some(Slot { release: [1; 32], module: [2; 32] }),
        previous: Some(Slot { release: [3; 32], module: [4; 32] }),
        confirmed: true,
        restart_counter: 1_700_000_000,
        restarts: 3,
        failed: Some(Failed { release: [5; 32], restart_counter: 7, reason: "unreachable executed".into() }),
    };
    let mut rig = Rig::new(geometry(4));
    rig.store.put_application("blinker", &record).unwrap();
    rig.store.put_application("a-second", &ApplicationRecord::default()).unwrap();
    rig.drive(&mut None).unwrap();
    let rig = rig.reboot();
    let found: Vec<_> = rig.store.applications().map(|(name, record)| (name.to_owned(), record)).collect();
    assert_eq!(found, [("a-second".into(), ApplicationRecord::default()), ("blinker".into(), record.clone())]);
    assert_eq!(rig.store.application("blinker"), Some(record));
    assert_eq!(rig.store.application("nobody"), None);
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let reason = "é".repeat(150);
    let record = ApplicationRecord {
        failed: Some(Failed { release: [0; 32], restart_counter: 0, reason }),
        ..Default::default()
    };
    let kept = ApplicationRecord::decode(&record.encode()).unwrap().failed.unwrap().reason;
    assert_eq!(kept, "é".repeat(Failed::MAX_REASON / 2));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_application_record_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..250)) {
        let is_short = |record: &ApplicationRecord| {
            record.failed.as_ref().is_none_or(|failed| failed.reason.len() <= Failed::MAX_REASON)
        };
        if let Some(record) = ApplicationRecord::decode(&bytes).filter(is_short) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}
