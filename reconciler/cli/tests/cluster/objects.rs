//! Applying objects of any kind.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};

use crate::chart::SYSTEM;

/// What nodes would be needed for.
const WORKLOADS: [&str; 4] = ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "PersistentVolumeClaim"];

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

/// Applies all that a cluster without nodes can hold: workloads only as a trial. Each kind before what needs it.
pub async fn apply_all(client: &Client, objects: &[DynamicObject]) {
    namespace(client, SYSTEM).await;
    for object in objects.iter().filter(|object| is_definition(object)) {
        apply(client, object, false).await.unwrap();
    }
    established(client, objects).await;
    let later: Vec<_> = objects.iter().filter(|object| !is_definition(object) && !is_foreign(object)).collect();
    for object in &later {
        namespace(client, &object.namespace().unwrap_or_else(|| SYSTEM.to_owned())).await;
    }
    for object in later {
        let dry_run = WORKLOADS.contains(&kind(object).as_str());
        apply(client, object, dry_run).await.unwrap_or_else(|error| panic!("{}: {error}", title(object)));
    }
}

/// Makes a namespace, unless it is there.
pub async fn namespace(client: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        made => drop(made.unwrap()),
    }
}

/// An object's kind.
pub fn kind(object: &DynamicObject) -> String {
    object.types.as_ref().unwrap().kind.clone()
}

/// Whether this server does not serve an object's kind, which is other software's.
pub fn is_foreign(object: &DynamicObject) -> bool {
    object.types.as_ref().unwrap().api_version.starts_with("monitoring.coreos.com/")
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
    kind(object) == "CustomResourceDefinition"
}
