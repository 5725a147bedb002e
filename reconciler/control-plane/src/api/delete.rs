//! Deleting: one object or many, with preconditions and finalizers.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::changes::Answer;
use super::collect::Task;
use super::decode;
use super::metadata;
use super::negotiate::{Accepted, Form};
use super::options::Options;
use super::read::{Filter, Given, list_response, page, presented};
use super::request::ObjectPath;
use super::service::{Shared, media_type};
use crate::names;
use crate::ownership::{Scope, track_update};
use crate::resource::{Resource, Rules};
use crate::status::{ApiError, Cause, shown};
use crate::storage::{Change, CommitError, Draft, Expect, Stored};

/// How often a deletion is tried anew when a change came first.
const ATTEMPTS: usize = 256;

/// How many deletions go on at once, to share a flush.
pub(super) const AT_ONCE: usize = 64;

/// What happens to what a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependents {
    /// Deleted afterwards (`Background`, and here `Foreground` too).
    Go,
    /// They forget their owner.
    Stay,
}

struct DeleteOptions {
    uid: Option<String>,
    version: Option<String>,
    dry_run: bool,
    dependents: Dependents,
}

fn read_options(options: &Options, headers: &HeaderMap, body: &Bytes) -> Result<DeleteOptions, ApiError> {
    // A body is believed instead of the query, as Kubernetes does.
    let query = body.is_empty();
    let body = if query {
        json!({})
    } else if media_type(headers) == "application/yaml" {
        decode::yaml(body)?.value
    } else {
        decode::json(body)?.value
    };
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let policy = if query { options.propagation.clone() } else { text("/propagationPolicy") };
    let dependents = match policy.as_deref() {
        None | Some("Background" | "Foreground") => Dependents::Go,
        Some("Orphan") => Dependents::Stay,
        Some(other) => {
            return Err(ApiError::invalid_options(
                "DeleteOptions",
                &[Cause {
                    reason: "FieldValueNotSupported",
                    field: "propagationPolicy".to_owned(),
                    message: format!(
                        "Unsupported value: {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
                    ),
                }],
            ));
        }
    };
    let dry_runs = body["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(other) = dry_runs.iter().find(|value| *value != "All") {
        return Err(ApiError::invalid_options("DeleteOptions", &[Cause::unknown_dry_run(&shown(other))]));
    }
    let orphan = body["orphanDependents"] == true;
    Ok(DeleteOptions {
        uid: text("/preconditions/uid"),
        version: text("/preconditions/resourceVersion"),
        dry_run: (query && options.dry_run) || !dry_runs.is_empty(),
        dependents: if orphan { Dependents::Stay } else { dependents },
    })
}

/// The field manager of what is done on behalf of an object that goes.
const COLLECTOR: &str = "kube-controller-manager";

/// Deletes one object, or marks it as going where finalizers hold it.
pub(crate) async fn delete(
    shared: &Arc<Shared>,
    path: &ObjectPath,
    name: &str,
    options: &Options,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Answer, ApiError> {
    let delete = read_options(options, headers, body)?;
    let resource = &path.resource;
    if resource.rules == Rules::Namespace && matches!(name, "default" | "kube-system") {
        return Err(ApiError::forbidden(resource, name, "this namespace may not be deleted"));
    }
    let object = delete_one(shared, resource, path.namespace.as_deref(), name, &delete).await?;
    Ok(Answer { code: StatusCode::OK, object, warnings: Vec::new() })
}

/// Deletes every object a list would give.
pub(crate) async fn delete_collection(
    shared: &Arc<Shared>,
    path: &ObjectPath,
    options: &Options,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<ResponseBody>, ApiError> {
    if path.resource.namespaced && path.namespace.is_none() {
        return Err(ApiError::method_not_allowed());
    }
    let delete = read_options(options, headers, body)?;
    let filter = Filter::new(path, options)?;
    let page = page(shared, path, options, &filter)?;
    let delete = &delete;
    let deletions = stream::iter(page.objects.iter().map(Ok)).try_for_each_concurrent(AT_ONCE, |object| async move {
        let value = object.value();
        let (namespace, name) = (metadata::text(&value, "namespace"), metadata::text(&value, "name"));
        let namespace = (!namespace.is_empty()).then_some(namespace);
        match delete_one(shared, &path.resource, namespace, name, delete).await {
            Err(error) if error.code != StatusCode::NOT_FOUND => Err(error),
            _ => Ok(()),
        }
    });
    deletions.await?;
    let accepted = Accepted { form: Form::Whole, yaml: false };
    list_response(&path.resource, &page.objects, page.version, None, None, accepted, options)
}

async fn delete_one(
    shared: &Arc<Shared>,
    resource: &Resource,
    namespace: Option<&str>,
    name: &str,
    delete: &DeleteOptions,
) -> Result<Given, ApiError> {
    let key = resource.key(namespace, name);
    for _ in 0..ATTEMPTS {
        let found = shared.store.read(|state| state.object(resource.storage, &key).cloned());
        let Some(stored) = found else {
            return Err(ApiError::not_found(resource, name));
        };
        let live = stored.value();
        check_preconditions(resource, name, &live, delete)?;
        if delete.dry_run {
            return Ok(Given::Value(success(resource, name, &live)));
        }
        if delete.dependents == Dependents::Stay {
            release_dependents(shared, metadata::text(&live, "uid")).await?;
        }
        let held = metadata::has_finalizers(&live) || resource.rules == Rules::Namespace;
        let outcome = if !held {
            let answer = match delete.dependents {
                Dependents::Go => success(resource, name, &live),
                // As it was for the moment in which its dependents were let go.
                Dependents::Stay => {
                    let mut object = going(resource, live);
                    object["metadata"]["finalizers"] = json!(["orphan"]);
                    object
                }
            };
            remove(shared, resource, &stored, namespace, name).await.map(|_| Given::Value(answer))
        } else if stored.head().deleting {
            after_update(shared, resource, name);
            return Ok(Given::Value(presented(resource, &stored)));
        } else {
            let change = Change {
                kind: resource.storage,
                key: key.as_str().into(),
                expect: Expect::Version(stored.version),
                new: Some(Draft::new(&going(resource, live))),
                inside: None,
            };
            let marked = shared.store.commit(change).await;
            marked.map(|stored| {
                after_update(shared, resource, name);
                Given::Stored(stored)
            })
        };
        match outcome {
            Err(CommitError::Stale) => {}
            Err(error) => return Err(ApiError::internal(error.to_string())),
            Ok(object) => return Ok(object),
        }
    }
    Err(ApiError::stale(resource, name))
}

/// Deletes an object of the store on behalf of another one that is gone.
pub(super) async fn delete_dependent(shared: &Arc<Shared>, resource: &Resource, key: &str) -> Result<(), ApiError> {
    let (namespace, name) = match key.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, key),
    };
    let delete = DeleteOptions { uid: None, version: None, dry_run: false, dependents: Dependents::Go };
    match delete_one(shared, resource, namespace, name, &delete).await {
        Err(error) if error.code != StatusCode::NOT_FOUND => Err(error),
        _ => Ok(()),
    }
}

