//! Everything that the chart renders is taken by a real API server.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::chart::{SYSTEM, render, sets};
use crate::objects::{apply, established, is_definition, title};

/// Kinds of other software, which this server does not serve.
const FOREIGN: [&str; 1] = ["monitoring.coreos.com/v1 PodMonitor"];

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_every_set_of_values_is_valid() {
    let Some(kubernetes) = Kubernetes::for_test(Options::default()).await else { return };
    let admin = kubernetes.client(SYSTEM).await;
    let sets: Vec<_> = sets().into_iter().map(|set| (render(kubernetes.programs(), &set), set)).collect();
    assert_eq!(sets.len(), 3);
    let definitions: Vec<_> = sets[0].0.iter().filter(|object| is_definition(object)).cloned().collect();
    assert_eq!(definitions.len(), wasmbed_api::crds().len(), "a definition of each kind");
    for definition in &definitions {
        apply(&admin, definition, false).await.unwrap();
    }
    established(&admin, &definitions).await;
    let namespaces: BTreeSet<String> =
        sets.iter().flat_map(|(objects, _)| objects).filter_map(ResourceExt::namespace).collect();
    for name in namespaces {
        namespace(&admin, &name).await;
    }
    let mut refused = Vec::new();
    for (objects, set) in &sets {
        for object in objects.iter().filter(|object| !is_foreign(object)) {
            if let Err(error) = apply(&admin, object, true).await {
                refused.push(format!("{}: {}: {error}", set.file_name().unwrap().display(), title(object)));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn is_foreign(object: &DynamicObject) -> bool {
    let types = object.types.as_ref().unwrap();
    FOREIGN.contains(&format!("{} {}", types.api_version, types.kind).as_str())
}

/// Makes a namespace, unless it is there.
async fn namespace(admin: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &namespace).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        made => drop(made.unwrap()),
    }
}
