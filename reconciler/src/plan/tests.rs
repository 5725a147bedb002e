use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn fingerprint(number: u8) -> Fingerprint {
    Fingerprint::of(&[number])
}

fn desired(number: u8) -> Desired {
    Desired { fingerprint: fingerprint(number), place: Place { file: "a.yaml".into(), line: 1 } }
}

fn observed(number: u8, fleet: Option<&str>) -> Observed {
    Observed { fingerprint: fingerprint(number), fleet: fleet.map(ToOwned::to_owned) }
}

fn device() -> ObjectId {
    ObjectId::new(Kind::Device, "d")
}

/// Every combination for one object: wanted (no, version 1, version 2) × applied before (unknown, no, 1, 2) × there (no; ours, by hand,
/// another fleet's, each at 1 or 2) × prune.
#[test]
fn every_case_of_one_object_has_its_action_and_reason() {
    for wanted in [None, Some(1), Some(2)] {
        for before in [None, Some(None), Some(Some(1)), Some(Some(2))] {
            for present in [
                None,
                Some((1, Some("f"))),
                Some((2, Some("f"))),
                Some((1, None)),
                Some((2, None)),
                Some((1, Some("g"))),
                Some((2, Some("g"))),
            ] {
                for prune in [false, true] {
                    check_case(wanted, before, present, prune);
                }
            }
        }
    }
}

fn check_case(wanted: Option<u8>, before: Option<Option<u8>>, present: Option<(u8, Option<&str>)>, prune: bool) {
    let one = |number: Option<u8>| number.map(|n| (device(), desired(n))).into_iter().collect::<BTreeMap<_, _>>();
    let applied = before.map(one);
    let changes = plan(&Input {
        fleet: "f",
        desired: &one(wanted),
        applied: applied.as_ref(),
        observed: &present.map(|(n, fleet)| (device(), observed(n, fleet))).into_iter().collect(),
        prune,
    });
    let known = before.flatten();
    let expected = match (wanted, present) {
        (None, Some((_, Some("f")))) if prune => Some((Action::Delete, Reason::Undeclared)),
        (None, _) => None,
        (Some(_), None) if known.is_some() && known == wanted => Some((Action::Create, Reason::Vanished)),
        (Some(_), None) => Some((Action::Create, Reason::Declared)),
        (Some(want), Some((have, Some("f")))) if want == have => None,
        (Some(_), Some((_, Some("f")))) if known == wanted => Some((Action::Update, Reason::Drifted)),
        (Some(_), Some((_, Some("f")))) => Some((Action::Update, Reason::Changed)),
        (Some(_), Some(_)) if known.is_some() => Some((Action::Update, Reason::Drifted)),
        (Some(_), Some(_)) => Some((Action::Update, Reason::Adopted)),
    };
    let actual = changes.first().map(|change| (change.action, change.reason));
    assert_eq!(actual, expected, "wanted {wanted:?}, before {before:?}, present {present:?}, prune {prune}");
    assert!(changes.len() <= 1);
}

#[test]
fn gateways_come_first_and_go_last() {
    let all = |number| Kind::ALL.map(|kind| (ObjectId::new(kind, "x"), desired(number))).into_iter().collect();
    let there = Kind::ALL.map(|kind| (ObjectId::new(kind, "x"), observed(1, Some("f")))).into_iter().collect();
    let nothing = BTreeMap::new();
    let created = plan(&Input { fleet: "f", desired: &all(1), applied: None, observed: &BTreeMap::new(), prune: true });
    assert_eq!(created.iter().map(|c| c.id.kind).collect::<Vec<_>>(), Kind::ALL);
    let deleted = plan(&Input { fleet: "f", desired: &nothing, applied: None, observed: &there, prune: true });
    assert_eq!(deleted.iter().rev().map(|c| c.id.kind).collect::<Vec<_>>(), Kind::ALL);
}

fn objects(kind: Kind, numbers: std::ops::Range<usize>) -> BTreeSet<Deletion> {
    numbers.map(|n| Deletion::Object(ObjectId::new(kind, &format!("x{n}")))).collect()
}

fn verdict(
    now: BTreeSet<Deletion>,
    lately: &BTreeSet<Deletion>,
    devices: usize,
    declared: usize,
    word: &str,
) -> Verdict {
    DeletionGuard {
        now: &DeletionSet(now),
        lately,
        population: &[(Kind::Device, devices)].into(),
        placements: 0,
        declared,
        allowed: &[word.to_owned()].into(),
    }
    .verdict()
}

#[test]
fn deleting_one_of_five_needs_no_word_and_deleting_two_does() {
    let none = BTreeSet::new();
    assert_eq!(verdict(objects(Kind::Device, 0..1), &none, 5, 4, ""), Verdict::Little);
    assert!(matches!(verdict(objects(Kind::Device, 0..2), &none, 5, 3, ""), Verdict::Held { .. }));
}

