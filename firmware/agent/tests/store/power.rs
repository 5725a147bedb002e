//! The power is cut at every step of a sequence: before it, in the middle of it, and after it before anyone heard.

use std::mem::discriminant;

use wasmbed_agent::store::{Formatted, Geometry, Key, Module, Outcome};

use crate::model::{Model, Op, State, content, digest};
use crate::rig::{Cut, Rig, TEARS, Tear, geometry};

/// Everything a device does: keys, downloads in odd pieces, verification, replacement, removal, more records than a
/// half holds.
fn a_life() -> Vec<Op> {
    let release = |number: u8, length: usize| Op::Put(Key::Release([number; 32]), vec![number ^ 0x5A; length]);
    let application = |value: u8| Op::Put(Key::Application("led-blinker".into()), vec![value; 70]);
    let mut ops = vec![
        Op::KeySet(1, vec![0x11; 90]),
        Op::Put(Key::Assignment, vec![0xA1; 120]),
        release(1, 100),
        Op::Reserve(700),
        Op::Append(700, 300),
        Op::Append(700, 1),
        Op::Append(700, 299),
        Op::Append(700, 100),
        Op::Check(700),
        application(1),
        Op::Put(Key::Assignment, vec![0xA2; 133]),
        release(2, 60),
        Op::Reserve(33),
        Op::Append(33, 33),
        Op::Check(33),
        application(2),
        Op::Discard(700),
        Op::Remove(Key::Release([1; 32])),
        Op::KeySet(2, vec![0x12; 90]),
    ];
    for round in 0..4 {
        ops.push(application(round + 3));
        ops.push(Op::Put(Key::Panic, vec![round; 50]));
    }
    ops.extend([Op::Reserve(1100), Op::Append(1100, 512), Op::Discard(33), Op::Append(1100, 588), Op::Check(1100)]);
    ops
}

#[test]
fn a_power_cut_at_every_step_leaves_the_old_or_the_new() {
    for word in [4, 16] {
        for tear in TEARS {
            cut_everywhere(geometry(word), &a_life(), tear);
        }
    }
}

#[test]
fn a_power_cut_at_every_step_leaves_the_old_or_the_new_on_uneven_sectors() {
    let log = wasmbed_agent::store::Area { address: 4096, unit: 1024, units: 2 };
    let modules = wasmbed_agent::store::Area { address: 0, unit: 256, units: 12 };
    cut_everywhere(Geometry { word: 8, log, modules }, &a_life(), Tear::Half);
}

/// Runs the sequence again and again, each time cutting the power one step later, until it is through.
fn cut_everywhere(geometry: Geometry, ops: &[Op], tear: Tear) {
    let mut steps = 0;
    while cut_once(geometry, ops, Cut { steps, tear }) {
        steps += 1;
    }
    assert!(steps > 400, "the sequence has {steps} steps");
}

/// Whether the cut came before the sequence was over.
fn cut_once(geometry: Geometry, ops: &[Op], cut: Cut) -> bool {
    let mut pending = Some(cut);
    let mut model = Model::new(geometry);
    let mut rig = match Rig::boot_with(vec![0xFF; geometry.end() as usize], geometry, &mut pending) {
        Ok(rig) => rig,
        Err(bytes) => {
            let rig = Rig::boot(bytes, geometry);
            assert_ne!(rig.report.formatted, Some(Formatted::Unreadable), "{cut:?}: nothing was there to be lost");
            go_on(rig, model, cut);
            return true;
        }
    };
    for op in ops {
        let mut after = model.clone();
        let expected = after.apply(op);
        match rig.run(op, &mut pending) {
            Ok(outcome) => {
                assert_eq!(outcome, expected, "{op:?} {cut:?}");
                assert_eq!(rig.observed(), after.visible(), "{op:?} {cut:?}");
                model = after;
            }
            Err(_) => {
                let rig = rig.reboot();
                assert_eq!((rig.report.formatted, rig.report.lost), (None, 0), "{op:?} {cut:?}");
                let model = settle(op, &model, after, &rig, cut);
                go_on(rig, model, cut);
                return true;
            }
        }
    }
    false
}

/// Which of the two it became: exactly one, but that the progress of downloads may be set back, so far and no further.
fn settle(op: &Op, before: &Model, mut after: Model, rig: &Rig, cut: Cut) -> Model {
    let observed = rig.observed();
    let mut unchanged = before.clone();
    unchanged.set_back(&observed);
    after.set_back(&observed);
    let word = rig.store.geometry().word;
    for (digest, state) in &before.modules {
        if let (State::Filling { next: old, .. }, Some(State::Filling { next: new, .. })) =
            (state, observed.modules.get(digest))
        {
            // What did not make a word was in memory; the last word is asked for again.
            assert!(*new + 2 * word > *old, "{op:?} {cut:?}: acknowledged {old}, found {new}");
        }
    }
    let found = [unchanged, after].into_iter().find(|candidate| candidate.visible() == observed);
    found.unwrap_or_else(|| panic!("{op:?} {cut:?}: neither the old nor the new, but {observed:?}"))
}

/// After the reboot everything works: downloads end well, modules are whole, values can be changed, and another boot
/// finds all of it.
fn go_on(mut rig: Rig, mut model: Model, cut: Cut) {
    assert_eq!(rig.observed(), model.visible(), "{cut:?}");
    for (digest_found, state) in model.modules.clone() {
        let (State::Filling { size, .. } | State::Stored { size }) = state;
        assert_eq!(digest_found, digest(size));
        let mut tries = 0;
        while let Some(Module::Filling { next, .. }) = rig.store.module(&digest_found).filter(|module| !is_full(module))
        {
            let outcome = rig.op(&Op::Append(size, 256)).unwrap();
            assert_eq!(discriminant(&outcome), discriminant(&Outcome::Appended { next: 0 }), "{cut:?}");
            tries += 1;
            assert!(tries < 20, "{cut:?}: stuck at {next}");
        }
        let outcome = rig.op(&Op::Check(size)).unwrap();
        assert!(matches!(outcome, Outcome::Stored | Outcome::Verified), "{cut:?}: {outcome:?}");
        assert_eq!(rig.module_bytes(&digest_found), Some(content(size)), "{cut:?}");
        model.modules.insert(digest_found, State::Stored { size });
    }
    for op in [Op::Put(Key::Other(200), vec![7; 9]), Op::KeySet(9, vec![9; 30]), Op::Remove(Key::Panic)] {
        assert_eq!(rig.op(&op), model.apply(&op), "{cut:?}");
    }
    let rig = rig.reboot();
    assert_eq!(rig.observed(), model.visible(), "{cut:?}");
    assert_eq!(rig.report, Default::default(), "{cut:?}: the damage was left behind");
}

fn is_full(module: &Module) -> bool {
    matches!(module, Module::Filling { size, next } if size == next)
}
