//! What devices say on a cluster: the chart's gateways serve it to the readers that the values name, and `wasmbed logs` reads all
//! replicas that the Service's name leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use wasmbed_api::{Device, Fleet};
use wasmbed_control_plane_testing::Options;

use crate::chart::SYSTEM;
use crate::installation::Installation;
use crate::lines::{DEADLINE, Lines};
use crate::pod::Pod;
use crate::repository::Repository;
use crate::running::{Running, program};
use crate::source::{manifest, ticker};

const TENANTS: [&str; 2] = ["plant-a", "plant-b"];
const DEVICES: [&str; 4] = ["one", "two", "three", "four"];
const VALUES: &str = "
tls:
  mode: secret
  ca: {secret: streams-ca}
  callersCa: {secret: callers-ca}
fleets:
  - namespace: plant-a
    name: plant-a
    createNamespace: true
    create: false
    liveReaders: [system:serviceaccount:plant-a:reader]
    gateways:
      - {name: gateway-1, replicas: 2}
  - namespace: plant-b
    name: plant-b
    createNamespace: true
    create: false
    liveReaders: [system:serviceaccount:plant-b:reader]
    gateways:
      - {name: gateway-1, replicas: 1}
";
const DECLARED: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: ticker}
spec:
  source: {path: apps/ticker}
  targetSelector: {matchLabels: {site: north}}
";
/// The name of a tenant's Service, which has no address of its own.
fn service(tenant: &str) -> String {
    format!("wasmbed-live-{tenant}.{SYSTEM}.svc")
}

/// Whoever reads: from a place where the names of Services lead to the pods that are written into a file.
struct Reader {
    folder: PathBuf,
    token: PathBuf,
}

impl Reader {
    /// A command of the program, as this reader gives it.
    fn command(&self, tenant: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--dev-bind", "/", "/", "--ro-bind"]);
        command.arg(self.folder.join("hosts")).args(["/etc/hosts", "--"]);
        command.arg(program().get_program()).args(["logs", "--output", "json"]).args(arguments);
        command.arg("--live").arg(format!("https://{}:8443", service(tenant)));
        command.arg("--streams-ca").arg(self.folder.join("ca.crt")).arg("--streams-token").arg(&self.token);
        command
    }

    /// What it is told when it is not let in.
    fn is_refused(&self, tenant: &str) -> String {
        let output = self.command(tenant, &[]).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "it was let in");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The lines that applications printed, by their devices.
#[derive(Default)]
struct Heard {
    lines: BTreeMap<String, Vec<String>>,
}

impl Heard {
    /// Takes in a line of the reader's; gives the device that said it, and when its gateway heard it.
    fn hear(&mut self, line: &str) -> Option<(String, u64)> {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["application"] != "ticker" || event["level"] != "output" {
            return None;
        }
        let (device, text) = (event["device"].as_str().unwrap(), event["text"].as_str().unwrap());
        self.lines.entry(device.to_owned()).or_default().push(text.to_owned());
        Some((device.to_owned(), event["timeMs"].as_u64().unwrap()))
    }