#[test]
fn deletions_add_up_over_a_day() {
    let lately = objects(Kind::Device, 0..1);
    let held = verdict(objects(Kind::Device, 1..2), &lately, 4, 3, "");
    let Verdict::Held { why, .. } = held else { panic!("{held:?}") };
    assert!(why.contains("after 1 within the last day"), "{why}");
    let repeated = verdict(objects(Kind::Device, 0..1), &lately, 5, 4, "");
    assert_eq!(repeated, Verdict::Little, "the same deletion, begun before a restart, counts once");
}

#[test]
fn deleting_everything_is_held_even_when_it_is_one_object() {
    let none = BTreeSet::new();
    let held = verdict(objects(Kind::Device, 0..1), &none, 1, 0, "");
    let Verdict::Held { why, .. } = held else { panic!("{held:?}") };
    assert!(why.contains("declares nothing"), "{why}");
    assert_eq!(verdict(objects(Kind::Device, 0..1), &none, 1, 1, ""), Verdict::Little, "the last of a kind may go");
}

#[test]
fn the_word_for_exactly_this_set_allows_it() {
    let none = BTreeSet::new();
    let hash = DeletionSet(objects(Kind::Device, 0..3)).hash();
    assert_eq!(verdict(objects(Kind::Device, 0..3), &none, 5, 2, &hash), Verdict::Allowed);
    assert!(matches!(verdict(objects(Kind::Device, 1..4), &none, 5, 2, &hash), Verdict::Held { .. }));
}

#[test]
fn devices_losing_applications_count_from_twenty_on() {
    let lost = |count: usize| -> DeletionSet {
        DeletionSet(
            (0..count).map(|n| Deletion::Placement { application: "a".into(), device: format!("d{n}") }).collect(),
        )
    };
    let judge = |count| {
        DeletionGuard {
            now: &lost(count),
            lately: &BTreeSet::new(),
            population: &BTreeMap::new(),
            placements: 60,
            declared: 9,
            allowed: &BTreeSet::new(),
        }
        .verdict()
    };
    assert_eq!(judge(20), Verdict::Little);
    assert!(matches!(judge(21), Verdict::Held { .. }));
}

#[test]
fn trailers_are_found_in_any_commit_message() {
    let found = allowed_hashes(["Remove the old ones\n\nAllow-Deletion: 00FF\n", "allow-deletion:  abcd ", "no: word"]);
    assert_eq!(found, ["00ff", "abcd"].map(ToOwned::to_owned).into());
}

fn any_id() -> impl Strategy<Value = ObjectId> {
    (0..3_usize, 0..6_u8).prop_map(|(kind, name)| ObjectId::new(Kind::ALL[kind], &format!("n{name}")))
}

fn any_desired() -> impl Strategy<Value = BTreeMap<ObjectId, Desired>> {
    proptest::collection::btree_map(any_id(), (0..3_u8).prop_map(desired), 0..12)
}

fn any_observed() -> impl Strategy<Value = BTreeMap<ObjectId, Observed>> {
    let one =
        (0..3_u8, proptest::option::of(prop_oneof!["f", "g"])).prop_map(|(n, fleet)| observed(n, fleet.as_deref()));
    proptest::collection::btree_map(any_id(), one, 0..12)
}

proptest! {
    #[test]
    fn doing_what_a_plan_says_leaves_nothing_to_do(want in any_desired(), mut have in any_observed(), prune: bool) {
        let input = |have: &BTreeMap<ObjectId, Observed>| plan(&Input { fleet: "f", desired: &want, applied: None, observed: have, prune });
        for change in input(&have) {
            match change.action {
                Action::Delete => prop_assert!(have.remove(&change.id).is_some_and(|o| o.fleet.as_deref() == Some("f"))),
                Action::Create => prop_assert!(!have.contains_key(&change.id)),
                Action::Update => prop_assert!(have.contains_key(&change.id)),
            }
            if let Some(desired) = want.get(&change.id) {
                have.insert(change.id, Observed { fingerprint: desired.fingerprint, fleet: Some("f".into()) });
            }
        }
        prop_assert_eq!(input(&have), vec![]);
        for (id, desired) in &want {
            prop_assert_eq!(have[id].fingerprint, desired.fingerprint);
        }
    }

    #[test]
    fn a_deletion_is_read_as_it_is_written(id in any_id(), placement: bool) {
        let deletion = if placement {
            Deletion::Placement { application: id.name.to_string(), device: "d".into() }
        } else {
            Deletion::Object(id)
        };
        prop_assert_eq!(Deletion::parse(&deletion.to_string()), Some(deletion));
    }
}
