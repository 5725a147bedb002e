//! Bits that flip, regions full of something else: found, told, never believed.

use proptest::collection::vec;
use proptest::prelude::*;
use wasmbed_agent::store::{Action, Event, FlashError, Formatted, Key, Module, Outcome, Report};

use crate::model::{Op, content, digest};
use crate::rig::{Rig, geometry, keys};

/// All values that a key had, in order.
type History = Vec<(Key, Vec<Vec<u8>>)>;

/// A log with several values a key, each of them telling its key.
fn history() -> (Rig, History) {
    let mut rig = Rig::new(geometry(4));
    let mut history: History = keys().into_iter().map(|key| (key, Vec::new())).collect();
    for round in 0..2_u8 {
        for (number, (key, values)) in (0_u8..).zip(&mut history) {
            let value = vec![number * 16 + round; 20 + usize::from(number)];
            rig.op(&Op::Put(key.clone(), value.clone())).unwrap();
            values.push(value);
        }
    }
    (rig, history)
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_is_told_or_harmless() {
    let (rig, history) = history();
    let intact = rig.observed();
    let bytes = rig.flash.medium().clone();
    let log = geometry(4).log;
    for bit in 0..log.size() * 8 {
        let mut damaged = bytes.clone();
        damaged[(log.address + bit / 8) as usize] ^= 1 << (bit % 8);
        let mut rig = Rig::boot(damaged, geometry(4));
        if rig.observed() != intact {
            assert_ne!(rig.report, Report::default(), "bit {bit} changed something and nobody was told");
        }
        for (key, values) in &history {
            let value = rig.store.value(key).map(<[u8]>::to_vec);
            assert!(value.is_none_or(|value| values.contains(&value)), "bit {bit}: a value that never was");
        }
        assert_eq!(rig.op(&Op::Put(Key::Panic, vec![1])), Ok(Outcome::Written), "bit {bit}");
        let rig = rig.reboot();
        assert_eq!(rig.report, Report::default(), "bit {bit}: the damage stayed");
        assert_eq!(rig.store.value(&Key::Panic), Some(&[1][..]), "bit {bit}");
    }
}

#[test]
fn one_damaged_record_costs_no_other() {
    let (rig, history) = history();
    let mut bytes = rig.flash.medium().clone();
    let middle = bytes.windows(20).position(|window| window == &history[3].1[1][..20]).unwrap();
    bytes[middle] ^= 0x40;
    let rig = Rig::boot(bytes, geometry(4));
    assert_eq!((rig.report.lost, rig.report.damage.len()), (1, 1));
    for (number, (key, values)) in history.iter().enumerate() {
        let expected = if number == 3 { &values[0] } else { &values[1] };
        assert_eq!(rig.store.value(key), Some(&expected[..]), "{key:?}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_module_is_found_before_it_runs() {
    let size = 130;
    let mut rig = Rig::new(geometry(4));
    for op in [Op::Reserve(size), Op::Append(size, size), Op::Check(size)] {
        rig.op(&op).unwrap();
    }
    let start = rig.store.locate(&digest(size)).unwrap().address;
    let bytes = rig.flash.medium().clone();
    for bit in 0..size * 8 {
        let mut damaged = bytes.clone();
        damaged[(start + bit / 8) as usize] ^= 1 << (bit % 8);
        let mut rig = Rig::boot(damaged, geometry(4));
        assert_eq!(rig.store.module(&digest(size)), Some(Module::Stored { size, verified: false }));
        assert_eq!(rig.store.locate(&digest(size)), None, "unread bytes are not to be run");
        assert_eq!(rig.op(&Op::Check(size)), Ok(Outcome::Mismatch), "bit {bit}");
        assert_eq!(rig.store.module(&digest(size)), None);
        for op in [Op::Reserve(size), Op::Append(size, size), Op::Check(size)] {
            rig.op(&op).unwrap();
        }
        assert_eq!(rig.module_bytes(&digest(size)), Some(content(size)));
    }
}

#[test]
fn a_module_that_is_not_what_its_name_says_is_erased() {
    let mut rig = Rig::new(geometry(4));
    rig.op(&Op::Reserve(600)).unwrap();
    rig.store.append(digest(600), 0, &[0x33; 600]).unwrap();
    rig.drive(&mut None).unwrap();
    assert_eq!(rig.op(&Op::Check(600)), Ok(Outcome::Mismatch));
    assert!(rig.flash.medium()[geometry(4).modules.address as usize..].iter().all(|byte| *byte == 0xFF));
    assert_eq!(rig.reboot().store.modules().count(), 0);
}

#[test]
fn a_log_laid_out_for_another_flash_is_not_taken_over() {
    let (rig, _) = history();
    let bytes = rig.flash.medium().clone();
    let rig = Rig::boot(bytes, geometry(8));
    assert_eq!(rig.report.formatted, Some(Formatted::Unreadable));
    assert_eq!(rig.store.log_use().0, 0);
}

#[test]
fn a_lost_header_copy_is_no_loss_and_two_are_told() {
    let (rig, _) = history();
    let intact = rig.observed();
    let bytes = rig.flash.medium().clone();
    let start = if bytes[0] == b'W' { 0 } else { 1024 };
    let mut damaged = bytes.clone();
    damaged[start] = 0;
    assert_eq!(Rig::boot(damaged.clone(), geometry(4)).observed(), intact);
    damaged[start + 16] = 0;
    let rig = Rig::boot(damaged, geometry(4));
    assert_eq!(rig.report.formatted, Some(Formatted::Unreadable));
}

#[test]
fn an_outdated_half_is_erased_at_the_next_boot_and_so_never_comes_back() {
    let mut rig = Rig::new(geometry(4));
    let mut round = 0;
    while rig.flash.medium()[0] == b'W' {
        // The erases fail that would take the old half away once the new one counts.
        rig.submit(&Op::Put(Key::Assignment, vec![round; 100])).unwrap();
        let mut header_written = false;
        while let Some(action) = rig.store.next_action() {
            header_written |= matches!(action, Action::Program { address: 1024, .. });
            let result = match action {
                Action::Erase { address: 0, .. } if header_written => Err(FlashError::WriteFailed),
                _ => Ok(rig.flash.perform(&action).unwrap()),
            };
            rig.store.complete(action.id(), result);
        }
        assert!(matches!(rig.store.next_event(), Some(Event::Done { outcome: Outcome::Written, .. })));
        if header_written {
            break;
        }
        round += 1;
    }
    assert_eq!(&rig.flash.medium()[..4], b"WBL1", "both halves have a header now");
    let rig = rig.reboot();
    assert_eq!(rig.store.assignment(), Some(&[round; 100][..]));
    assert!(rig.flash.medium()[..1024].iter().all(|byte| *byte == 0xFF));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all_can_be_mounted(seed in any::<u64>(), stretches in vec((0..2048_usize, 1..300_usize), 1..6)) {
        let (rig, history) = history();
        let mut bytes = rig.flash.medium().clone();
        let mut state = seed;
        for (start, length) in stretches {
            for byte in bytes.iter_mut().skip(start).take(length) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
        }
        let mut rig = Rig::boot(bytes, geometry(4));
        for (key, values) in &history {
            let value = rig.store.value(key).map(<[u8]>::to_vec);
            prop_assert!(value.is_none_or(|value| values.contains(&value)));
        }
        prop_assert_eq!(rig.op(&Op::Put(Key::Other(9), vec![1, 2, 3])), Ok(Outcome::Written));
        prop_assert_eq!(rig.reboot().report, Report::default());
    }

    #[test]
    fn nothing_but_noise_is_formatted(bytes in vec(any::<u8>(), 6144)) {
        let mut rig = Rig::boot(bytes, geometry(16));
        prop_assert_eq!(rig.report.formatted, Some(Formatted::Unreadable));
        prop_assert_eq!(rig.op(&Op::Reserve(600)), Ok(Outcome::Reserved));
        prop_assert_eq!(rig.op(&Op::Append(600, 600)), Ok(Outcome::Appended { next: 600 }));
        prop_assert_eq!(rig.op(&Op::Check(600)), Ok(Outcome::Stored));
    }
}
