//! Flash that says no: every action of a sequence fails once.

use wasmbed_agent::store::{Action, Event, FlashError, Key, Outcome};

use crate::model::{Op, content, digest};
use crate::rig::{Rig, geometry};

fn sequence() -> Vec<Op> {
    let mut ops =
        vec![Op::KeySet(3, vec![3; 40]), Op::Reserve(600), Op::Append(600, 550), Op::Append(600, 50), Op::Check(600)];
    for round in 0..12_u8 {
        ops.push(Op::Put(Key::Assignment, vec![round; 100]));
        ops.push(Op::Put(Key::Application("a".into()), vec![round; 60]));
    }
    ops.extend([Op::Check(600), Op::Discard(600), Op::Remove(Key::Assignment)]);
    ops
}

#[test]
fn an_action_that_fails_once_costs_at_most_its_own_write() {
    for error in [FlashError::WriteFailed, FlashError::Unreadable, FlashError::NoSpace] {
        let mut failing = 0;
        while fail_once(failing, error) {
            failing += 1;
        }
        assert!(failing > 60, "{failing} actions");
    }
}

/// Whether the sequence has that many actions.
fn fail_once(failing: u32, error: FlashError) -> bool {
    let mut rig = Rig::new(geometry(8));
    let mut actions = 0;
    let mut hit = false;
    for op in sequence() {
        let before = rig.observed();
        if rig.submit(&op).is_err() {
            assert!(hit, "{op:?} is refused only because the module before it failed");
            continue;
        }
        while let Some(action) = rig.store.next_action() {
            let result = if actions == failing {
                hit = true;
                Err(error)
            } else {
                Ok(rig.flash.perform(&action).expect("the store keeps to the rules of flash"))
            };
            actions += 1;
            rig.store.complete(action.id(), result);
        }
        let Some(Event::Done { outcome, .. }) = rig.store.next_event() else { panic!("{op:?} has no end") };
        if let Outcome::Failed { error: told, .. } = outcome {
            assert_eq!(told, error);
            assert_eq!(rig.observed().values, before.values, "{op:?}: a failed write changes nothing");
        }
    }
    // It heals: what failed can be done again, and a reboot finds it.
    for op in sequence().into_iter().take(5) {
        let _ = rig.op(&op);
    }
    while rig
        .store
        .module(&digest(600))
        .is_some_and(|module| rig.store.locate(&digest(600)).is_none() && module != stored())
    {
        rig.op(&Op::Append(600, 600)).unwrap();
        rig.op(&Op::Check(600)).unwrap();
    }
    assert_eq!(rig.module_bytes(&digest(600)), Some(content(600)), "action {failing} {error}");
    rig.op(&Op::Put(Key::Panic, vec![1; 80])).unwrap();
    let before = rig.observed();
    let rig = rig.reboot();
    assert_eq!(rig.observed(), before, "action {failing} {error}");
    hit
}

fn stored() -> wasmbed_agent::store::Module {
    wasmbed_agent::store::Module::Stored { size: 600, verified: false }
}

#[test]
fn a_region_that_cannot_be_formatted_is_told_and_takes_nothing() {
    let mut rig = Rig::new(geometry(4));
    rig.store = wasmbed_agent::store::Store::new(geometry(4)).unwrap();
    rig.flash.medium_mut().fill(0);
    let mut told = None;
    while let Some(action) = rig.store.next_action() {
        let result = match &action {
            Action::Read { .. } => Ok(rig.flash.perform(&action).unwrap()),
            _ => Err(FlashError::WriteFailed),
        };
        rig.store.complete(action.id(), result);
        told = told.or(rig.store.next_event());
    }
    assert_eq!(told, Some(Event::Unusable { error: FlashError::WriteFailed, address: 0 }));
    assert_eq!(rig.op(&Op::Put(Key::Panic, vec![1])), Err(wasmbed_agent::store::StoreError::NotMounted));
}

#[test]
fn what_reads_back_differently_is_written_elsewhere() {
    let mut rig = Rig::new(geometry(4));
    rig.submit(&Op::Put(Key::Panic, vec![5; 40])).unwrap();
    let action = rig.store.next_action().unwrap();
    rig.flash.perform(&action).unwrap();
    let Action::Program { address, .. } = action else { panic!("{action:?}") };
    rig.flash.medium_mut()[address as usize + 20] = 0;
    rig.store.complete(action.id(), Ok(Vec::new()));
    assert!(matches!(rig.drive(&mut None).unwrap()[..], [Event::Done { outcome: Outcome::Written, .. }]));
    assert_eq!(rig.reboot().store.value(&Key::Panic), Some(&[5; 40][..]));
}

#[test]
fn a_unit_that_cannot_be_erased_is_left_out() {
    let mut rig = Rig::new(geometry(4));
    rig.submit(&Op::Reserve(600)).unwrap();
    rig.fail_next(FlashError::WriteFailed);
    assert!(matches!(rig.store.next_event(), Some(Event::Done { outcome: Outcome::Failed { .. }, .. })));
    for op in [Op::Reserve(600), Op::Append(600, 600), Op::Check(600)] {
        rig.op(&op).unwrap();
    }
    let first = geometry(4).modules.address;
    assert_eq!(rig.store.locate(&digest(600)).unwrap().address, first + geometry(4).modules.unit);
}
