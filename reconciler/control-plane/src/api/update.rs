//! Changing an object: replacing it, patching it, applying to it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::changes::{Answer, Write};
use super::create;
use super::decode;
use super::delete;
use super::metadata;
use super::read::{Given, presented};
use super::service::media_type;
use crate::ownership::{ApplyError, apply, track_update};
use crate::patch;
use crate::resource::Rules;
use crate::schema;
use crate::status::{ApiError, Cause};
use crate::storage::{Change, CommitError, Expect, Stored};

/// How often a change is tried anew when another came first.
const ATTEMPTS: usize = 256;

/// Replaces an object by the one of a body.
pub(crate) async fn replace(write: &Write<'_>, mut object: Value) -> Result<Answer, ApiError> {
    let warnings = write.read(&mut object)?;
    write.check_namespace(&mut object)?;
    let name = write.path.name.clone().unwrap_or_default();
    let found = metadata::text(&object, "name");
    if found.is_empty() {
        return Err(ApiError::bad_request("name must be provided"));
    }
    if found != name {
        return Err(other_name(found, &name));
    }
    let resource = write.resource();
    let version = metadata::text(&object, "resourceVersion").to_owned();
    let unconditional =
        matches!(resource.rules, Rules::ConfigMap | Rules::Secret | Rules::Namespace | Rules::Event | Rules::EventView);
    let creates = matches!(resource.rules, Rules::Lease | Rules::Event | Rules::EventView);
    if creates && version.is_empty() && current(write, &name).is_none() {
        return create::create(write, object).await;
    }
    if version.is_empty() && !unconditional {
        return Err(ApiError::version_missing(resource, &name));
    }
    change(write, warnings, |live| {
        check_uid(write, &object, live)?;
        check_immutable(write, &object, live, &["deletionTimestamp"])?;
        if !version.is_empty() && version != metadata::text(live, "resourceVersion") {
            return Err(ApiError::stale(resource, &name));
        }
        let mut new = object.clone();
        metadata::keep_system_fields(&mut new, live);
        schema::fill_defaults(&resource.schema, &mut new);
        super::builtin::settle(resource, &mut new);
        metadata::drop_empty(&mut new);
        Ok(Some(track_update(live, new, &write.scope())))
    })
    .await
}

/// Patches an object, in any of the ways Kubernetes knows.
pub(crate) async fn patch(mut write: Write<'_>, headers: &HeaderMap, body: &[u8]) -> Result<Answer, ApiError> {
    let kind = media_type(headers);
    if kind == "application/apply-patch+yaml" {
        let config = decode::yaml(body)?;
        write.duplicates = config.duplicates;
        return apply_patch(&write, config.value).await;
    }
    let write = &write;
    if write.options.force.is_some() {
        return Err(write.options_error("force", "may not be specified for non-apply patch"));
    }
    let custom = write.resource().is_custom();
    match kind.as_str() {
        "application/merge-patch+json" => {
            let body = decode::json(body)?.value;
            patched(write, |live| {
                patch::merge(live, &body);
                Ok(())
            })
            .await
        }
        "application/strategic-merge-patch+json" if !custom => {
            let body = decode::json(body)?.value;
            patched(write, |live| {
                patch::strategic(Some(&write.resource().schema), live, &body);
                Ok(())
            })
            .await
        }
        "application/json-patch+json" => {
            let body = decode::json(body)?.value;
            if !body.is_array() {
                return Err(ApiError::bad_request("error decoding patch: a JSON patch is an array of operations"));
            }
            patched(write, |live| {
                patch::json_patch(live, &body).map_err(|why| {
                    let mut error = ApiError::bad_request(format!("the server rejected our request: {why}"));
                    error.code = StatusCode::UNPROCESSABLE_ENTITY;
                    error.reason = "Invalid";
                    error.details = Some(json!({}));
                    error
                })
            })
            .await
        }
        _ if custom => Err(ApiError::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ])),
        _ => Err(ApiError::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ])),
    }
}

async fn patched(write: &Write<'_>, patch: impl Fn(&mut Value) -> Result<(), ApiError>) -> Result<Answer, ApiError> {
    let mut warnings = Vec::new();
    let resource = write.resource();
    let name = write.path.name.clone().unwrap_or_default();
    let mut answer = change(write, Vec::new(), |live| {
        let mut new = live.clone();
        patch(&mut new)?;
        warnings = write.read(&mut new)?;
        write.check_namespace(&mut new)?;
        let found = metadata::text(&new, "name");
        if found != name {
            return Err(other_name(found, &name));
        }
        check_immutable(write, &new, live, &["uid", "deletionTimestamp"])?;
        let version = metadata::text(&new, "resourceVersion");
        if !version.is_empty() && version != metadata::text(live, "resourceVersion") {
            return Err(ApiError::stale(resource, &name));
        }
        metadata::keep_system_fields(&mut new, live);
        schema::fill_defaults(&resource.schema, &mut new);
        super::builtin::settle(resource, &mut new);
        metadata::drop_empty(&mut new);
        Ok(Some(track_update(live, new, &write.scope())))
    })
    .await?;
    answer.warnings = warnings;
    Ok(answer)
}

