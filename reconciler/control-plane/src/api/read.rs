//! Reading: one object, or a page of many.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::events;
use super::negotiate::{Accepted, Form};
use super::options::Options;
use super::request::ObjectPath;
use super::service::{Shared, json_response};
use crate::json_path::JsonPath;
use crate::resource::{Resource, Rules};
use crate::status::{ApiError, Cause};
use crate::storage::{Page, PageRequest, Stored};
use crate::table;

/// An object as an answer carries it.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// Text that is ready to be sent.
    Stored(std::sync::Arc<Stored>),
    /// An object that was made for the answer.
    Value(Value),
}

impl Given {
    /// The object, in the words of the resource.
    fn value(&self, resource: &Resource) -> Value {
        match self {
            Self::Stored(stored) => presented(resource, stored),
            Self::Value(value) => value.clone(),
        }
    }
}

/// A stored object in the words of a resource.
pub(crate) fn presented(resource: &Resource, stored: &Stored) -> Value {
    match resource.rules {
        Rules::EventView => events::to_view(stored.value()),
        _ => stored.value(),
    }
}

/// Which objects selectors let through.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    labels: crate::selector::LabelSelector,
    fields: crate::selector::FieldSelector,
    resource: std::sync::Arc<Resource>,
    /// Whether a field other than name and namespace is asked for.
    parses: bool,
    name: Option<String>,
}

impl Filter {
    pub(crate) fn new(path: &ObjectPath, options: &Options) -> Result<Self, ApiError> {
        let resource = &path.resource;
        for field in options.fields.fields() {
            if !is_selectable(resource, field) {
                return Err(ApiError::bad_request(format!(
                    "Unable to find \"{}, Resource={}\" that match label selector {:?}, field selector {:?}: field label not supported: {field}",
                    resource.api_version, resource.plural, options.raw_labels, options.raw_fields
                )));
            }
        }
        Ok(Self {
            labels: options.labels.clone(),
            parses: options.fields.fields().any(|field| field != "metadata.name" && field != "metadata.namespace"),
            fields: options.fields.clone(),
            resource: resource.clone(),
            name: path.name.clone(),
        })
    }

    pub(crate) fn is_all(&self) -> bool {
        self.labels.is_empty() && self.fields.fields().next().is_none() && self.name.is_none()
    }

    pub(crate) fn keeps(&self, key: &str, object: &Stored) -> bool {
        if !self.labels.matches(&object.head().labels) {
            return false;
        }
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        if self.name.as_deref().is_some_and(|wanted| wanted != name) {
            return false;
        }
        let value = self.parses.then(|| presented(&self.resource, object));
        self.fields.matches(|field| match field {
            "metadata.name" => name.to_owned(),
            "metadata.namespace" => namespace.to_owned(),
            other => value.as_ref().map(|value| field_text(value, other)).unwrap_or_default(),
        })
    }

    /// The one name that is asked for, if it is only one.
    fn only_name(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.fields.exactly("metadata.name"))
    }
}

fn is_selectable(resource: &Resource, field: &str) -> bool {
    if field == "metadata.name" || (field == "metadata.namespace" && resource.namespaced) {
        return true;
    }
    let about = |prefix: &str| {
        field.strip_prefix(prefix).is_some_and(|rest| {
            matches!(rest, "kind" | "namespace" | "name" | "uid" | "apiVersion" | "resourceVersion" | "fieldPath")
        })
    };
    match resource.rules {
        Rules::Event => {
            matches!(field, "reason" | "reportingComponent" | "source" | "type") || about("involvedObject.")
        }
        Rules::EventView => matches!(field, "reason" | "reportingController" | "type") || about("regarding."),
        Rules::Secret => field == "type",
        Rules::Namespace => field == "status.phase",
        _ => resource.selectable.iter().any(|path| path.strip_prefix('.').unwrap_or(path) == field),
    }
}

