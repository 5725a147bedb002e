//! A release key and an assignment key are stolen, and used.

use wasmbed_keys::{assignment_secret, release_secret};
use wasmbed_protocol::{KeySet, SigningKey};

use super::cluster::{Cluster, Device, FLEET, says};
use super::count::Count;
use super::lines::wait_for;

#[test]
fn what_stolen_keys_sign_is_refused_after_they_are_revoked_and_the_device_goes_on() {
    let cluster = Cluster::start();
    let device = Device::provision(&cluster);
    cluster.push(&device, "one");
    let (awake, mut log) = device.start();
    says(&mut log, "one");

    let stolen = |name: &str| std::fs::read(cluster.state().join(format!("keys/{name}.key"))).unwrap();
    let (release, assignment) = (stolen("release"), stolen("assignment"));
    let mut count = Count::of("one", &mut log);
    cluster.keys(&["revoke", "release"]);
    let set = cluster.keys(&["revoke", "assignment"]);
    for sort in ["release", "assignment"] {
        assert_eq!(set[sort].as_array().unwrap().len(), 1, "the new one alone: {set}");
    }
    log.next("it is in session again", |line| line.contains("in session as own").then_some(()));
    count.goes_on(&mut log);

    // The thief may write to the cluster, too, and has the signer sign with the stolen key.
    cluster.put_seed(&assignment_secret(FLEET), &assignment);
    log.next("the device refuses", |line| line.contains("refused an Assignment").then_some(()));
    count.goes_on(&mut log);
    let mended = cluster.keys(&["publish"]);
    assert_eq!(mended["written"].as_array().unwrap().len(), 1, "{mended}");

    // And the reconciler.
    cluster.put_seed(&release_secret(FLEET), &release);
    let thief = SigningKey::from_seed(&release.try_into().unwrap());
    let only = KeySet {
        epoch: 1,
        fleet: FLEET.to_owned(),
        release: vec![thief.public()],
        assignment: vec![],
        gateway_ca: thief.public(),
    };
    let (before, _) = cluster.release().unwrap();
    cluster.push(&device, "two");
    let is_the_thiefs = |bytes: &[u8]| wasmbed_protocol::Release::verify(bytes, &only).is_ok();
    let release = wait_for(
        "the thief's signature is offered",
        || cluster.release().filter(|(name, cose)| *name != before && is_the_thiefs(cose)),
        Option::is_some,
    );
    count.goes_on(&mut log);

    // Signed by the key that counts, the same Release runs.
    cluster.keys(&["publish"]);
    says(&mut log, "two");
    let (name, cose) = cluster.release().unwrap();
    assert_eq!(Some(name), release.map(|(name, _)| name));
    assert!(!is_the_thiefs(&cose));
    assert!(awake.interrupt());
}
