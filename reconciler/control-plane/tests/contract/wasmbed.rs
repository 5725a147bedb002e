//! Wasmbed's own kinds: what their definitions let in is the same everywhere.

use serde_json::{Value, json};

use super::Door;
use super::tables::TABLE;

/// A kind of Wasmbed.
struct Own {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn own(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Own {
    Own { group, version, kind, plural }
}

impl Own {
    fn path(&self, door: &Door) -> String {
        format!("/apis/{}/{}/namespaces/{}/{}", self.group, self.version, door.namespace, self.plural)
    }

    fn object(&self, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": format!("{}/{}", self.group, self.version), "kind": self.kind, "metadata": {"name": name}, "spec": spec})
    }

    /// Creates, reads, changes, reports, shows, applies and deletes a right one.
    async fn is_kept(&self, door: &Door, name: &str, spec: Value, status: Value) {
        let (all, one) = (self.path(door), format!("{}/{name}", self.path(door)));
        let body = self.object(name, &spec);
        let strict = format!("{all}?fieldValidation=Strict");
        let made = door.post(&strict, &body).await.ok();
        assert_eq!(made["spec"], spec);
        assert_eq!(door.get(&one).await.ok(), made);
        let labels = json!({"metadata": {"labels": {"room": "kitchen"}}});
        let labelled = door.patch(&one, "merge-patch+json", &labels).await.ok();
        assert_eq!(labelled["metadata"]["generation"], 1);
        let mut said = self.object(name, &Value::Null);
        said.as_object_mut().unwrap().remove("spec");
        said["status"] = status.clone();
        let path = format!("{one}/status?fieldManager=gateway&force=true");
        let reported = door.patch(&path, "apply-patch+yaml", &said).await.ok();
        assert_eq!((&reported["status"], &reported["spec"]), (&status, &spec));
        let applied =
            door.patch(&format!("{one}?fieldManager=reconciler&force=true"), "apply-patch+yaml", &body).await.ok();
        assert_eq!((&applied["status"], &applied["metadata"]["generation"]), (&status, &json!(1)));
        door.get_as(&one, TABLE).await.ok();
        door.get_as(&all, TABLE).await.ok();
        door.delete(&one, &json!({})).await.ok();
        door.get(&one).await.fails(404, "NotFound");
    }

    /// Specs that no server takes, however they come.
    async fn is_refused(&self, door: &Door, name: &str, specs: &[Value]) {
        let all = self.path(door);
        for spec in specs {
            let body = self.object(name, spec);
            door.post(&all, &body).await.fails(422, "Invalid");
            let apply = format!("{all}/{name}?fieldManager=reconciler");
            // A type that cannot be merged is told before validation would, without a reason.
            let refused = door.patch(&apply, "apply-patch+yaml", &body).await;
            assert!(matches!(refused.code, 422 | 500), "{}", refused.text);
        }
        let unknown = self.object(name, &json!({"noSuchField": 1}));
        let strict = door.post(&format!("{all}?fieldValidation=Strict"), &unknown).await;
        assert_eq!(strict.code, 400, "{}", strict.text);
        assert!(door.names(&all).await.is_empty());
    }
}

fn condition(kind: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": "Tested", "message": "it is so", "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

pub async fn a_gateway_is_kept_and_a_wrong_one_refused(door: Door) {
    let gateways = own("wasmbed.io", "v1", "Gateway", "gateways");
    let spec = json!({"endpoint": "10.0.0.1:8443", "port": 8080, "tlsPort": 8443, "region": "eu", "capabilities": ["tls"],
        "maxDevices": 100, "resources": {"cpu": 1}, "config": {"heartbeatInterval": "30s"}});
    gateways.is_kept(&door, "g", spec, json!({"conditions": [condition("Ready")]})).await;
    let wrong = [
        json!({"port": 0}),
        json!({"tlsPort": 70000}),
        json!({"maxDevices": "many"}),
        json!({"capabilities": "tls"}),
        json!({"config": {"heartbeatInterval": "soon"}}),
    ];
    gateways.is_refused(&door, "g", &wrong).await;
}

pub async fn a_device_is_kept_and_a_wrong_one_refused(door: Door) {
    let devices = own("wasmbed.github.io", "v0", "Device", "devices");
    let spec = json!({"mcuType": "Host", "deviceType": "SENSOR", "gatewayId": "gateway-1", "emulation": {}});
    devices.is_kept(&door, "d", spec, json!({"phase": "Connected", "conditions": [condition("Emulated")]})).await;
    let wrong = [
        json!({"mcuType": "Abacus"}),
        json!({"deviceType": "TOASTER"}),
        json!({"gatewayId": "No Name"}),
        json!({"publicKey": "none"}),
        json!({"emulation": true}),
    ];
    devices.is_refused(&door, "d", &wrong).await;
}

pub async fn an_application_is_kept_and_a_wrong_one_refused(door: Door) {
    let applications = own("wasmbed.github.io", "v1alpha1", "Application", "applications");
    let spec = json!({"name": "Hello", "wasmBytes": "AGFzbQEAAAA=", "targetDevices": {"deviceNames": ["d"], "allDevices": true},
        "metadata": {"anything": [1, {"goes": true}]}, "suspend": false});
    applications.is_kept(&door, "a", spec, json!({"conditions": [condition("Ready")]})).await;
    let wrong = [
        json!({"wasmBytes": 7}),
        json!({"wasmBytes": "not base64!"}),
        json!({"suspend": "no"}),
        json!({"restartedAt": "yesterday"}),
        json!({"targetSelector": []}),
    ];
    applications.is_refused(&door, "a", &wrong).await;
}

pub async fn a_fleet_is_kept_and_a_wrong_one_refused(door: Door) {
    let fleets = own("wasmbed.github.io", "v1alpha1", "Fleet", "fleets");
    let spec = json!({"url": "https://git.example/fleet.git", "branch": "main", "path": "fleet", "interval": "1m", "prune": true,
        "secretRef": {"name": "git"}});
    fleets.is_kept(&door, "f", spec, json!({"conditions": [condition("Ready")]})).await;
    let url = "https://git.example/fleet.git";
    let wrong = [
        json!({}),
        json!({"url": ""}),
        json!({"url": url, "interval": "often"}),
        json!({"url": url, "rollback": "maybe"}),
        json!({"url": url, "secretRef": {}}),
    ];
    fleets.is_refused(&door, "f", &wrong).await;
}

pub async fn a_release_is_kept_and_a_wrong_one_refused(door: Door) {
    let releases = own("wasmbed.github.io", "v1alpha1", "Release", "releases");
    let spec = json!({"fleet": "home", "application": "hello", "revision": "abc", "config": {"env": {"LOG": "debug"}}, "cose": "AAAA",
        "artifacts": [{"platform": "wasm32", "format": "wasm", "digest": digest("a"), "size": 8}],
        "limits": {"memoryBytes": 65536, "cpuMillis": 250, "logBytesPerSecond": 1000, "messagesPerSecond": 10},
        "restart": {"automatic": true, "max": 3}});
    releases
        .is_kept(&door, "r", spec.clone(), json!({"observedGeneration": 1, "conditions": [condition("Ready")]}))
        .await;
    let with = |field: &str, value: Value| {
        let mut spec = spec.clone();
        spec[field] = value;
        spec
    };
    let wrong = [
        json!({}),
        with("application", "No Name".into()),
        with("cose", "not base64!".into()),
        // One mistake at a time: kube-apiserver tells of several in any order.
        with("artifacts", json!([{"platform": "wasm32", "format": "wasm", "digest": "md5:0", "size": 8}])),
        with("artifacts", json!([{"platform": "wasm32", "format": "wasm", "digest": digest("a"), "size": -1}])),
        with("restart", json!({"automatic": "yes", "max": 3})),
    ];
    releases.is_refused(&door, "r", &wrong).await;
}

pub async fn a_rollout_is_kept_and_a_wrong_one_refused(door: Door) {
    let rollouts = own("wasmbed.github.io", "v1alpha1", "Rollout", "rollouts");
    let spec = json!({"stable": digest("a"), "candidate": digest("b"), "position": 4_294_967_296_u64, "judgedFailed": 1, "retry": 0,
        "startedAt": "2026-01-01T00:00:00Z", "failed": [{"release": digest("c"), "reason": "Crashed"}]});
    rollouts.is_kept(&door, "o", spec, json!({"conditions": [condition("Ready")]})).await;
    let wrong = [
        json!({"stable": "newest"}),
        json!({"position": 4_294_967_297_u64}),
        json!({"retry": -1}),
        json!({"failed": [{"reason": "Crashed"}]}),
        json!({"startedAt": "yesterday"}),
    ];
    rollouts.is_refused(&door, "o", &wrong).await;
}