async fn apply_patch(write: &Write<'_>, mut config: Value) -> Result<Answer, ApiError> {
    if !write.options.manager_named {
        return Err(ApiError::invalid_options(
            "PatchOptions",
            &[Cause::required("fieldManager", "is required for apply patch")],
        ));
    }
    let resource = write.resource();
    let name = write.path.name.clone().unwrap_or_default();
    check_configuration(write, &config)?;
    // What is applied must be in the schema, whatever the request says of unknown fields.
    let mut unknown = Vec::new();
    schema::prune(&resource.schema, &mut config.clone(), true, &mut unknown);
    if let Some(path) = unknown.first() {
        return Err(ApiError::unclassified(format!(
            "failed to create typed patch object ({}/{name}; {}/{}, Kind={}): .{path}: field not declared in schema",
            metadata::text(&config, "namespace"),
            resource.group,
            resource.version,
            resource.kind
        )));
    }
    // A value that cannot be merged is told before validation would, and without a reason.
    if let Some((path, wanted)) = resource.is_custom().then(|| schema::unmergeable(&resource.schema, &config)).flatten()
    {
        return Err(ApiError::unclassified(format!(
            "failed to create typed patch object ({}/{name}; {}, Kind={}): {path}: expected {wanted}, got another type",
            metadata::text(&config, "namespace"),
            resource.api_version,
            resource.kind
        )));
    }
    let warnings = write.read(&mut config)?;
    write.check_namespace(&mut config)?;
    let found = metadata::text(&config, "name");
    if !found.is_empty() && found != name {
        return Err(other_name(found, &name));
    }
    let is_named = !found.is_empty();
    config["metadata"]["name"] = name.clone().into();
    let asked = metadata::text(&config, "resourceVersion").to_owned();
    let uid = metadata::text(&config, "uid").to_owned();
    let given = config.clone();
    let map = metadata::map_of(&mut config);
    for field in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
        map.remove(field);
    }
    super::builtin::settle_configuration(resource, &mut config);
    let force = write.options.force.unwrap_or(false);
    let applied = |live: &Value| {
        apply(live, &config, &write.scope(), force).map_err(|error| match error {
            ApplyError::Conflict(message, causes) => ApiError::apply_conflict(message, &causes),
            ApplyError::Malformed(why) => ApiError::unclassified(format!(
                "failed to create typed patch object (/{name}; {}, Kind={}): {why}",
                resource.api_version, resource.kind
            )),
        })
    };
    for _ in 0..ATTEMPTS {
        if current(write, &name).is_none() {
            if !is_named && write.path.subresource.is_empty() {
                return Err(ApiError::bad_request(format!(
                    "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                )));
            }
            if !write.path.subresource.is_empty() || !uid.is_empty() || !asked.is_empty() {
                return Err(missing(write, &name, &uid));
            }
            let blank = write.blank(&name);
            let new = applied(&blank)?.unwrap_or(blank);
            match create::store_new(write, new).await {
                // Another made it in the meantime: apply to that one.
                Err(error) if error.reason == "AlreadyExists" => continue,
                Err(error) => return Err(error),
                Ok(object) => {
                    return Ok(Answer { code: StatusCode::CREATED, object, warnings: Vec::new() });
                }
            }
        }
        let answer = change(write, warnings.clone(), |live| {
            check_immutable(write, &given, live, &["uid"])?;
            if !asked.is_empty() && asked != metadata::text(live, "resourceVersion") {
                return Err(ApiError::stale(resource, &name));
            }
            applied(live)
        })
        .await;
        match answer {
            // Deleted in the meantime: make it anew.
            Err(error) if error.reason == "NotFound" && current(write, &name).is_none() && uid.is_empty() => {
                if !write.path.subresource.is_empty() {
                    return Err(error);
                }
            }
            answer => return answer,
        }
    }
    Err(ApiError::stale(resource, &name))
}

fn check_configuration(write: &Write<'_>, config: &Value) -> Result<(), ApiError> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != write.resource().api_version {
        return Err(ApiError::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {}, expected: {}",
            text("apiVersion"),
            write.resource().api_version
        )));
    }
    let managed = config.pointer("/metadata/managedFields");
    if managed.is_some_and(|list| !list.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

fn missing(write: &Write<'_>, name: &str, uid: &str) -> ApiError {
    if uid.is_empty() {
        return ApiError::not_found(write.resource(), name);
    }
    ApiError::conflict(
        write.resource(),
        name,
        &format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found"),
    )
}

fn check_uid(write: &Write<'_>, new: &Value, live: &Value) -> Result<(), ApiError> {
    let (uid, known) = (metadata::text(new, "uid"), metadata::text(live, "uid"));
    if uid.is_empty() || uid == known {
        return Ok(());
    }
    let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {known}");
    Err(ApiError::conflict(write.resource(), metadata::text(live, "name"), &why))
}

/// Fields of metadata that a body may repeat, but not change.
fn check_immutable(write: &Write<'_>, new: &Value, live: &Value, fields: &[&str]) -> Result<(), ApiError> {
    for field in fields {
        let found = metadata::text(new, field);
        if !found.is_empty() && found != metadata::text(live, field) {
            let cause = Cause::invalid(format!("metadata.{field}"), &found.into(), "field is immutable");
            return Err(ApiError::invalid(write.resource(), metadata::text(live, "name"), &[cause]));
        }
    }
    Ok(())
}

fn other_name(found: &str, name: &str) -> ApiError {
    ApiError::bad_request(format!("the name of the object ({found}) does not match the name on the URL ({name})"))
}

fn current(write: &Write<'_>, name: &str) -> Option<Arc<Stored>> {
    let key = write.resource().key(write.namespace(), name);
    write.shared.store.read(|state| state.object(write.resource().storage, &key).cloned())
}

/// Changes the object as `edit` says, which is asked anew when another change came first.
///
/// `edit` gives the object with its `managedFields`, or `None` to leave it as it is.
async fn change(
    write: &Write<'_>,
    warnings: Vec<String>,
    mut edit: impl FnMut(&Value) -> Result<Option<Value>, ApiError>,
) -> Result<Answer, ApiError> {
    let resource = write.resource();
    let name = write.path.name.clone().unwrap_or_default();
    let answer = |object: Given| Answer { code: StatusCode::OK, object, warnings: warnings.clone() };
    for _ in 0..ATTEMPTS {
        let Some(stored) = current(write, &name) else {
            return Err(ApiError::not_found(resource, &name));
        };
        let live = presented(resource, &stored);
        let Some(new) = edit(&live)? else {
            return Ok(answer(Given::Stored(stored)));
        };
        let Some(new) = finished(write, &live, new)? else {
            return Ok(answer(Given::Stored(stored)));
        };
        if write.options.dry_run {
            return Ok(answer(Given::Value(new)));
        }
        let going = !metadata::text(&new, "deletionTimestamp").is_empty();
        if going && !metadata::has_finalizers(&new) && resource.rules != Rules::Namespace {
            match delete::remove(write.shared, resource, &stored, write.namespace(), &name).await {
                Err(CommitError::Stale) => continue,
                Err(error) => return Err(write.store_error(error, &name)),
                Ok(_) => return Ok(answer(Given::Value(new))),
            }
        }
        let change = Change {
            kind: resource.storage,
            key: resource.key(write.namespace(), &name).into(),
            expect: Expect::Version(stored.version),
            new: Some(write.draft(&new)),
            inside: None,
        };
        match write.shared.store.commit(change).await {
            Err(CommitError::Stale) => {}
            Err(error) => return Err(write.store_error(error, &name)),
            Ok(stored) => {
                if going {
                    delete::after_update(write.shared, resource, &name);
                }
                return Ok(answer(Given::Stored(stored)));
            }
        }
    }
    Err(ApiError::stale(resource, &name))
}

/// The object as it will be stored; `None` if nothing changes.
fn finished(write: &Write<'_>, live: &Value, mut new: Value) -> Result<Option<Value>, ApiError> {
    let resource = write.resource();
    metadata::keep_system_fields(&mut new, live);
    if write.path.subresource == "status" {
        new = with_status_of(live, new);
    } else if resource.status {
        put(&mut new, "status", live.get("status"));
    }
    write.check(&mut new, Some(live))?;
    if resource.is_custom() {
        let fresh = new
            .as_object()
            .into_iter()
            .flatten()
            .any(|(field, value)| bumps(resource.status, field) && live.get(field) != Some(value));
        let gone = live
            .as_object()
            .into_iter()
            .flatten()
            .any(|(field, _)| bumps(resource.status, field) && new.get(field).is_none());
        if fresh || gone {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(1);
            new["metadata"]["generation"] = (generation + 1).into();
        }
    }
    if same(live, &new) {
        return Ok(None);
    }
    Ok(Some(new))
}

/// Whether a change of a field is a new generation.
fn bumps(has_status: bool, field: &str) -> bool {
    !(field == "metadata" || (has_status && field == "status"))
}

fn with_status_of(live: &Value, mut new: Value) -> Value {
    let mut out = live.clone();
    let managed = new["metadata"]["managedFields"].take();
    metadata::map_of(&mut out).insert("managedFields".to_owned(), managed);
    put(&mut out, "status", new.get("status"));
    out
}

fn put(object: &mut Value, field: &str, value: Option<&Value>) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    match value {
        Some(value) => {
            map.insert(field.to_owned(), value.clone());
        }
        None => {
            map.remove(field);
        }
    }
}

/// Whether two objects differ in nothing but the times of their managers.
fn same(live: &Value, new: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        let managed = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in managed.into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        object
    };
    strip(live) == strip(new)
}