fn check_preconditions(resource: &Resource, name: &str, live: &Value, delete: &DeleteOptions) -> Result<(), ApiError> {
    let failed = |what: &str, wanted: &str, found: &str, cause: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {cause}"
        );
        Err(ApiError::precondition(resource, name, &why))
    };
    let found = metadata::text(live, "uid");
    if let Some(wanted) = delete.uid.as_deref().filter(|wanted| *wanted != found) {
        return failed("UID", wanted, found, "deleted and then recreated");
    }
    let found = metadata::text(live, "resourceVersion");
    if let Some(wanted) = delete.version.as_deref().filter(|wanted| *wanted != found) {
        return failed("ResourceVersion", wanted, found, "modified");
    }
    Ok(())
}

/// The object, marked as going.
fn going(resource: &Resource, mut object: Value) -> Value {
    let generation = object["metadata"]["generation"].as_i64();
    let map = metadata::map_of(&mut object);
    map.insert("deletionTimestamp".to_owned(), names::now().into());
    if resource.rules != Rules::Namespace {
        map.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    }
    if let Some(generation) = generation {
        map.insert("generation".to_owned(), (generation + 1).into());
    }
    if resource.rules == Rules::Namespace {
        object["status"]["phase"] = "Terminating".into();
    }
    object
}

/// Takes an object out of the store, and tells the collector.
pub(super) async fn remove(
    shared: &Arc<Shared>,
    resource: &Resource,
    stored: &Stored,
    namespace: Option<&str>,
    name: &str,
) -> Result<Arc<Stored>, CommitError> {
    let change = Change {
        kind: resource.storage,
        key: resource.key(namespace, name).into(),
        expect: Expect::Version(stored.version),
        new: None,
        inside: None,
    };
    let gone = shared.store.commit(change).await?;
    let has_dependents = shared.store.read(|state| !state.dependents(&gone.head().uid).is_empty());
    if has_dependents {
        shared.tell(Task::Owner(gone.head().uid.clone()));
    }
    if let Some(namespace) = namespace {
        let kind = shared.registry.of_rules(Rules::Namespace).storage;
        let ending = shared.store.read(|state| {
            let found = state.object(kind, namespace);
            found.is_some_and(|found| found.head().deleting)
        });
        if ending {
            shared.tell(Task::Namespace(namespace.to_owned()));
        }
    }
    Ok(gone)
}

/// What must follow once an object is marked as going.
pub(super) fn after_update(shared: &Shared, resource: &Resource, name: &str) {
    if resource.rules == Rules::Namespace {
        shared.tell(Task::Namespace(name.to_owned()));
    }
}

/// Takes the owner out of everything that names it.
async fn release_dependents(shared: &Arc<Shared>, uid: &str) -> Result<(), ApiError> {
    for (kind, key) in shared.store.read(|state| state.dependents(uid)) {
        for _ in 0..ATTEMPTS {
            let Some(stored) = shared.store.read(|state| state.object(kind, &key).cloned()) else {
                break;
            };
            let live = stored.value();
            let mut value = live.clone();
            let owners = value.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
            if let Some(owners) = owners {
                owners.retain(|owner| owner["uid"] != uid);
            }
            metadata::drop_empty(&mut value);
            // Who owned the reference no longer does.
            if let Some(resource) = shared.registry.all().iter().find(|resource| resource.storage == kind) {
                let scope =
                    Scope::new(&resource.schema, &resource.api_version, "", COLLECTOR, resource.status, names::now());
                value = track_update(&live, value, &scope);
            }
            let change = Change {
                kind,
                key: key.clone(),
                expect: Expect::Version(stored.version),
                new: Some(Draft::new(&value)),
                inside: None,
            };
            match shared.store.commit(change).await {
                Ok(_) => break,
                Err(CommitError::Stale) => {}
                Err(error) => return Err(ApiError::internal(error.to_string())),
            }
        }
    }
    Ok(())
}

fn success(resource: &Resource, name: &str, live: &Value) -> Value {
    let mut details = json!({"name": name, "kind": resource.plural, "uid": metadata::text(live, "uid")});
    if !resource.group.is_empty() {
        details["group"] = resource.group.clone().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
