//! What a client saw, in a form in which two servers can be compared.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use http::Method;
use regex::Regex;
use serde_json::{Value, json};

use super::door::Answer;

/// The answers and events of one scenario, in order, without what is another one each time: versions, times, uids, and the namespace.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<Value>>>);

/// What differs from one run to the next.
const FICKLE: [&str; 10] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "time",
    "continue",
    "lastTransitionTime",
    "lastTimestamp",
    "firstTimestamp",
    "caBundle",
];

impl Transcript {
    pub fn answer(&self, method: &Method, path: &str, answer: &Answer) {
        let mut seen = json!({"asked": format!("{method} {path}"), "code": answer.code});
        if !answer.warnings.is_empty() {
            seen["warnings"] = json!(answer.warnings);
        }
        if is_comparable(path) || answer.code >= 400 {
            seen["body"] = answer.body.clone();
        }
        self.0.lock().unwrap().push(seen);
    }

    pub fn event(&self, event: &Value) {
        self.0.lock().unwrap().push(json!({"event": event}));
    }

    /// What was seen, with `<...>` for what is another one each time.
    pub fn seen(&self, namespace: &str) -> Vec<Value> {
        let mut seen = self.0.lock().unwrap().clone();
        seen.iter_mut().for_each(|value| mask(value, namespace));
        seen
    }
}

/// Whether two servers with other kinds and other namespaces answer the same there.
fn is_comparable(path: &str) -> bool {
    let everywhere = "/apis/contract.wasmbed.test/v1/widgets";
    (path.contains("/namespaces/") || path.starts_with("/apis/contract.wasmbed.test")) && path != everywhere
}

/// Failures to read or to follow a request: the code and the reason count, the words are those of the parser at hand.
const OWN_WORDS: [&str; 3] = ["BadRequest", "NotAcceptable", "UnsupportedMediaType"];

fn mask(value: &mut Value, namespace: &str) {
    match value {
        Value::String(text) => *text = words(&text.replace(namespace, "<namespace>")),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, namespace)),
        Value::Object(map) => {
            // Nothing, in the JSON of Go.
            map.retain(|key, value| !(value.is_null() || key == "continue" && value == ""));
            // Of the way a server stores its objects.
            map.remove("storageVersionHash");
            if map.contains_key("generateName") && map.contains_key("name") {
                map.insert("name".into(), "<generated>".into());
            }
            if map.get("kind").is_some_and(|kind| kind == "Status")
                && let Some(Value::String(reason)) = map.get("reason")
                && (OWN_WORDS.contains(&reason.as_str()) || reason == "Invalid" && map["details"] == json!({}))
            {
                map.insert("message".into(), "<words>".into());
            }
            // A list says once what its items are; those of built-in kinds need not say it again.
            let of_widgets = map.get("kind").is_some_and(|kind| kind == "WidgetList");
            if let (false, Some(Value::Array(items))) = (of_widgets, map.get_mut("items")) {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    item.remove("apiVersion");
                    item.remove("kind");
                }
            }
            // What documents a column, where it says more than what the definition says.
            if map.contains_key("priority") && map.contains_key("format") {
                let of_definition = "Custom resource definition column";
                let is_own = |text: &Value| text.as_str().is_some_and(|text| text.starts_with(of_definition));
                map.retain(|key, value| key != "description" || is_own(value));
            }
            let entries = std::mem::take(map);
            for (key, mut value) in entries {
                match &mut value {
                    Value::String(text) if FICKLE.contains(&key.as_str()) && !text.is_empty() => {
                        *text = format!("<{key}>");
                    }
                    Value::Array(cells) if key == "cells" => cells.iter_mut().for_each(age),
                    // In no order that means something.
                    Value::Array(verbs) if key == "verbs" => verbs.sort_by_key(ToString::to_string),
                    // kube-apiserver checks some metadata of custom resources twice, and says so twice.
                    Value::Array(causes) if key == "causes" => causes.dedup(),
                    _ => {}
                }
                mask(&mut value, namespace);
                map.insert(words(&key), value);
            }
        }
        _ => {}
    }
}

fn age(cell: &mut Value) {
    if cell.as_str().is_some_and(|text| text.ends_with('s') && text.len() < 4) {
        *cell = "<age>".into();
    }
}

/// A text without the versions and uids in it.
fn words(text: &str) -> String {
    let version = Regex::new(r"(resourceVersion=|continue=|hash=|current: |record \(|version: 1 \()[^&)]+").unwrap();
    let uid = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    // Where etcd keeps the object.
    let storage = Regex::new(r"StorageError: .*AdditionalErrorMsg: ").unwrap();
    let text = storage.replace_all(text, "");
    // A value as Go writes it.
    let value = Regex::new(r"(typed patch object .*: expected [^,]+, got ).*").unwrap();
    let text = value.replace_all(&text, "$1<value>");
    let text = version.replace_all(&text, "$1<some>");
    uid.replace_all(&text, "<uid>").into_owned()
}

/// Where two servers were not seen to do the same; `None` if nowhere.
pub fn difference(embedded: &[Value], kubernetes: &[Value]) -> Option<String> {
    let mut text = String::new();
    for index in 0..embedded.len().max(kubernetes.len()) {
        let (one, other) = (embedded.get(index), kubernetes.get(index));
        if one == other {
            continue;
        }
        let asked = one.or(other).and_then(|seen| seen["asked"].as_str()).unwrap_or("an event");
        writeln!(text, "{index}. {asked}").unwrap();
        let nothing = Value::Null;
        compare(String::new(), one.unwrap_or(&nothing), other.unwrap_or(&nothing), &mut text);
    }
    (!text.is_empty()).then_some(text)
}

fn compare(path: String, one: &Value, other: &Value, text: &mut String) {
    match (one, other) {
        (one, other) if one == other => {}
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                compare(format!("{path}.{key}"), value, b.get(key).unwrap_or(&Value::Null), text);
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                writeln!(text, "  {path}.{key}\n    embedded:   nothing\n    kubernetes: {value}").unwrap();
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (one, other)) in a.iter().zip(b).enumerate() {
                compare(format!("{path}[{index}]"), one, other, text);
            }
        }
        (one, other) => writeln!(text, "  {path}\n    embedded:   {one}\n    kubernetes: {other}").unwrap(),
    }
}
