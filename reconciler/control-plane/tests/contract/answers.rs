//! Answers that are not about one object: errors, tables, discovery.

use http::Method;
use serde_json::{Value, json};

use super::Door;
use super::tables::TABLE;

pub async fn an_unknown_path_is_not_found(door: Door) {
    for path in [
        "/apis/nobody.example/v1/things".to_owned(),
        "/apis/contract.wasmbed.test/v9/widgets".to_owned(),
        format!("/apis/contract.wasmbed.test/v1/namespaces/{}/gadgets", door.namespace),
        "/nothing".to_owned(),
    ] {
        assert_eq!(door.get(&path).await.code, 404, "{path}");
    }
}

pub async fn an_unknown_subresource_is_not_found(door: Door) {
    door.make("a", json!({})).await;
    assert_eq!(door.get(&format!("{}/scale", door.widget("a"))).await.code, 404);
}

pub async fn a_verb_that_is_not_served_is_not_allowed(door: Door) {
    door.make("a", json!({})).await;
    let put = door.put(&door.widgets(), &door.named("a")).await;
    put.fails(400, "BadRequest");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let put = door.put(&door.core("configmaps"), &map).await;
    put.fails(405, "MethodNotAllowed");
    let post = door.post(&format!("{}/a", door.core("configmaps")), &map).await;
    post.fails(405, "MethodNotAllowed");
    let delete = door.delete(&format!("{}/status", door.widget("a")), &json!({})).await;
    delete.fails(405, "MethodNotAllowed");
}

pub async fn a_body_that_is_not_json_is_a_bad_request(door: Door) {
    let kind = [("content-type", "application/json")];
    for body in ["", "{", "nonsense", "[1, 2]", "\"text\""] {
        let answer = door.send(Method::POST, &door.widgets(), &kind, body).await;
        answer.fails(400, "BadRequest");
    }
    door.make("a", json!({})).await;
    let kind = [("content-type", "application/merge-patch+json")];
    let answer = door.send(Method::PATCH, &door.widget("a"), &kind, "{").await;
    answer.fails(400, "BadRequest");
}

pub async fn a_body_of_another_kind_is_a_bad_request(door: Door) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    door.post(&door.widgets(), &map).await.fails(400, "BadRequest");
    let mut other = door.named("a");
    other["apiVersion"] = "contract.wasmbed.test/v2".into();
    door.post(&door.widgets(), &other).await.fails(400, "BadRequest");
}

pub async fn a_body_of_the_wrong_type_is_unsupported(door: Door) {
    let kind = [("content-type", "text/plain")];
    let body = door.named("a").to_string();
    let answer = door.send(Method::POST, &door.widgets(), &kind, &body).await;
    answer.fails(415, "UnsupportedMediaType");
    let answer = door.send(Method::PATCH, &door.widget("a"), &kind, &body).await;
    answer.fails(415, "UnsupportedMediaType");
}

pub async fn a_body_that_is_too_large_is_refused(door: Door) {
    let mut body = door.named("a");
    body["spec"] = json!({"anything": {"x": "x".repeat(4 << 20)}});
    let answer = door.post(&door.widgets(), &body).await;
    answer.fails(413, "RequestEntityTooLarge");
}

pub async fn an_accept_that_cannot_be_met_is_not_acceptable(door: Door) {
    let answer = door.get_as(&door.widgets(), "image/png").await;
    answer.fails(406, "NotAcceptable");
}

pub async fn a_table_has_the_columns_of_the_definition(door: Door) {
    door.make("a", json!({"size": 5})).await;
    let mut body = door.named("a");
    body["status"] = json!({"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]});
    let status = format!("{}/status?fieldManager=s", door.widget("a"));
    door.patch(&status, "apply-patch+yaml", &body).await.ok();
    let table = door.get_as(&door.widgets(), TABLE).await.ok();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1");
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns: Vec<&str> = columns.map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Name", "Size", "Ready", "Tags", "Age"]);
    let row = &table["rows"][0];
    assert_eq!(row["cells"][0], "a");
    assert_eq!(row["cells"][1], 5);
    assert_eq!(row["cells"][2], "True");
    assert!(row["cells"][4].as_str().unwrap().ends_with('s'));
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let one = door.get_as(&door.widget("a"), TABLE).await.ok();
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
}

pub async fn metadata_can_be_asked_for_alone(door: Door) {
    door.make("a", json!({"size": 5})).await;
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = door.get_as(&door.widgets(), accept).await.ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert_eq!(list["items"][0].get("spec"), None);
    let accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let one = door.get_as(&door.widget("a"), accept).await.ok();
    assert_eq!(one["kind"], "PartialObjectMetadata");
}

pub async fn discovery_names_every_kind(door: Door) {
    let groups = door.get("/apis").await.ok();
    let found = groups["groups"].as_array().unwrap().iter();
    let found: Vec<&Value> = found.filter(|group| group["name"] == "contract.wasmbed.test").collect();
    assert_eq!(found[0]["preferredVersion"]["groupVersion"], "contract.wasmbed.test/v1");
    let one = door.get("/apis/contract.wasmbed.test").await.ok();
    assert_eq!(one["kind"], "APIGroup");
    let resources = door.get("/apis/contract.wasmbed.test/v1").await.ok();
    assert_eq!(resources["kind"], "APIResourceList");
    let widget = &resources["resources"][0];
    assert_eq!(widget["name"], "widgets");
    assert_eq!(widget["shortNames"], json!(["wd"]));
    assert_eq!(widget["categories"], json!(["wasmbed"]));
    assert_eq!(widget["namespaced"], true);
    assert_eq!(resources["resources"][1]["name"], "widgets/status");
    let core = door.get("/api/v1").await.ok();
    for name in ["configmaps", "secrets", "namespaces", "events"] {
        let list = core["resources"].as_array().unwrap();
        assert!(list.iter().any(|resource| resource["name"] == name), "{name}");
    }
    assert_eq!(door.get("/api").await.ok()["versions"], json!(["v1"]));
    assert_eq!(door.get("/version").await.ok()["major"], "1");
}

pub async fn aggregated_discovery_says_the_same_at_once(door: Door) {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let all = door.get_as("/apis", accept).await.ok();
    assert_eq!(all["kind"], "APIGroupDiscoveryList");
    let mut items = all["items"].as_array().unwrap().iter();
    let group = items.find(|item| item["metadata"]["name"] == "contract.wasmbed.test").unwrap();
    let widget = &group["versions"][0]["resources"][0];
    assert_eq!(widget["resource"], "widgets");
    assert_eq!(widget["scope"], "Namespaced");
    assert_eq!(widget["responseKind"]["kind"], "Widget");
}

pub async fn openapi_describes_every_kind(door: Door) {
    let index =
        door.until("/openapi/v3", |answer| !answer.body["paths"]["apis/contract.wasmbed.test/v1"].is_null()).await.ok();
    let url = index["paths"]["apis/contract.wasmbed.test/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = door.get(url).await.ok();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let kind = json!([{"group": "contract.wasmbed.test", "version": "v1", "kind": "Widget"}]);
    let widget = schemas.values().find(|schema| schema["x-kubernetes-group-version-kind"] == kind).unwrap();
    let size = &widget["properties"]["spec"]["properties"]["size"];
    assert_eq!(size["description"], "How large it is.");
}

pub async fn the_definitions_are_listed_as_established(door: Door) {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.contract.wasmbed.test";
    let definition = door.get(path).await.ok();
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let established = conditions.iter().find(|condition| condition["type"] == "Established").unwrap();
    assert_eq!(established["status"], "True");
}
