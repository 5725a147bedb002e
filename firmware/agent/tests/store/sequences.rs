//! Random sequences, reboots and losses of power, beside the model.

use proptest::collection::vec;
use proptest::prelude::*;
use wasmbed_agent::store::{Key, Outcome, StoreError};

type Ended = Result<Outcome, StoreError>;

use crate::model::{Model, Op, State};
use crate::rig::{Cut, Rig, TEARS, geometry, keys};

#[derive(Clone, Debug)]
enum Step {
    Op(Op),
    Reboot,
    /// The operation, with the power cut on its way (or not, if it has fewer steps).
    Cut(Op, u32, usize),
}

fn key() -> impl Strategy<Value = Key> {
    proptest::sample::select(keys())
}

fn op() -> impl Strategy<Value = Op> {
    let size = proptest::sample::select(vec![1_u32, 31, 512, 600, 1024, 3000, 5000]);
    prop_oneof![
        4 => (key(), vec(any::<u8>(), 0..200)).prop_map(|(key, value)| Op::Put(key, value)),
        1 => key().prop_map(Op::Remove),
        1 => (0..4_u64, vec(any::<u8>(), 0..80)).prop_map(|(epoch, bytes)| Op::KeySet(epoch, bytes)),
        2 => size.clone().prop_map(Op::Reserve),
        4 => (size.clone(), 0..1500_u32).prop_map(|(size, length)| Op::Append(size, length)),
        2 => size.clone().prop_map(Op::Check),
        1 => size.prop_map(Op::Discard),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => op().prop_map(Step::Op),
        1 => Just(Step::Reboot),
        2 => (op(), 0..200_u32, 0..TEARS.len()).prop_map(|(op, steps, tear)| Step::Cut(op, steps, tear)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model(steps in vec(step(), 1..60), word in proptest::sample::select(vec![4, 8, 16, 32])) {
        let mut rig = Rig::new(geometry(word));
        let mut model = Model::new(geometry(word));
        for step in steps {
            match step {
                Step::Op(op) => {
                    let expected = model.apply(&op);
                    let outcome = rig.op(&op);
                    follow(&mut model, &rig, &op, outcome, expected);
                }
                Step::Reboot => {
                    rig = rig.reboot();
                    model.set_back(&rig.observed());
                }
                Step::Cut(op, steps, tear) => {
                    let before = model.clone();
                    let expected = model.apply(&op);
                    match rig.run(&op, &mut Some(Cut { steps, tear: TEARS[tear] })) {
                        Ok(outcome) => follow(&mut model, &rig, &op, outcome, expected),
                        Err(_) => {
                            rig = rig.reboot();
                            let observed = rig.observed();
                            prop_assert!(rig.report.formatted.is_none() && rig.report.lost == 0);
                            let candidates = [before, model].map(|mut candidate| {
                                candidate.set_back(&observed);
                                candidate
                            });
                            let found = candidates.into_iter().find(|candidate| candidate.visible() == observed);
                            model = found.expect("it is the old or the new");
                        }
                    }
                }
            }
            prop_assert_eq!(rig.observed(), model.visible());
        }
    }

    #[test]
    fn what_was_accepted_together_survives_as_a_prefix(
        ops in vec(op(), 1..12),
        steps in 0..400_u32,
        tear in 0..TEARS.len(),
    ) {
        let mut rig = Rig::new(geometry(8));
        // Appends name the place they go on at, so of the modules only what needs no place is asked for at once.
        let is_of_a_key = |op: &Op| matches!(op, Op::Put(..) | Op::Remove(_) | Op::KeySet(..));
        let ops: Vec<Op> = ops.into_iter().filter(is_of_a_key).collect();
        let mut models = vec![Model::new(geometry(8))];
        for op in &ops {
            let mut model = models.last().unwrap().clone();
            prop_assert_eq!(rig.submit(op), model.apply(op).map(|_| ()), "{:?}", op);
            models.push(model);
        }
        let cut = rig.drive(&mut Some(Cut { steps, tear: TEARS[tear] })).is_err();
        let observed = rig.reboot().observed();
        let found = models.iter().rposition(|model| model.visible() == observed);
        let found = found.expect("it is one of the states in between");
        prop_assert!(cut || models[found] == *models.last().unwrap());
    }
}

/// A word that a loss of power cut short is found when the download goes on: it goes back instead of on, and no further
/// than allowed.
fn follow(model: &mut Model, rig: &Rig, op: &Op, outcome: Ended, expected: Ended) {
    if outcome == expected {
        return;
    }
    match (op, outcome, expected) {
        (Op::Append(..), Ok(Outcome::Appended { next }), Ok(Outcome::Appended { next: expected }))
            if next < expected =>
        {
            model.set_back(&rig.observed());
        }
        // An erase on the way back was cut short as well, and left something that only the hash can tell: it begins
        // anew.
        (Op::Check(size), Ok(Outcome::Mismatch), Ok(Outcome::Stored)) => {
            assert_eq!(model.modules.get(&crate::model::digest(*size)), Some(&State::Stored { size: *size }));
            model.apply(&Op::Discard(*size)).unwrap();
        }
        (op, outcome, expected) => panic!("{op:?} gave {outcome:?} instead of {expected:?}"),
    }
}
