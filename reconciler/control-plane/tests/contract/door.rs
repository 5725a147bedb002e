//! The way a scenario speaks to a server.

use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::Body;
use serde_json::{Value, json};

use super::transcript::Transcript;

pub const GROUP: &str = "contract.wasmbed.test";
/// How long a scenario waits for what must come: longer than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A client and a namespace of one's own, and what was seen through it.
#[derive(Clone)]
pub struct Door {
    pub client: kube::Client,
    pub namespace: String,
    pub transcript: Transcript,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
    pub text: String,
    pub warnings: Vec<String>,
}

impl Answer {
    /// The body, of an answer that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{} {}", self.code, self.text);
        self.body
    }

    /// Checks code and reason of a `Status`, and gives it.
    #[track_caller]
    pub fn fails(self, code: u16, reason: &str) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        assert_eq!(self.body["kind"], "Status", "{}", self.text);
        assert_eq!(self.body["reason"], reason, "{}", self.text);
        assert_eq!(self.body["code"], code, "{}", self.text);
        self.body
    }
}

/// The CustomResourceDefinitions scenarios stand on: that of widgets, and Wasmbed's own.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = wasmbed_api::crds();
    definitions.insert(0, serde_yaml::from_str(include_str!("widget.yaml")).unwrap());
    definitions
}

impl Door {
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), transcript: Transcript::default() }
    }

    /// `/apis/.../namespaces/x/widgets`
    pub fn widgets(&self) -> String {
        format!("/apis/{GROUP}/v1/namespaces/{}/widgets", self.namespace)
    }

    pub fn widget(&self, name: &str) -> String {
        format!("{}/{name}", self.widgets())
    }

    /// `/api/v1/namespaces/x/{plural}`
    pub fn core(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.namespace)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", accept)], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn delete(&self, path: &str, options: &Value) -> Answer {
        self.send(Method::DELETE, path, &[("content-type", "application/json")], &options.to_string()).await
    }

    /// Patches; `kind` is `merge-patch+json`, `json-patch+json`, `strategic-merge-patch+json` or `apply-patch+yaml`.
    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        let kind = format!("application/{kind}");
        self.send(Method::PATCH, path, &[("content-type", kind.as_str())], &body.to_string()).await
    }

    /// Applies a widget's spec under a manager.
    pub async fn apply(&self, name: &str, manager: &str, spec: Value) -> Answer {
        self.apply_with(name, &format!("fieldManager={manager}"), spec).await
    }

    pub async fn apply_with(&self, name: &str, query: &str, spec: Value) -> Answer {
        let mut body = self.named(name);
        body["spec"] = spec;
        let path = format!("{}?{query}", self.widget(name));
        self.patch(&path, "apply-patch+yaml", &body).await
    }

    /// A widget without a spec.
    pub fn named(&self, name: &str) -> Value {
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Widget", "metadata": {"name": name}})
    }

    /// Creates a widget.
    pub async fn make(&self, name: &str, spec: Value) -> Value {
        let mut body = self.named(name);
        body["spec"] = spec;
        self.post(&self.widgets(), &body).await.ok()
    }

    /// Creates a widget with a label.
    pub async fn make_labelled(&self, name: &str, key: &str, value: &str) -> Value {
        let mut body = self.named(name);
        body["metadata"]["labels"] = json!({key: value});
        self.post(&self.widgets(), &body).await.ok()
    }

    /// The names a list at this path gives.
    pub async fn names(&self, path: &str) -> Vec<String> {
        names(&self.get(path).await.ok())
    }

    /// Reads until it gives what is waited for.
    pub async fn until(&self, path: &str, what: impl Fn(&Answer) -> bool) -> Answer {
        let waited = async {
            loop {
                let answer = self.exchange(Method::GET, path, &[], "").await;
                if what(&answer) {
                    self.transcript.answer(&Method::GET, path, &answer);
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waited).await;
        waited.unwrap_or_else(|_| panic!("what is waited for at {path} does not come"))
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.exchange(method.clone(), path, headers, body).await;
        self.transcript.answer(&method, path, &answer);
        answer
    }

    async fn exchange(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.as_bytes().to_vec())).unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { code, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), text, warnings }
    }

    /// Starts a watch; the path brings its query.
    pub async fn watch(&self, path: &str) -> Watching {
        self.watch_as(path, "application/json").await
    }

    pub async fn watch_as(&self, path: &str, accept: &str) -> Watching {
        let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let stream = response.into_body().into_data_stream();
        let stream = stream.map_err(std::io::Error::other);
        Watching { code, lines: Box::pin(stream.into_async_read().lines()), transcript: self.transcript.clone() }
    }
}

/// The names in a list.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What a manager owns of an object.
pub fn owned(object: &Value, manager: &str, operation: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let found = entries.iter().find(|entry| entry["manager"] == manager && entry["operation"] == operation);
    found.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

/// A watch that runs.
pub struct Watching {
    pub code: u16,
    lines: std::pin::Pin<Box<dyn futures::Stream<Item = std::io::Result<String>> + Send>>,
    transcript: Transcript,
}

impl Watching {
    /// The next event; `None` when the watch has ended.
    pub async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.try_next()).await;
        let line = line.expect("an event comes").ok().flatten()?;
        let event = serde_json::from_str(&line).unwrap();
        self.transcript.event(&event);
        Some(event)
    }

    /// The next event as `TYPE name`.
    pub async fn what(&mut self) -> String {
        let event = self.next().await.expect("the watch goes on");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap()).trim().to_owned()
    }
}
