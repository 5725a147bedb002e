//! The signer through its socket, against the embedded API.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmbed_api::{Application, Device, Rollout};
use wasmbed_control_plane::{ControlPlane, Options};
use wasmbed_keys::{KeySource, SecretPlace};
use wasmbed_protocol::signed::{Expected, RunState};
use wasmbed_protocol::{Assignment, KeySet, Nonce, PublicKey, SigningKey};
use wasmbed_streams::sessions::{AssignmentPush, PATH, Session, SessionEvent};
use wasmbed_streams::{Receiver, Sender, open};

const NONCE: [u8; 16] = [9; 16];
/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn device_key() -> PublicKey {
    SigningKey::from_seed(&[1; 32]).public()
}

fn assignment_key() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn key_set() -> KeySet {
    let gateway_ca = SigningKey::from_seed(&[3; 32]).public();
    KeySet {
        epoch: 1,
        fleet: "fleet".to_owned(),
        release: vec![],
        assignment: vec![assignment_key().public()],
        gateway_ca,
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    control_plane: ControlPlane,
}

impl Fixture {
    /// A device, an application for it, and a rollout whose stable Release is `aaaa...`.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("api"), wasmbed_api::crds()).namespace("fleet");
        let this = Self { control_plane: ControlPlane::open(options).await.unwrap(), folder };
        let key = wasmbed_api::PublicKey::from_bytes(*device_key().as_bytes());
        this.create::<Device>(json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device", "metadata": { "name": "sensor" },
            "spec": { "publicKey": key },
        }))
        .await;
        this.create::<Application>(json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Application", "metadata": { "name": "reader" },
            "spec": { "source": { "path": "reader" }, "targetDevices": ["sensor"] },
        }))
        .await;
        this.create::<Rollout>(json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "reader" },
            "spec": { "stable": "a".repeat(64), "position": 0, "judgedFailed": 0, "retry": 0 },
        }))
        .await;
        this
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.control_plane.client("fleet"), "fleet")
    }

    async fn create<K>(&self, object: serde_json::Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    async fn patch<K>(&self, name: &str, spec: serde_json::Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api::<K>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/signer.sock")
    }

    /// Starts a signer; dropping what is returned ends it.
    fn start(&self) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        self.start_with(KeySource::Fixed(assignment_key()))
    }

    /// A signer whose key comes from somewhere else.
    fn start_with(&self, assignment_key: KeySource) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let options = wasmbed_signer::Options {
            client: self.control_plane.client("fleet"),
            namespace: "fleet".to_owned(),
            fleet: "fleet".to_owned(),
            assignment_key,
            door: self.socket().into(),
            health: wasmbed_health::Health::default(),
        };
        let (end, ended) = oneshot::channel();
        let shutdown = async {
            let _: Result<(), _> = ended.await;
        };
        (end, tokio::spawn(async move { wasmbed_signer::run(options, shutdown).await.unwrap() }))
    }

    /// A gateway's stream, once the signer serves.
    async fn connect(&self) -> (Sender<SessionEvent>, Receiver<AssignmentPush>) {
        let connected = async {
            loop {
                match open(&self.socket(), PATH).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, connected).await.expect("the signer serves")
    }
}

/// What the signer sends next.
async fn next(from: &mut Receiver<AssignmentPush>) -> AssignmentPush {
    timeout(PATIENCE, from.next()).await.expect("the signer sends something").expect("the stream goes on").unwrap()
}

fn opened(thumbprint: [u8; 32]) -> SessionEvent {
    SessionEvent::Opened(Session {
        session: 7,
        gateway: "gateway-1".to_owned(),
        device: "sensor".to_owned(),
        thumbprint,
        nonce: NONCE,
    })
}

/// The Assignment, as the device would open it.
fn verified(push: &AssignmentPush, last: Option<u64>) -> Assignment {
    let key = device_key();
    let expected = Expected { device: &key, nonce: &Nonce(NONCE), gateway: "gateway-1", last };
    Assignment::verify(&push.assignment, &key_set(), &expected).unwrap()
}

