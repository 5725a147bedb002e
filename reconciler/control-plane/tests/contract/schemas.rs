//! Schemas: validation, defaults, pruning.

use serde_json::{Value, json};

use super::Door;

async fn refused(door: &Door, spec: Value) -> Vec<(String, String, String)> {
    let mut body = door.named("bad");
    body["spec"] = spec;
    let status = door.post(&door.widgets(), &body).await.fails(422, "Invalid");
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("Widget.contract.wasmbed.test \"bad\" is invalid: "), "{message}");
    assert_eq!(status["details"]["name"], "bad");
    assert_eq!(status["details"]["kind"], "Widget");
    let causes = status["details"]["causes"].as_array().unwrap();
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap().to_owned();
    causes.iter().map(|cause| (text(cause, "field"), text(cause, "reason"), text(cause, "message"))).collect()
}

pub async fn a_wrong_type_is_invalid_with_its_field(door: Door) {
    let causes = refused(&door, json!({"size": "large"})).await;
    assert_eq!(
        causes,
        [(
            "spec.size".to_owned(),
            "FieldValueTypeInvalid".to_owned(),
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"".to_owned()
        )]
    );
}

pub async fn bounds_patterns_and_enums_are_checked(door: Door) {
    for (spec, field, reason, words) in [
        (json!({"size": 0}), "spec.size", "FieldValueInvalid", "should be greater than or equal to 1"),
        (json!({"size": 101}), "spec.size", "FieldValueInvalid", "should be less than or equal to 100"),
        (
            json!({"color": "pink"}),
            "spec.color",
            "FieldValueNotSupported",
            "supported values: \"red\", \"green\", \"blue\"",
        ),
        (json!({"code": "A1"}), "spec.code", "FieldValueInvalid", "should match '^[a-z]+$'"),
        (json!({"code": "abcdefghi"}), "spec.code", "FieldValueTooLong", "8"),
        (json!({"tags": ["a", "a"]}), "spec.tags[1]", "FieldValueDuplicate", "Duplicate value"),
        (json!({"parts": [{"name": "a"}, {"name": "a"}]}), "spec.parts[1]", "FieldValueDuplicate", "Duplicate value"),
    ] {
        let causes = refused(&door, spec).await;
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert_eq!((causes[0].0.as_str(), causes[0].1.as_str()), (field, reason));
        assert!(causes[0].2.contains(words), "{causes:?}");
    }
}

pub async fn a_missing_required_field_is_named(door: Door) {
    let causes = refused(&door, json!({"parts": [{"note": "no name"}]})).await;
    assert!(
        causes.contains(&(
            "spec.parts[0].name".to_owned(),
            "FieldValueRequired".to_owned(),
            "Required value".to_owned()
        )),
        "{causes:?}"
    );
}

pub async fn defaults_are_filled_in(door: Door) {
    let object = door.make("a", json!({"parts": [{"name": "p"}]})).await;
    assert_eq!(object["spec"], json!({"color": "red", "parts": [{"name": "p", "count": 1}]}));
}

pub async fn unknown_fields_are_dropped_with_a_warning(door: Door) {
    let mut body = door.named("a");
    body["spec"] = json!({"size": 1, "sise": 2, "parts": [{"name": "p", "nam": 1}]});
    let answer = door.post(&door.widgets(), &body).await;
    assert!(answer.warnings.contains(&"299 - \"unknown field \\\"spec.sise\\\"\"".to_owned()), "{:?}", answer.warnings);
    assert_eq!(answer.warnings.len(), 2);
    let object = answer.ok();
    assert_eq!(object["spec"], json!({"size": 1, "color": "red", "parts": [{"name": "p", "count": 1}]}));
    let path = format!("{}?fieldValidation=Ignore", door.widgets());
    body["metadata"]["name"] = "b".into();
    assert!(door.post(&path, &body).await.warnings.is_empty());
}

pub async fn unknown_fields_are_refused_when_validation_is_strict(door: Door) {
    let mut body = door.named("a");
    body["spec"] = json!({"sise": 2});
    let path = format!("{}?fieldValidation=Strict", door.widgets());
    let status = door.post(&path, &body).await.fails(400, "BadRequest");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("strict decoding error: unknown field \"spec.sise\""), "{message}");
    door.get(&door.widget("a")).await.fails(404, "NotFound");
}

pub async fn a_field_that_is_there_twice_is_told(door: Door) {
    let body = r#"{"apiVersion": "contract.wasmbed.test/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1, "size": 2}}"#;
    let kind = [("content-type", "application/json")];
    let path = format!("{}?fieldValidation=Strict", door.widgets());
    let status = door.send(http::Method::POST, &path, &kind, body).await.fails(400, "BadRequest");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("strict decoding error: duplicate field \"spec.size\""), "{message}");
    let answer = door.send(http::Method::POST, &door.widgets(), &kind, body).await;
    assert_eq!(answer.warnings, ["299 - \"duplicate field \\\"spec.size\\\"\""]);
    assert_eq!(answer.ok()["spec"]["size"], 2);
}

pub async fn unknown_fields_stay_where_the_schema_keeps_them(door: Door) {
    let anything = json!({"deep": {"er": [1, {"x": null}]}});
    let object = door.make("a", json!({"anything": anything})).await;
    assert_eq!(object["spec"]["anything"], anything);
}

pub async fn int_or_string_takes_both(door: Door) {
    assert_eq!(door.make("a", json!({"port": 80})).await["spec"]["port"], 80);
    assert_eq!(door.make("b", json!({"port": "http"})).await["spec"]["port"], "http");
    let mut body = door.named("c");
    body["spec"] = json!({"port": true});
    door.post(&door.widgets(), &body).await.fails(422, "Invalid");
}

pub async fn nulls_of_fields_that_may_not_be_null_are_dropped(door: Door) {
    let object = door.make("a", json!({"size": 1, "color": null})).await;
    assert_eq!(object["spec"], json!({"size": 1, "color": "red"}));
}

pub async fn labels_that_are_no_text_are_a_bad_request(door: Door) {
    let mut body = door.named("a");
    body["metadata"]["labels"] = json!({"k": 1});
    door.post(&door.widgets(), &body).await.fails(400, "BadRequest");
}
