//! Everything that the chart renders is taken by a real API server.

use std::collections::BTreeSet;

use kube::ResourceExt;
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::chart::{SYSTEM, render, sets};
use crate::objects::{apply, established, is_definition, is_foreign, namespace, title};

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
