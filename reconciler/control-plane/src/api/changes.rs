//! What create and update share: reading a body into an object, and checking what will be stored.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::builtin;
use super::events;
use super::metadata;
use super::options::{FieldValidation, Options};
use super::read::Given;
use super::request::ObjectPath;
use super::service::Shared;
use crate::ownership::Scope;
use crate::resource::{Resource, Rules};
use crate::schema;
use crate::status::{ApiError, Cause};
use crate::storage::{CommitError, Draft};

/// One write on its way.
pub(crate) struct Write<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) path: &'a ObjectPath,
    pub(crate) options: &'a Options,
    pub(crate) now: String,
    /// The fields that the body has twice.
    pub(crate) duplicates: Vec<String>,
}

/// What a write answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) object: Given,
    pub(crate) warnings: Vec<String>,
}

impl<'a> Write<'a> {
    pub(crate) fn resource(&self) -> &'a Resource {
        &self.path.resource
    }

    pub(crate) fn namespace(&self) -> Option<&'a str> {
        self.path.namespace.as_deref()
    }

    /// Under which name, and to which fields, this write is accounted.
    pub(crate) fn scope(&self) -> Scope<'a> {
        let resource = self.resource();
        Scope::new(
            &resource.schema,
            &resource.api_version,
            &self.path.subresource,
            &self.options.manager,
            resource.status,
            self.now.clone(),
        )
    }

    /// The namespace an object must be created in, for the store to check.
    pub(crate) fn inside(&self) -> Option<(crate::storage::KindId, Arc<str>)> {
        let namespace = self.namespace().filter(|_| self.resource().namespaced)?;
        Some((self.shared.registry.of_rules(Rules::Namespace).storage, namespace.into()))
    }

    /// Checks that a body is an object of the resource and brings it into form: unknown fields go, and are warned of or refused.
    pub(crate) fn read(&self, object: &mut Value) -> Result<Vec<String>, ApiError> {
        let resource = self.resource();
        if !object.is_object() {
            return Err(ApiError::bad_request(format!(
                "the body of the request is not an object, but {}",
                crate::status::shown(object)
            )));
        }
        self.check_kind(object)?;
        self.check_metadata(object)?;
        self.check_built_in(object)?;
        let mut unknown = Vec::new();
        schema::prune(&resource.schema, object, true, &mut unknown);
        let duplicates = self.duplicates.iter().map(|field| format!("duplicate field {field:?}"));
        let unknown = unknown.iter().map(|field| format!("unknown field {field:?}"));
        let warnings: Vec<String> = duplicates.chain(unknown).collect();
        match self.options.validation {
            FieldValidation::Strict if !warnings.is_empty() => {
                return Err(ApiError::bad_request(format!(
                    "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                    resource.kind,
                    resource.version,
                    resource.kind,
                    warnings.join(", ")
                )));
            }
            FieldValidation::Ignore => return Ok(Vec::new()),
            _ => {}
        }
        Ok(warnings)
    }

    fn check_kind(&self, object: &mut Value) -> Result<(), ApiError> {
        let resource = self.resource();
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if resource.is_custom() && kind.is_empty() {
            return Err(ApiError::bad_request(format!(
                "error unmarshaling: Object 'Kind' is missing in '{}'",
                crate::status::shown(object)
            )));
        }
        if !api_version.is_empty() && api_version != resource.api_version {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version
            )));
        }
        if !kind.is_empty() && kind != resource.kind {
            return Err(ApiError::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                resource.kind
            )));
        }
        object["apiVersion"] = resource.api_version.clone().into();
        object["kind"] = resource.kind.clone().into();
        Ok(())
    }

    fn check_metadata(&self, object: &mut Value) -> Result<(), ApiError> {
        let registry = &self.shared.registry;
        if let Some(found) = object.get("metadata")
            && !found.is_object()
            && !found.is_null()
        {
            return Err(ApiError::bad_request(format!(
                "metadata: expected an object, found {}",
                crate::status::shown(found)
            )));
        }
        schema::fill_defaults(&registry.metadata, &mut object["metadata"]);
        metadata::map_of(object).retain(|_, value| !value.is_null());
        let mut causes = Vec::new();
        schema::validate(&registry.metadata, &object["metadata"], "metadata", &mut causes);
        let malformed: Vec<String> = causes
            .iter()
            .filter(|cause| cause.reason == "FieldValueTypeInvalid" || cause.message.contains("must be of type"))
            .map(|cause| cause.message.clone())
            .collect();
        if malformed.is_empty() { Ok(()) } else { Err(ApiError::bad_request(malformed.join(", "))) }
    }

    /// A body of a built-in kind must have its types; of custom resources that is validation's to say.
    fn check_built_in(&self, object: &mut Value) -> Result<(), ApiError> {
        let resource = self.resource();
        if resource.is_custom() {
            return Ok(());
        }
        let mut causes = Vec::new();
        let mut filled = object.clone();
        schema::fill_defaults(&resource.schema, &mut filled);
        schema::validate(&resource.schema, &filled, "", &mut causes);
        let malformed: Vec<&str> = causes
            .iter()
            .filter(|cause| cause.reason == "FieldValueTypeInvalid" || cause.message.contains("must be of type"))
            .map(|cause| cause.message.as_str())
            .collect();
        if malformed.is_empty() {
            return Ok(());
        }
        Err(ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {}",
            resource.kind,
            resource.version,
            resource.kind,
            malformed.join(", ")
        )))
    }

    /// Checks the namespace of a body against the path's, and puts it in.
    pub(crate) fn check_namespace(&self, object: &mut Value) -> Result<(), ApiError> {
        let wanted = self.namespace().unwrap_or_default();
        let found = metadata::text(object, "namespace");
        if !found.is_empty() && found != wanted {
            return Err(ApiError::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request (provided {found:?}, request {wanted:?})"
            )));
        }
        let map = metadata::map_of(object);
        if self.resource().namespaced {
            map.insert("namespace".to_owned(), wanted.into());
        } else {
            map.remove("namespace");
        }
        Ok(())
    }

    /// Fills defaults, brings the object into its stored form, and checks all of it.
    ///
    /// What was wrong before and is as wrong now is not held against an update.
    pub(crate) fn check(&self, new: &mut Value, live: Option<&Value>) -> Result<(), ApiError> {
        let resource = self.resource();
        // Bodies have lost their nulls when they were read; those of an applied configuration of a custom resource stay.
        match resource.is_custom() {
            true => schema::fill_defaults_keeping_nulls(&resource.schema, new),
            false => schema::fill_defaults(&resource.schema, new),
        }
        builtin::settle(resource, new);
        metadata::drop_empty(new);
        let mut causes = Vec::new();
        metadata::validate(resource, new, &mut causes);
        schema::validate(&resource.schema, new, "", &mut causes);
        if let Some(live) = live {
            if !causes.is_empty() {
                let mut before = Vec::new();
                metadata::validate(resource, live, &mut before);
                schema::validate(&resource.schema, live, "", &mut before);
                causes.retain(|cause| !before.contains(cause));
            }
            metadata::validate_update(new, live, &mut causes);
        }
        builtin::validate(resource, new, live, &mut causes);
        if causes.is_empty() {
            Ok(())
        } else {
            let name = metadata::text(new, "name");
            Err(ApiError::invalid(resource, name, &causes))
        }
    }

    /// The object as the store takes it.
    pub(crate) fn draft(&self, object: &Value) -> Draft {
        match self.resource().rules {
            Rules::EventView => Draft::new(&events::to_stored(object.clone())),
            _ => Draft::new(object),
        }
    }

    /// An error of the store, in the words of the API.
    pub(crate) fn store_error(&self, error: CommitError, name: &str) -> ApiError {
        let resource = self.resource();
        match error {
            CommitError::Exists => ApiError::already_exists(resource, name),
            CommitError::Stale => ApiError::stale(resource, name),
            CommitError::NoNamespace => {
                let namespace = self.namespace().unwrap_or_default();
                let exists = self.shared.store.read(|state| {
                    let kind = self.shared.registry.of_rules(Rules::Namespace).storage;
                    state.object(kind, namespace).is_some()
                });
                if exists {
                    ApiError::namespace_terminating(resource, name, namespace)
                } else {
                    ApiError::namespace_not_found(namespace)
                }
            }
            CommitError::Closed | CommitError::Disk(_) => ApiError::internal(error.to_string()),
        }
    }

    /// The kind and name of an object that is made from nothing.
    pub(crate) fn blank(&self, name: &str) -> Value {
        let resource = self.resource();
        let mut blank = builtin::skeleton(resource);
        blank["apiVersion"] = resource.api_version.clone().into();
        blank["kind"] = resource.kind.clone().into();
        blank["metadata"] = json!({"name": name});
        if let Some(namespace) = self.namespace() {
            blank["metadata"]["namespace"] = namespace.into();
        }
        blank
    }

    /// What the new object is refused for that the request's options say.
    pub(crate) fn options_error(&self, field: &str, why: &str) -> ApiError {
        ApiError::invalid_options("PatchOptions", &[Cause::forbidden(field, why)])
    }
}
