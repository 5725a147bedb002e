//! Publishing against the embedded API: what is written, what is refused, and that it may be cut short anywhere.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use wasmbed_api::Name;
use wasmbed_api::labels::{KEYSET, KEYSET_ENTRY};
use wasmbed_control_plane::{ControlPlane, Options};
use wasmbed_keys::{CREDENTIAL_ENTRY, SEED_ENTRY, TLS_SEED_ENTRY, assignment_secret, gateway_secret, release_secret};
use wasmbed_protocol::{Credential, KeySet, PublicKey, SigningKey};

use super::publication::Publication;
use super::publish::publication;
use crate::arguments::{RevocableKey, StateArguments};
use crate::key_files;
use crate::state_folder::StateFolder;

const FLEET: &str = "north";
const SYSTEM: &str = "wasmbed-system";
const GATEWAY: &str = "gateway-1";

/// A state folder and a cluster.
struct World {
    state: StateFolder,
    client: Client,
    folder: tempfile::TempDir,
    _control_plane: ControlPlane,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::new(folder.path().join("api"), wasmbed_api::crds());
        let options = options.namespace(FLEET).namespace(SYSTEM).namespace("south");
        let control_plane = ControlPlane::open(options).await.expect("an API");
        let client = control_plane.client(FLEET);
        Self { state: state(&folder.path().join("s")), client, folder, _control_plane: control_plane }
    }

    /// What would be published now; whatever was cut short in the state folder is completed by that.
    fn publication(&self) -> Publication {
        of(&self.state, FLEET)
    }

    /// Writes as many objects as `most`; says how many there were to write.
    async fn publish(&self, most: usize) -> usize {
        let plan = self.publication().plan(&self.client).await.expect("nothing is in the way");
        for write in plan.writes.iter().take(most) {
            write.apply(&self.client).await.expect("written");
        }
        plan.writes.len()
    }

    async fn refusal(&self, publication: &Publication) -> String {
        match publication.plan(&self.client).await {
            Ok(_) => panic!("it was not refused"),
            Err(error) => format!("{error:#}"),
        }
    }

    /// The KeySet that gateways show.
    async fn key_set(&self) -> Option<KeySet> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), FLEET);
        let map = maps.get_opt(KEYSET).await.expect("read")?;
        let root = key_files::load(&self.state.key("root")).expect("made").public();
        let signed = &map.binary_data.expect("it has data")[KEYSET_ENTRY];
        Some(KeySet::verify(&signed.0, &root, FLEET, 0).expect("devices believe it"))
    }

    async fn entry(&self, name: &str, entry: &str) -> Option<Vec<u8>> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), SYSTEM);
        Some(secrets.get_opt(name).await.expect("read")?.data.expect("it has data").remove(entry)?.0)
    }

    async fn signer(&self, name: &str, entry: &str) -> Option<PublicKey> {
        let seed = self.entry(name, entry).await?;
        Some(SigningKey::from_seed(&seed.try_into().expect("32 bytes")).public())
    }

    async fn release(&self) -> Option<PublicKey> {
        self.signer(&release_secret(FLEET), SEED_ENTRY).await
    }

    async fn assignment(&self) -> Option<PublicKey> {
        self.signer(&assignment_secret(FLEET), SEED_ENTRY).await
    }

    /// Whether the gateway can introduce itself.
    async fn gateway_is_believed(&self) -> bool {
        let name = gateway_secret(FLEET, GATEWAY);
        let (Some(set), Some(key)) = (self.key_set().await, self.signer(&name, TLS_SEED_ENTRY).await) else {
            return false;
        };
        let credential = self.entry(&name, CREDENTIAL_ENTRY).await.expect("beside the key");
        Credential::verify(&credential, &set, &key).is_ok_and(|credential| credential.gateway == GATEWAY)
    }
}

fn state(folder: &std::path::Path) -> StateFolder {
    let state = StateFolder::named_by(&StateArguments { state: Some(folder.to_owned()) }).expect("named");
    state.create().expect("it can be made");
    state
}

fn of(state: &StateFolder, namespace: &str) -> Publication {
    let gateways: BTreeSet<Name> = [GATEWAY.parse().expect("a name")].into();
    publication(state, FLEET, namespace, SYSTEM, &gateways).expect("keys")
}

/// A change of keys, and the first so many of its steps in the state folder.
#[derive(Clone, Copy, Debug)]
enum Change {
    Rotate(&'static str),
    Revoke(RevocableKey),
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Rotate("release"),
        Self::Rotate("assignment"),
        Self::Rotate("gateway-ca"),
        Self::Revoke(RevocableKey::Release),
        Self::Revoke(RevocableKey::Assignment),
    ];