fn field_text(value: &Value, field: &str) -> String {
    let field = if field == "source" { "source.component" } else { field };
    let Ok(path) = JsonPath::parse(&format!(".{field}")) else {
        return String::new();
    };
    match path.find(value).first() {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// One object.
pub(crate) fn get(shared: &Shared, path: &ObjectPath, options: &Options) -> Result<Given, ApiError> {
    let name = path.name.as_deref().unwrap_or_default();
    let key = path.resource.key(path.namespace.as_deref(), name);
    let (found, current) =
        shared.store.read(|state| (state.object(path.resource.storage, &key).cloned(), state.version()));
    if let Some(asked) = options.version()?
        && asked > current
    {
        return Err(ApiError::version_too_large(asked, current));
    }
    found.map(Given::Stored).ok_or_else(|| ApiError::not_found(&path.resource, name))
}

/// A page of objects.
pub(crate) fn list(
    shared: &Shared,
    path: &ObjectPath,
    options: &Options,
    accepted: Accepted,
) -> Result<Response<ResponseBody>, ApiError> {
    let filter = Filter::new(path, options)?;
    let page = page(shared, path, options, &filter)?;
    let next = page.next.as_ref().map(|last| token(Some(page.version), last));
    let remaining = (filter.is_all() && page.next.is_some()).then_some(page.remaining);
    list_response(&path.resource, &page.objects, page.version, next, remaining, accepted, options)
}

/// The objects a list would give.
pub(crate) fn page(shared: &Shared, path: &ObjectPath, options: &Options, filter: &Filter) -> Result<Page, ApiError> {
    check_list(options)?;
    let asked = options.version()?;
    let exact = match options.version_match.as_deref() {
        Some(text) => text == "Exact",
        // A limited list at a version has always meant exactly that version.
        None => options.limit > 0 && asked.is_some_and(|version| version > 0),
    };
    // A list of any version comes whole, whatever its limit, unless it goes on with another.
    let limit = if asked == Some(0) && options.continue_token.is_empty() { 0 } else { options.limit };
    let mut request = PageRequest { namespace: path.namespace.as_deref(), limit, ..PageRequest::default() };
    let start;
    if options.continue_token.is_empty() {
        request.at = asked.filter(|_| exact);
    } else {
        if asked.is_some_and(|version| version > 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let (version, key) = read_token(&options.continue_token)?;
        start = key;
        request.at = version;
        request.after = Some(&start);
    }
    let kind = path.resource.storage;
    shared.store.read(|state| {
        if let Some(asked) = asked.or(request.at)
            && asked > state.version()
        {
            return Err(ApiError::version_too_large(asked, state.version()));
        }
        if let Some(name) = filter.only_name()
            && let Some(namespace) = path.namespace.as_deref().or((!path.resource.namespaced).then_some(""))
            && request.at.is_none()
        {
            // One name: no need to look at the others.
            let key = path.resource.key(Some(namespace), name);
            let found = state.object(kind, &key).filter(|object| filter.keeps(&key, object));
            return Ok(Page {
                objects: found.cloned().into_iter().collect(),
                version: state.version(),
                next: None,
                remaining: 0,
            });
        }
        state.page(kind, &request, |key, object| filter.keeps(key, object)).map_err(|_| {
            request.after.map_or_else(
                || ApiError::expired("The resourceVersion for the provided list is too old."),
                |start| ApiError::expired_list(token(None, start)),
            )
        })
    })
}

/// Refuses what a list cannot be asked for, all of it at once.
fn check_list(options: &Options) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if let Some(wanted) = options.version_match.as_deref() {
        let mut forbidden = |why: &str| causes.push(Cause::forbidden("resourceVersionMatch", why));
        if options.resource_version.is_none() {
            forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if !options.continue_token.is_empty() {
            forbidden("resourceVersionMatch is forbidden when continue is provided");
        }
        if wanted == "Exact" && options.resource_version.as_deref() == Some("0") {
            forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            causes.push(Cause {
                reason: "FieldValueNotSupported",
                field: "resourceVersionMatch".to_owned(),
                message: format!("Unsupported value: {wanted:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
            });
        }
    }
    if options.initial_events {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid_options("ListOptions", &causes)) }
}

/// What a list goes on with after `last`: at a version, or as things are then.
fn token(version: Option<u64>, last: &str) -> String {
    let version = version.map_or(json!(-1), |version| json!(version));
    let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": last});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(token: &str) -> Result<(Option<u64>, String), ApiError> {
    let broken = || ApiError::bad_request("continue key is not valid: it was not given by this server");
    let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|_| broken())?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|_| broken())?;
    let start = json["start"].as_str().ok_or_else(broken)?.to_owned();
    match json["rv"].as_i64() {
        Some(-1) => Ok((None, start)),
        Some(version) => Ok((Some(u64::try_from(version).map_err(|_| broken())?), start)),
        None => Err(broken()),
    }
}

/// The answer that carries a list.
pub(crate) fn list_response(
    resource: &Resource,
    objects: &[std::sync::Arc<Stored>],
    version: u64,
    next: Option<String>,
    remaining: Option<usize>,
    accepted: Accepted,
    options: &Options,
) -> Result<Response<ResponseBody>, ApiError> {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(next) = next {
        metadata["continue"] = next.into();
    }
    if let Some(remaining) = remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let (kind, api_version) = match accepted.form {
        Form::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1"),
        _ => (resource.list_kind.as_str(), resource.api_version.as_str()),
    };
    if accepted.form == Form::Table {
        let rows = objects.iter().map(|object| presented(resource, object));
        let table = table_of(resource, rows, metadata, options, true);
        return encoded(StatusCode::OK, table.to_string().into_bytes(), accepted);
    }
    let size: usize = objects.iter().map(|object| object.json().len() + 1).sum();
    let mut json = Vec::with_capacity(size + 256);
    json.extend_from_slice(
        format!("{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[", json!(kind), json!(api_version))
            .as_bytes(),
    );
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        append(&mut json, resource, object, accepted.form);
    }
    json.extend_from_slice(b"]}");
    encoded(StatusCode::OK, json, accepted)
}

