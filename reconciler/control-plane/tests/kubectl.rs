//! What a person types: the real kubectl against the HTTPS port.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use contract::door::PATIENCE;
use serde_json::{Value, json};
use support::side::Side;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use wasmbed_control_plane_testing::Programs;

on_both! {
    get_prints_tables_names_and_whole_objects,
    get_w_prints_changes_as_they_come,
    describe_shows_an_object_and_its_events,
    apply_works_on_the_server_and_on_the_client_side,
    apply_tells_of_conflicts_and_of_unknown_fields,
    diff_shows_what_an_apply_would_change,
    wait_ends_when_a_condition_or_a_deletion_comes,
    label_annotate_patch_create_and_delete_do_what_they_say,
    explain_and_api_resources_tell_what_there_is,
}

/// A kubectl that reaches a server.
struct Kubectl {
    side: Side,
    program: PathBuf,
}

impl Kubectl {
    /// `None`, with a word, where there is no kubectl: neither on the machine nor built by `make kubernetes`.
    async fn open(side: Side) -> Option<Self> {
        let program = Programs::find().map_or_else(|_| "kubectl".into(), |programs| programs.tool("kubectl"));
        let found = Command::new(&program).args(["version", "--client"]).output().await;
        if !found.is_ok_and(|output| output.status.success()) {
            // Not by `eprintln!`: what that says in a test that passes, nobody sees.
            let skipped = b"SKIPPED: kubectl is not installed, so what it sees is not tested\n";
            std::io::stderr().write_all(skipped).unwrap();
            return None;
        }
        Some(Self { side, program })
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", &self.side.kubeconfig)
            .env("HOME", self.side.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it; gives the exit code, what it printed, and what it complained of.
    async fn run(&self, arguments: &str, input: &str) -> (i32, String, String) {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.expect("kubectl ends").unwrap();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    async fn ok(&self, arguments: &str, input: &str) -> String {
        let (code, out, complaint) = self.run(arguments, input).await;
        assert_eq!(code, 0, "kubectl {arguments}: {out}{complaint}");
        out
    }
}

const WIDGET: &str = "apiVersion: contract.wasmbed.test/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  size: 5\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  k: v\n";

/// Columns of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

async fn get_prints_tables_names_and_whole_objects(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let door = &kubectl.side.door;
    door.make("a", json!({"size": 5, "tags": ["x", "y"]})).await;
    let table = kubectl.ok("get widgets", "").await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(words(lines[0]), ["NAME", "SIZE", "READY", "AGE"]);
    assert_eq!(words(lines[1])[..2], ["a", "5"]);
    assert!(kubectl.ok("get wd -o wide", "").await.contains("TAGS"));
    assert_eq!(kubectl.ok("get widget a -o name", "").await, "widget.contract.wasmbed.test/a\n");
    assert_eq!(kubectl.ok("get widget a -o jsonpath={.spec.size}", "").await, "5");
    let whole: Value = serde_json::from_str(&kubectl.ok("get widget a -o json", "").await).unwrap();
    assert_eq!(whole["spec"]["size"], 5);
    let everywhere = kubectl.ok("get wasmbed -A", "").await;
    // The category holds other kinds too, so that names bear theirs.
    let wanted = [door.namespace.as_str(), "widget.contract.wasmbed.test/a"];
    assert!(everywhere.lines().any(|line| words(line).starts_with(&wanted)), "{everywhere}");
    assert!(kubectl.ok("get ns", "").await.contains("Active"));
    assert!(kubectl.ok("get cm,secret,lease,crd -A", "").await.contains("widgets.contract.wasmbed.test"));
    let (code, _, complaint) = kubectl.run("get widget nobody", "").await;
    assert_eq!(code, 1);
    assert_eq!(complaint, "Error from server (NotFound): widgets.contract.wasmbed.test \"nobody\" not found\n");
    let (code, _, complaint) = kubectl.run("get gadgets", "").await;
    assert_eq!(code, 1);
    assert!(complaint.contains("the server doesn't have a resource type \"gadgets\""), "{complaint}");
}

async fn get_w_prints_changes_as_they_come(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let door = &kubectl.side.door;
    door.make("a", json!({"size": 1})).await;
    let mut child = kubectl.command("get widgets -w").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert_eq!(words(&next().await)[0], "NAME");
    assert_eq!(words(&next().await)[..2], ["a", "1"]);
    let patch = json!({"spec": {"size": 2}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    assert_eq!(words(&next().await)[..2], ["a", "2"]);
    door.make("b", json!({"size": 3})).await;
    assert_eq!(words(&next().await)[..2], ["b", "3"]);
    child.kill().await.unwrap();
}

async fn describe_shows_an_object_and_its_events(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let door = &kubectl.side.door;
    let object = door.make("a", json!({"size": 5})).await;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a.1"}, "reason": "Tested", "message": "it is tested",
        "type": "Normal", "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
        "involvedObject": {"kind": "Widget", "apiVersion": "contract.wasmbed.test/v1", "name": "a", "namespace": door.namespace, "uid": object["metadata"]["uid"]}});
    door.post(&door.core("events"), &event).await.ok();
    let text = kubectl.ok("describe widget a", "").await;
    assert!(text.contains("Size:") && text.contains("it is tested"), "{text}");
    kubectl.ok(&format!("describe ns {}", door.namespace), "").await;
    kubectl.ok("apply -f -", CONFIG_MAP).await;
    assert!(kubectl.ok("describe cm m", "").await.contains("k:"));
    let events = kubectl.ok("get events", "").await;
    assert!(events.contains("widget/a") && events.contains("Tested"), "{events}");
}

async fn apply_works_on_the_server_and_on_the_client_side(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    for (manifest, kind, changed) in [
        (WIDGET, "widget.contract.wasmbed.test/a", WIDGET.replace("size: 5", "size: 6")),
        (CONFIG_MAP, "configmap/m", CONFIG_MAP.replace("k: v", "j: w")),
    ] {
        let out = kubectl.ok("apply --server-side -f -", manifest).await;
        assert_eq!(out, format!("{kind} serverside-applied\n"));
        assert_eq!(kubectl.ok("apply --server-side -f -", &changed).await, out);
        kubectl.ok("delete -f -", manifest).await;
        assert_eq!(kubectl.ok("apply -f -", manifest).await, format!("{kind} created\n"));
        assert_eq!(kubectl.ok("apply -f -", manifest).await, format!("{kind} unchanged\n"));
        assert_eq!(kubectl.ok("apply -f -", &changed).await, format!("{kind} configured\n"));
        // From one side to the other: kubectl moves the ownership over.
        assert_eq!(kubectl.ok("apply --server-side -f -", manifest).await, out);
    }
    let data = kubectl.ok("get cm m -o jsonpath={.data}", "").await;
    assert_eq!(data, "{\"k\":\"v\"}");
}

async fn apply_tells_of_conflicts_and_of_unknown_fields(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    kubectl.ok("apply --server-side --field-manager=other -f -", WIDGET).await;
    let changed = WIDGET.replace("size: 5", "size: 6");
    let (code, _, complaint) = kubectl.run("apply --server-side -f -", &changed).await;
    assert_eq!(code, 1);
    assert!(complaint.contains("conflict with \"other\": .spec.size"), "{complaint}");
    kubectl.ok("apply --server-side --force-conflicts -f -", &changed).await;
    let typo = WIDGET.replace("size", "sise");
    let (code, _, complaint) = kubectl.run("apply -f -", &typo).await;
    assert_eq!(code, 1);
    assert!(complaint.contains("unknown field \"spec.sise\""), "{complaint}");
    let wrong = WIDGET.replace("size: 5", "size: 500");
    let (code, _, complaint) = kubectl.run("apply --server-side --force-conflicts -f -", &wrong).await;
    assert_eq!(code, 1);
    assert!(complaint.contains("spec.size in body should be less than or equal to 100"), "{complaint}");
}

async fn diff_shows_what_an_apply_would_change(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    kubectl.ok("apply --server-side -f -", WIDGET).await;
    assert_eq!(kubectl.run("diff --server-side -f -", WIDGET).await.0, 0);
    let changed = WIDGET.replace("size: 5", "size: 6");
    let (code, out, complaint) = kubectl.run("diff --server-side -f -", &changed).await;
    assert_eq!(code, 1, "{out}{complaint}");
    assert!(out.contains("+  size: 6"), "{out}");
    kubectl.ok("apply -f -", CONFIG_MAP).await;
    assert_eq!(kubectl.run("diff -f -", CONFIG_MAP).await.0, 0);
    let (code, out, _) = kubectl.run("diff -f -", &CONFIG_MAP.replace("k: v", "k: w")).await;
    assert_eq!(code, 1);
    assert!(out.contains("+  k: w"), "{out}");
}

async fn wait_ends_when_a_condition_or_a_deletion_comes(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let door = &kubectl.side.door;
    door.make("a", json!({})).await;
    let wait = kubectl.command("wait widget/a --for=condition=Ready --timeout=120s").spawn().unwrap();
    let mut body = door.named("a");
    body["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let path = format!("{}/status?fieldManager=s", door.widget("a"));
    door.patch(&path, "apply-patch+yaml", &body).await.ok();
    let output = wait.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    kubectl.ok("wait crd/widgets.contract.wasmbed.test --for=condition=Established --timeout=120s", "").await;
    // The object stays until it is let go, and it is deleted only once kubectl watches it: at this verbosity it says so.
    let held = |by: Value| json!({"metadata": {"finalizers": by}});
    let path = door.widget("a");
    door.patch(&path, "merge-patch+json", &held(json!(["wasmbed.test/held"]))).await.ok();
    let mut wait = kubectl.command("wait widget/a --for=delete --timeout=120s -v=6").spawn().unwrap();
    let mut said = BufReader::new(wait.stderr.take().unwrap()).lines();
    let watches = async { while !said.next_line().await.unwrap().expect("kubectl waits").contains("watch=true") {} };
    tokio::time::timeout(PATIENCE, watches).await.expect("kubectl watches");
    let going = door.delete(&path, &json!({})).await.ok();
    assert!(going["metadata"]["deletionTimestamp"].is_string(), "{going}");
    assert!(wait.try_wait().unwrap().is_none(), "it is still there");
    door.patch(&path, "merge-patch+json", &held(Value::Null)).await.ok();
    assert!(wait.wait_with_output().await.unwrap().status.success());
}

async fn label_annotate_patch_create_and_delete_do_what_they_say(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let door = &kubectl.side.door;
    door.make("a", json!({"size": 1})).await;
    kubectl.ok("create configmap m --from-literal=k=v", "").await;
    kubectl.ok("create secret generic s --from-literal=k=v", "").await;
    kubectl.ok("create namespace other", "").await;
    for object in ["widget/a", "cm/m", "secret/s"] {
        kubectl.ok(&format!("label {object} x=1 y=2"), "").await;
        kubectl.ok(&format!("label {object} x=3 y- --overwrite"), "").await;
        kubectl.ok(&format!("annotate {object} note=text"), "").await;
        let labels = kubectl.ok(&format!("get {object} -o jsonpath={{.metadata.labels}}"), "").await;
        assert_eq!(labels, "{\"x\":\"3\"}", "{object}");
    }
    kubectl.ok("patch widget a --type=merge -p {\"spec\":{\"size\":9}}", "").await;
    assert_eq!(kubectl.ok("get widget a -o jsonpath={.spec.size}", "").await, "9");
    kubectl.ok("patch widget a --subresource=status --type=merge -p {\"status\":{\"phase\":\"P\"}}", "").await;
    let replaced = WIDGET.replace("size: 5", "size: 8");
    kubectl.ok("replace -f -", &replaced).await;
    assert_eq!(kubectl.ok("get widget -l x=3 -o name", "").await, "");
    let out = kubectl.ok("delete widget a", "").await;
    assert!(out.starts_with("widget.contract.wasmbed.test \"a\" deleted"), "{out}");
    kubectl.ok("delete cm,secret --all", "").await;
    kubectl.ok("delete namespace other", "").await;
    assert!(!kubectl.ok("get ns", "").await.contains("other"));
}

async fn explain_and_api_resources_tell_what_there_is(side: Side) {
    let Some(kubectl) = Kubectl::open(side).await else { return };
    let text = kubectl.ok("explain widget.spec.size", "").await;
    assert!(text.contains("How large it is.") && text.contains("<integer>"), "{text}");
    let text = kubectl.ok("explain configmap --recursive", "").await;
    assert!(text.contains("binaryData"), "{text}");
    let text = kubectl.ok("api-resources", "").await;
    assert!(text.contains("widgets") && text.contains("contract.wasmbed.test/v1"), "{text}");
    let text = kubectl.ok("version", "").await;
    assert!(text.contains("Server Version"), "{text}");
}
