//! Keys are replaced while a device sleeps.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cluster::{Cluster, Device, says};
use super::count::Count;

/// The keys of a KeySet as `wasmbed keys` prints it, but for the root.
fn signers(set: &Value) -> BTreeSet<String> {
    let keys = ["release", "assignment"].into_iter().flat_map(|sort| set[sort].as_array().unwrap());
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_device_that_slept_through_three_rotations_comes_back_and_runs_what_is_current() {
    let cluster = Cluster::start();
    let device = Device::provision(&cluster);
    cluster.push(&device, "one");
    let (awake, mut log) = device.start();
    says(&mut log, "one");

    // Awake, it goes on through a rotation of each key, and gets what is new.
    let mut count = Count::of("one", &mut log);
    for key in ["release", "assignment", "gateway-ca"] {
        cluster.keys(&["rotate", key]);
    }
    log.next("it is in session again", |line| line.contains("in session as own").then_some(()));
    count.goes_on(&mut log);
    cluster.push(&device, "two");
    says(&mut log, "two");
    let known = signers(&cluster.keys(&["show"]));
    assert!(awake.interrupt(), "a device ends well when asked");

    for _ in 0..3 {
        cluster.keys(&["rotate", "release"]);
        cluster.keys(&["rotate", "assignment"]);
    }
    assert!(known.is_disjoint(&signers(&cluster.keys(&["show"]))), "it knows none of the keys that count now");
    cluster.push(&device, "three");
    let (awake, mut log) = device.start();
    says(&mut log, "three");

    // Published again, nothing is written and nothing disturbed.
    let mut count = Count::of("three", &mut log);
    assert_eq!(cluster.keys(&["publish"])["written"], serde_json::json!([]));
    count.goes_on(&mut log);
    assert!(awake.interrupt());
}
