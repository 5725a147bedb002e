//! Tables of built-in kinds: what `kubectl get` prints of them.

use serde_json::{Value, json};

use super::Door;

pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// The names of the columns, and the cells of the only row.
async fn only_row(door: &Door, path: &str) -> (Vec<String>, Vec<Value>) {
    let table = door.get_as(path, TABLE).await.ok();
    assert_eq!(table["kind"], "Table");
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns: Vec<String> = columns.map(|column| column["name"].as_str().unwrap().to_owned()).collect();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    let cells = rows[0]["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), columns.len());
    (columns, cells)
}

/// Posts it and reads it as a table, alone and from a list.
async fn row_of(door: &Door, path: &str, body: &Value) -> (Vec<String>, Vec<Value>) {
    door.post(path, body).await.ok();
    let name = body["metadata"]["name"].as_str().unwrap();
    let (columns, cells) = only_row(door, &format!("{path}/{name}")).await;
    let listed = only_row(door, &format!("{path}?fieldSelector=metadata.name%3D{name}")).await;
    assert_eq!(listed.0, columns);
    (columns, cells)
}

pub async fn a_config_map_is_a_row_with_the_number_of_its_entries(door: Door) {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
        "data": {"x": "1", "y": "2"}, "binaryData": {"z": "AA=="}});
    let (columns, cells) = row_of(&door, &door.core("configmaps"), &body).await;
    assert_eq!(columns, ["Name", "Data", "Age"]);
    assert_eq!(cells[..2], [json!("a"), json!(3)]);
}

pub async fn a_secret_is_a_row_with_its_type(door: Door) {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"x": "1"}});
    let (columns, cells) = row_of(&door, &door.core("secrets"), &body).await;
    assert_eq!(columns, ["Name", "Type", "Data", "Age"]);
    assert_eq!(cells[..3], [json!("a"), json!("Opaque"), json!(1)]);
}

pub async fn a_lease_is_a_row_with_its_holder(door: Door) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", door.namespace);
    let body = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}});
    let (columns, cells) = row_of(&door, &path, &body).await;
    assert_eq!(columns, ["Name", "Holder", "Age"]);
    assert_eq!(cells[..2], [json!("a"), json!("me")]);
    let nobodys = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "b"}});
    row_of(&door, &path, &nobodys).await;
}

pub async fn a_namespace_is_a_row_with_its_phase(door: Door) {
    let (columns, cells) = only_row(&door, &format!("/api/v1/namespaces/{}", door.namespace)).await;
    assert_eq!(columns, ["Name", "Status", "Age"]);
    assert_eq!(cells[..2], [json!(door.namespace), json!("Active")]);
}

pub async fn an_event_is_a_row_with_what_it_is_about(door: Door) {
    let body = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"},
        "involvedObject": {"apiVersion": "contract.wasmbed.test/v1", "kind": "Widget", "name": "a", "namespace": door.namespace},
        "reason": "Tested", "message": "it is tested", "type": "Normal", "count": 2, "source": {"component": "test"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:10Z"});
    let (columns, cells) = row_of(&door, &door.core("events"), &body).await;
    assert_eq!(columns[..5], ["Last Seen", "Type", "Reason", "Object", "Subobject"]);
    assert_eq!(cells[1..4], [json!("Normal"), json!("Tested"), json!("widget/a")]);
    let other = format!("/apis/events.k8s.io/v1/namespaces/{}/events/e", door.namespace);
    assert_eq!(only_row(&door, &other).await.0, columns);
}

pub async fn a_watch_of_tables_describes_the_columns_once(door: Door) {
    let list = door.get(&door.widgets()).await.ok();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{}?watch=true&resourceVersion={version}", door.widgets());
    let mut watch = door.watch_as(&path, TABLE).await;
    door.make("a", json!({"size": 1})).await;
    door.make("b", json!({"size": 2})).await;
    let first = watch.next().await.unwrap();
    assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
    assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Size");
    assert_eq!(first["object"]["rows"][0]["cells"][1], 1);
    let second = watch.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}