/// Writes an object in the form that is asked for (tables aside).
pub(crate) fn append(json: &mut Vec<u8>, resource: &Resource, object: &Stored, form: Form) {
    if form == Form::Metadata {
        json.extend_from_slice(partial(&object.value()).to_string().as_bytes());
    } else if resource.rules == Rules::EventView {
        json.extend_from_slice(presented(resource, object).to_string().as_bytes());
    } else {
        json.extend_from_slice(object.json());
    }
}

/// The metadata of an object, alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A table of objects; `columns` says whether its columns are described.
pub(crate) fn table_of(
    resource: &Resource,
    objects: impl Iterator<Item = Value>,
    metadata: Value,
    options: &Options,
    columns: bool,
) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects
        .map(|object| {
            let mut row = json!({"cells": table::cells(&resource.columns, &object, now)});
            match options.include_object.as_str() {
                "Object" => row["object"] = object,
                "None" => {}
                _ => row["object"] = partial(&object),
            }
            row
        })
        .collect();
    let mut table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": rows});
    table["columnDefinitions"] = if columns { table::definitions(&resource.columns) } else { Value::Null };
    table
}

/// The answer that carries one object (or a `Status`).
pub(crate) fn object_response(
    resource: &Resource,
    object: &Given,
    accepted: Accepted,
    options: &Options,
    code: StatusCode,
    warnings: &[String],
) -> Result<Response<ResponseBody>, ApiError> {
    let is_status = matches!(object, Given::Value(value) if value["kind"] == "Status" && value["apiVersion"] == "v1");
    let json = match (accepted.form, object) {
        (Form::Table, object) if !is_status => {
            let value = object.value(resource);
            let metadata = json!({"resourceVersion": value["metadata"]["resourceVersion"]});
            table_of(resource, std::iter::once(value), metadata, options, true).to_string().into_bytes()
        }
        (Form::Metadata, object) if !is_status => partial(&object.value(resource)).to_string().into_bytes(),
        (_, Given::Stored(stored)) if resource.rules != Rules::EventView => {
            let response = if accepted.yaml {
                encoded(code, stored.json().to_vec(), accepted)?
            } else {
                json_response(code, stored.json().clone())
            };
            return Ok(with_warnings(response, warnings));
        }
        (_, object) => object.value(resource).to_string().into_bytes(),
    };
    Ok(with_warnings(encoded(code, json, accepted)?, warnings))
}

fn encoded(code: StatusCode, json: Vec<u8>, accepted: Accepted) -> Result<Response<ResponseBody>, ApiError> {
    if !accepted.yaml {
        return Ok(json_response(code, json));
    }
    let value: Value = serde_json::from_slice(&json).map_err(|error| ApiError::internal(error.to_string()))?;
    let yaml = serde_yaml::to_string(&value).map_err(|error| ApiError::internal(error.to_string()))?;
    let mut response = json_response(code, yaml);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    Ok(response)
}

fn with_warnings(mut response: Response<ResponseBody>, warnings: &[String]) -> Response<ResponseBody> {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
