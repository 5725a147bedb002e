//! Creating an object.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::builtin;
use super::changes::{Answer, Write};
use super::collect::Task;
use super::metadata;
use super::read::Given;
use crate::names;
use crate::ownership::track_update;
use crate::resource::Rules;
use crate::status::ApiError;
use crate::storage::{Change, CommitError, Expect};

/// How often a generated name is tried.
const NAME_ATTEMPTS: usize = 8;

/// Creates the object of a body.
pub(crate) async fn create(write: &Write<'_>, mut object: Value) -> Result<Answer, ApiError> {
    let warnings = write.read(&mut object)?;
    write.check_namespace(&mut object)?;
    if !metadata::text(&object, "resourceVersion").is_empty() {
        return Err(ApiError::unclassified("resourceVersion should not be set on objects to be created"));
    }
    let prefix = metadata::text(&object, "generateName").to_owned();
    let generates = metadata::text(&object, "name").is_empty() && !prefix.is_empty();
    for attempt in 1.. {
        let mut object = object.clone();
        if generates {
            object["metadata"]["name"] = names::generated(&prefix).into();
        }
        crate::schema::fill_defaults(&write.resource().schema, &mut object);
        builtin::settle(write.resource(), &mut object);
        metadata::drop_empty(&mut object);
        let tracked = track_update(&builtin::skeleton(write.resource()), object, &write.scope());
        match store_new(write, tracked).await {
            Err(error) if error.reason == "AlreadyExists" && generates && attempt < NAME_ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(object) => {
                return Ok(Answer { code: StatusCode::CREATED, object, warnings });
            }
        }
    }
    unreachable!("the attempts are bounded")
}

/// Stores an object that is accounted for already, with what the server gives a new one.
pub(crate) async fn store_new(write: &Write<'_>, mut object: Value) -> Result<Given, ApiError> {
    let resource = write.resource();
    let now = write.now.clone();
    let map = metadata::map_of(&mut object);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"] {
        map.remove(field);
    }
    map.insert("uid".to_owned(), names::uid().into());
    map.insert("creationTimestamp".to_owned(), now.into());
    if resource.is_custom() {
        map.insert("generation".to_owned(), 1.into());
    }
    if resource.status
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    builtin::begin(resource, &mut object);
    write.check(&mut object, None)?;
    let name = metadata::text(&object, "name").to_owned();
    let key = resource.key(write.namespace(), &name);
    if write.options.dry_run {
        return dry_run(write, object, &name, &key);
    }
    let key: Arc<str> = key.into();
    let change = Change {
        kind: resource.storage,
        key: key.clone(),
        expect: Expect::Absent,
        new: Some(write.draft(&object)),
        inside: write.inside(),
    };
    let stored = write.shared.store.commit(change).await.map_err(|error| write.store_error(error, &name))?;
    if !stored.head().owners.is_empty() {
        write.shared.tell(Task::Owned(resource.storage, key));
    }
    Ok(Given::Stored(stored))
}

fn dry_run(write: &Write<'_>, object: Value, name: &str, key: &str) -> Result<Given, ApiError> {
    let resource = write.resource();
    let (exists, namespace) = write.shared.store.read(|state| {
        let namespaces = write.shared.registry.of_rules(Rules::Namespace).storage;
        let namespace = write
            .inside()
            .map(|(_, namespace)| state.object(namespaces, &namespace).is_some_and(|found| !found.head().deleting));
        (state.object(resource.storage, key).is_some(), namespace)
    });
    if namespace == Some(false) {
        return Err(write.store_error(CommitError::NoNamespace, name));
    }
    if exists {
        return Err(ApiError::already_exists(resource, name));
    }
    Ok(Given::Value(object))
}