#[tokio::test]
async fn a_session_gets_its_assignment_and_every_change_of_it() {
    let fixture = Fixture::new().await;
    let (_end, _signer) = fixture.start();
    let (to, mut from) = fixture.connect().await;
    to.send(&opened(device_key().thumbprint().0)).await.unwrap();
    let push = next(&mut from).await;
    assert_eq!((push.session, push.releases.as_slice()), (7, &["a".repeat(64)][..]));
    let first = verified(&push, None);
    assert_eq!(first.entries[0].application, "reader");
    assert_eq!(first.entries[0].state, RunState::Run);

    fixture.patch::<Application>("reader", json!({ "suspend": true })).await;
    let second = verified(&next(&mut from).await, Some(first.n));
    assert_eq!(second.entries[0].state, RunState::Suspended);

    fixture.patch::<Application>("reader", json!({ "targetDevices": [] })).await;
    let third = verified(&next(&mut from).await, Some(second.n));
    assert!(third.entries.is_empty(), "the set is complete: absence means stop and erase");
}

#[tokio::test]
async fn a_gateway_cannot_have_a_devices_assignment_signed_for_another_key() {
    let fixture = Fixture::new().await;
    let (_end, _signer) = fixture.start();
    let (to, mut from) = fixture.connect().await;
    to.send(&opened([0x66; 32])).await.unwrap();
    // Nothing comes for the wrong key; the right one, opened after it, is answered first.
    to.send(&SessionEvent::Closed { session: 7 }).await.unwrap();
    to.send(&opened(device_key().thumbprint().0)).await.unwrap();
    verified(&next(&mut from).await, None);
}

#[tokio::test]
async fn a_signer_that_was_restarted_goes_on_above_the_last_number() {
    let fixture = Fixture::new().await;
    let (end, signer) = fixture.start();
    let (to, mut from) = fixture.connect().await;
    to.send(&opened(device_key().thumbprint().0)).await.unwrap();
    let before = verified(&next(&mut from).await, None);
    drop(end);
    timeout(PATIENCE, signer).await.expect("the signer ends").unwrap();

    let (_end, _signer) = fixture.start();
    let (to, mut from) = fixture.connect().await;
    to.send(&opened(device_key().thumbprint().0)).await.unwrap();
    let after = verified(&next(&mut from).await, Some(before.n));
    assert_eq!(after.entries, before.entries);
}

/// Who signed what was pushed, of the keys of these seeds.
fn signer_of(push: &AssignmentPush, seeds: &[u8]) -> Option<u8> {
    let key = device_key();
    seeds.iter().copied().find(|seed| {
        let set = KeySet { assignment: vec![SigningKey::from_seed(&[*seed; 32]).public()], ..key_set() };
        let expected = Expected { device: &key, nonce: &Nonce(NONCE), gateway: "gateway-1", last: None };
        Assignment::verify(&push.assignment, &set, &expected).is_ok()
    })
}

#[tokio::test]
async fn a_session_waits_for_the_key_and_gets_its_assignment_anew_when_it_is_replaced() {
    let fixture = Fixture::new().await;
    let secrets = fixture.api::<Secret>();
    let write = async |seed: u8| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "assignment" },
            "data": { "seed": ByteString(vec![seed; 32]) },
        });
        secrets.patch("assignment", &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
    };
    let place = SecretPlace { namespace: "fleet".to_owned(), name: "assignment".to_owned() };
    let (_end, _signer) = fixture.start_with(KeySource::Secret(place));
    let (to, mut from) = fixture.connect().await;
    to.send(&opened(device_key().thumbprint().0)).await.unwrap();
    write(2).await;
    let first = next(&mut from).await;
    assert_eq!(signer_of(&first, &[2, 4]), Some(2));
    write(4).await;
    let second = next(&mut from).await;
    assert_eq!(signer_of(&second, &[2, 4]), Some(4));
}
