//! Applying objects of any kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, TypeMeta, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};

/// `apiVersion Kind namespace/name`, for messages.
pub fn title(object: &DynamicObject) -> String {
    let TypeMeta { api_version, kind } = object.types.clone().unwrap();
    format!("{api_version} {kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Applies an object on the server's side, as `helm` and `kubectl` do, with strict validation; `dry_run` changes nothing.
///
/// # Errors
/// As the API answers.
pub async fn apply(client: &Client, object: &DynamicObject, dry_run: bool) -> kube::Result<DynamicObject> {
    let types = object.types.as_ref().unwrap();
    let kind = GroupVersionKind::try_from(types).unwrap();
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    let api: Api<DynamicObject> = match (&capabilities.scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => panic!("{} says no namespace", title(object)),
    };
    let params = PatchParams {
        dry_run,
        field_manager: Some("helm".to_owned()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    api.patch(&object.name_any(), &params, &Patch::Apply(object)).await
}

/// Waits until the kinds that were defined are served.
pub async fn established(client: &Client, objects: &[DynamicObject]) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for object in objects.iter().filter(|object| is_definition(object)) {
        await_condition(api.clone(), &object.name_any(), is_crd_established()).await.unwrap();
    }
}

/// Whether an object defines a kind.
pub fn is_definition(object: &DynamicObject) -> bool {
    object.types.as_ref().unwrap().kind == "CustomResourceDefinition"
}