    /// Hears until each device has said something since now.
    fn more(&mut self, why: &str, lines: &mut Lines) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let mut silent = BTreeSet::from(DEVICES.map(str::to_owned));
        tokio::task::block_in_place(|| {
            lines.next(why, |line| {
                let (device, time) = self.hear(line)?;
                if u128::from(time) > now {
                    silent.remove(&device);
                }
                silent.is_empty().then_some(())
            });
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_are_named_see_what_devices_of_all_replicas_say_and_nobody_else_does() {
    let Some(installation) = Installation::of(VALUES, &TENANTS, Options::default()).await else { return };
    let (admin, folder) = (installation.admin.clone(), installation.folder().to_owned());
    TENANTS.iter().for_each(|tenant| publish_keys(&folder, tenant));
    let repository = Repository::create(&folder);
    let fleet = json!({
        "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": TENANTS[0] },
        "spec": { "url": repository.bare },
    });
    let fleets = Api::<Fleet>::namespaced(admin.clone(), TENANTS[0]);
    fleets.patch(TENANTS[0], &PatchParams::apply("kubectl"), &Patch::Apply(fleet)).await.unwrap();

    let mut pods = installation.pods;
    let mut others = Vec::new();
    for deployment in ["wasmbed-builder", "wasmbed-signer-plant-a", "wasmbed-reconciler-plant-a"] {
        others.extend(pods.start_all(deployment).await);
    }
    let mut gateways = pods.start_all("wasmbed-gateway-plant-a-gateway-1").await;
    let foreign = pods.start_all("wasmbed-gateway-plant-b-gateway-1").await;
    let address = pods.service("wasmbed-gateway-plant-a-gateway-1").to_string();
    let _devices = devices(&repository, &address, &folder);
    let lead = |gateways: &[Pod]| names_lead(&folder, gateways, &foreign);
    lead(&gateways);

    // Two readers of two tenants, and somebody whom nobody named.
    let mut readers = Vec::new();
    for (tenant, name) in [("plant-a", "reader"), ("plant-b", "reader"), ("plant-a", "other")] {
        let token = folder.join(format!("{tenant}-{name}"));
        std::fs::write(&token, token_of(&admin, tenant, name).await).unwrap();
        readers.push(Reader { folder: folder.clone(), token });
    }
    let (reader, of_b, other) = (&readers[0], &readers[1], &readers[2]);

    let mut following = reader.command("plant-a", &["-f"]);
    let (mut reading, mut errors) = Running::start_with_errors("the reader", &mut following);
    let mut heard = Heard::default();
    heard.more("every device is heard", &mut reading.out);
    let replicas = replicas_in_session(&admin).await;
    assert_eq!(replicas.len(), 2, "each gateway has devices in session");

    // Those who were not named, and those of another tenant, are told why.
    for (who, user) in [(other, "plant-a:other"), (of_b, "plant-b:reader")] {
        let told = who.is_refused("plant-a");
        assert!(
            told.contains(&format!("system:serviceaccount:{user} is not among the users that are let in here")),
            "{told}"
        );
    }
    assert!(reader.is_refused("plant-b").contains("plant-a:reader is not among"));
    let own = of_b.command("plant-b", &[]).output().unwrap();
    assert!(own.status.success() && own.stdout.is_empty(), "it has no devices");

    // A gateway is gone, and so its devices are at the other one; then a third comes, and the second goes.
    for _ in 0..2 {
        gateways[0].kill();
        let lost = format!("not reached: https://{}:8443 at {}:", service("plant-a"), gateways[0].address);
        tokio::task::block_in_place(|| errors.next("it is missed", |line| line.starts_with(&lost).then_some(())));
        heard.more("every device is heard from the one that is left", &mut reading.out);
        gateways.remove(0);
        gateways.push(pods.start("wasmbed-gateway-plant-a-gateway-1").await);
        gateways.last_mut().unwrap().wait_until_ready().await;
        lead(&gateways);
    }
    heard.more("every device is heard from those that came", &mut reading.out);
    assert!(reading.is_running());
    for (device, lines) in &heard.lines {
        let once: BTreeSet<_> = lines.iter().collect();
        assert_eq!(once.len(), lines.len(), "{device} says each line once: {lines:?}");
    }

    // Without -f it ends, and what is kept of all of them comes in the order of time.
    let kept = reader.command("plant-a", &[]).output().unwrap();
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    let kept = String::from_utf8(kept.stdout).unwrap();
    let events: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.is_sorted_by_key(|event| event["timeMs"].as_u64().unwrap()));
    let said: BTreeSet<_> = events.iter().map(|event| event["device"].as_str().unwrap()).collect();
    assert_eq!(said, DEVICES.into());
}

fn publish_keys(folder: &Path, tenant: &str) {
    let mut publish = program();
    publish.args(["keys", "--state"]).arg(folder.join(format!("keys-{tenant}"))).arg("publish").arg("--kubeconfig");
    publish.arg(folder.join("kubeconfig")).args(["--system-namespace", SYSTEM, "--gateway", "gateway-1"]);
    let output = publish.args(["--namespace", tenant, "--fleet", tenant]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Devices that run, declared with an application for all of them.
fn devices(repository: &Repository, address: &str, folder: &Path) -> Vec<Running> {
    let mut declared = DECLARED.to_owned();
    let mut running = Vec::new();
    for name in DEVICES {
        let at = folder.join("devices").join(name);
        let mut provision = program();
        provision.args(["provision", "--output", "json", "--gateway", address, "--state"]);
        let output = provision.arg(folder.join("keys-plant-a")).arg(&at).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        declared += &format!(
            "---\napiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}, labels: {{site: north}}}}\n\
             spec: {{mcuType: Host, gatewayId: gateway-1, publicKey: {}}}\n",
            made["publicKey"].as_str().unwrap()
        );
        let mut command = program();
        command.args(["device", "--dir"]).arg(&at);
        running.push(Running::start(name, &mut command));
    }
    repository.write("fleet.yaml", &declared);
    repository.write("apps/ticker/Cargo.toml", &manifest("ticker"));
    repository.write("apps/ticker/src/main.rs", &ticker("tick", 200));
    repository.push("The fleet");
    running
}

/// What a cluster's DNS would say.
fn names_lead(folder: &Path, gateways: &[Pod], foreign: &[Pod]) {
    let line = |(tenant, pod): (&str, &Pod)| format!("{} {}\n", pod.address, service(tenant));
    let (a, b) = (gateways.iter().map(|pod| ("plant-a", pod)), foreign.iter().map(|pod| ("plant-b", pod)));
    // In its place, as it is seen by whoever reads.
    std::fs::write(folder.join("hosts"), a.chain(b).map(line).collect::<String>()).unwrap();
}

/// A token of a ServiceAccount, as `kubectl create token` makes one.
async fn token_of(admin: &Client, namespace: &str, name: &str) -> String {
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), namespace);
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata, ..ServiceAccount::default() };
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let spec = TokenRequestSpec { audiences: Some(vec!["wasmbed".to_owned()]), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token.unwrap()
}

/// The gateways' replicas that have devices in session, once all devices are.
async fn replicas_in_session(admin: &Client) -> BTreeSet<String> {
    let api = Api::<Device>::namespaced(admin.clone(), TENANTS[0]);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let devices = api.list(&Default::default()).await.unwrap().items;
        let sessions = devices.into_iter().filter_map(|device| device.status?.session);
        let replicas: Vec<String> = sessions.map(|session| session.replica).collect();
        if replicas.len() == DEVICES.len() {
            return replicas.into_iter().collect();
        }
        assert!(tokio::time::Instant::now() < deadline, "devices are in session at {replicas:?}");
        // Asked again, not slept over: the condition above decides.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