    /// Up to here a change is cut short in the state folder: nothing; the key is aside or the revocation is written; there is a
    /// new key; there is a KeySet.
    const STEPS: usize = 4;

    fn make(self, state: &StateFolder, steps: usize) {
        let name = match self {
            Self::Rotate(name) => name,
            Self::Revoke(RevocableKey::Release) => "release",
            Self::Revoke(RevocableKey::Assignment) => "assignment",
        };
        if steps >= 1 {
            match self {
                Self::Rotate(name) => key_files::put_aside(state, name).expect("aside"),
                Self::Revoke(key) => key_files::write_revoked(state, self.keys(state, key)).expect("written"),
            }
        }
        if steps >= 2 {
            if matches!(self, Self::Revoke(_)) {
                key_files::put_aside(state, name).expect("aside");
            }
            key_files::load_or_create(state, name).expect("made");
        }
        if steps >= 3 {
            key_files::key_set(state, FLEET).expect("signed");
        }
    }

    fn keys(self, state: &StateFolder, key: RevocableKey) -> Vec<PublicKey> {
        let (set, _) = key_files::key_set(state, FLEET).expect("read");
        match key {
            RevocableKey::Release => set.release,
            RevocableKey::Assignment => set.assignment,
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_made_and_publishing_again_changes_nothing() {
    let world = World::new().await;
    assert_eq!(world.publish(usize::MAX).await, 4);
    let set = world.key_set().await.expect("published");
    assert_eq!(world.release().await, Some(set.release[0]));
    assert_eq!(world.assignment().await, Some(set.assignment[0]));
    assert!(world.gateway_is_believed().await);
    assert_eq!(world.publish(usize::MAX).await, 0);

    // What others write beside it stays.
    let secrets = Api::<Secret>::namespaced(world.client.clone(), SYSTEM);
    let note = json!({ "metadata": { "annotations": { "note": "theirs" } } });
    secrets.patch(&release_secret(FLEET), &PatchParams::default(), &Patch::Merge(note)).await.expect("patched");
    assert_eq!(world.publish(usize::MAX).await, 0);
    key_files::replace(&world.state, FLEET, "release").expect("replaced");
    assert_eq!(world.publish(usize::MAX).await, 2);
    let secret = secrets.get(&release_secret(FLEET)).await.expect("there");
    assert_eq!(secret.annotations().get("note").map(String::as_str), Some("theirs"));
}

#[tokio::test]
async fn what_a_person_damaged_is_written_anew() {
    let world = World::new().await;
    world.publish(usize::MAX).await;
    let secrets = Api::<Secret>::namespaced(world.client.clone(), SYSTEM);
    let empty = json!({ "data": { SEED_ENTRY: ByteString(Vec::new()) } });
    secrets.patch(&release_secret(FLEET), &PatchParams::default(), &Patch::Merge(empty)).await.expect("patched");
    let maps = Api::<ConfigMap>::namespaced(world.client.clone(), FLEET);
    let noise = json!({ "binaryData": { KEYSET_ENTRY: ByteString(b"noise".to_vec()) } });
    maps.patch(KEYSET, &PatchParams::default(), &Patch::Merge(noise)).await.expect("patched");
    assert_eq!(world.publish(usize::MAX).await, 2);
    let set = world.key_set().await.expect("published");
    assert_eq!(world.release().await, Some(set.release[0]));
}

#[tokio::test]
async fn a_change_that_is_cut_short_anywhere_is_completed_by_publishing_again() {
    let world = World::new().await;
    world.publish(usize::MAX).await;
    for change in Change::ALL {
        for steps in 0..Change::STEPS {
            for writes in 0..=4 {
                let case = format!("{change:?}, cut short after {steps} steps here and {writes} there");
                let before = world.key_set().await.expect("published");
                let signed = (world.release().await.expect("there"), world.assignment().await.expect("there"));
                change.make(&world.state, steps);
                world.publish(writes).await;

                // As it is seen meanwhile.
                let set = world.key_set().await.expect("published");
                assert!(set.epoch >= before.epoch, "{case}");
                let signs = (world.release().await.expect("there"), world.assignment().await.expect("there"));
                let revoked = |key| matches!(change, Change::Revoke(of) if of == key);
                // Whoever signs is believed; but for a stolen key, which loses that first.
                if !revoked(RevocableKey::Release) {
                    assert!(set.release.contains(&signs.0), "{case}");
                }
                if !revoked(RevocableKey::Assignment) {
                    assert!(set.assignment.contains(&signs.1), "{case}");
                }
                assert!(
                    signs.0 == signed.0 || set.release.contains(&signs.0),
                    "{case}: a new key comes after its KeySet"
                );
                assert!(
                    signs.1 == signed.1 || set.assignment.contains(&signs.1),
                    "{case}: a new key comes after its KeySet"
                );

                // And again.
                world.publish(usize::MAX).await;
                let set = world.key_set().await.expect("published");
                assert_eq!(world.release().await, Some(set.release[0]), "{case}");
                assert_eq!(world.assignment().await, Some(set.assignment[0]), "{case}");
                assert!(world.gateway_is_believed().await, "{case}");
                assert_eq!(world.publish(usize::MAX).await, 0, "{case}");
                let changed = steps > 0;
                match change {
                    Change::Rotate("release") => assert!(set.release.contains(&before.release[0]), "{case}"),
                    Change::Rotate("assignment") => assert!(set.assignment.contains(&before.assignment[0]), "{case}"),
                    Change::Rotate(_) => assert_eq!(set.gateway_ca != before.gateway_ca, changed, "{case}"),
                    Change::Revoke(RevocableKey::Release) => {
                        assert_eq!(set.release.iter().any(|key| before.release.contains(key)), !changed, "{case}");
                    }
                    Change::Revoke(RevocableKey::Assignment) => {
                        assert_eq!(
                            set.assignment.iter().any(|key| before.assignment.contains(key)),
                            !changed,
                            "{case}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_another_fleets_is_left_alone_and_what_to_do_is_said() {
    let world = World::new().await;
    world.publish(usize::MAX).await;

    let other = state(&world.folder.path().join("other"));
    let said = world.refusal(&of(&other, FLEET)).await;
    assert!(said.contains("another root key signed") && said.contains("provision every device again"), "{said}");

    let elsewhere = publication(&world.state, FLEET, FLEET, SYSTEM, &BTreeSet::new()).expect("keys");
    let other_fleet =
        Publication { set: KeySet { fleet: "south".to_owned(), ..elsewhere.set }, signed_set: Vec::new(), ..elsewhere };
    let said = world.refusal(&other_fleet).await;
    assert!(said.contains("a KeySet of the fleet north, and this is south"), "{said}");

    // A copy of the folder in which a key was replaced.
    let copy = state(&world.folder.path().join("copy"));
    for file in ["root.key", "release.key", "assignment.key", "gateway-ca.key", "keyset.cose"] {
        let at = |state: &StateFolder| state.path().join("keys").join(file);
        std::fs::copy(at(&world.state), at(&copy)).expect("copied");
    }
    key_files::replace(&copy, FLEET, "release").expect("replaced");
    let plan = of(&copy, FLEET).plan(&world.client).await.expect("it is newer");
    for write in plan.writes {
        write.apply(&world.client).await.expect("written");
    }
    let said = world.refusal(&world.publication()).await;
    assert!(said.contains("somebody replaced keys with another copy of it; publish from that one"), "{said}");
    key_files::replace(&world.state, FLEET, "assignment").expect("replaced");
    let said = world.refusal(&world.publication()).await;
    assert!(said.contains("another KeySet of the same epoch"), "{said}");
}

#[tokio::test]
async fn a_secret_of_another_tenant_or_by_another_hand_is_not_written_over() {
    let world = World::new().await;
    // A gateway `x-release` of `north` and the release key of `north-gateway-x` would have one name.
    let gateway: BTreeSet<Name> = ["x-release".parse().expect("a name")].into();
    let north = publication(&world.state, FLEET, FLEET, SYSTEM, &gateway).expect("keys");
    for write in north.plan(&world.client).await.expect("nothing is there").writes {
        write.apply(&world.client).await.expect("written");
    }
    let other = state(&world.folder.path().join("other"));
    let tenant = publication(&other, FLEET, "north-gateway-x", SYSTEM, &BTreeSet::new()).expect("keys");
    let said = world.refusal(&tenant).await;
    assert!(
        said.contains("belongs to the fleet in the namespace north: name the namespace or the gateway otherwise"),
        "{said}"
    );

    let by_hand = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": release_secret("south") },
        "data": { SEED_ENTRY: ByteString(vec![7; 32]) },
    });
    let secrets = Api::<Secret>::namespaced(world.client.clone(), SYSTEM);
    let parameters = PatchParams::apply("somebody");
    secrets.patch(&release_secret("south"), &parameters, &Patch::Apply(by_hand)).await.expect("written");
    let said = world.refusal(&of(&other, "south")).await;
    assert!(said.contains("was not written by `wasmbed keys`"), "{said}");
}
