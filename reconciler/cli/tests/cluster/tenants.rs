//! A tenant's ServiceAccounts can read and write nothing of another's.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use wasmbed_api::Device;
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::chart::{SYSTEM, folder, render};
use crate::objects::{apply_all, kind};

const VERBS: [&str; 9] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate"];

/// Group and resource: all that Wasmbed's components use, and what would be of use to who broke into one.
const RESOURCES: [(&str, &str); 21] = [
    ("wasmbed.github.io", "fleets"),
    ("wasmbed.github.io", "fleets/status"),
    ("wasmbed.github.io", "devices"),
    ("wasmbed.github.io", "devices/status"),
    ("wasmbed.github.io", "applications"),
    ("wasmbed.github.io", "applications/status"),
    ("wasmbed.github.io", "releases"),
    ("wasmbed.github.io", "rollouts"),
    ("wasmbed.github.io", "rollouts/status"),
    ("wasmbed.io", "gateways"),
    ("wasmbed.io", "gateways/status"),
    ("coordination.k8s.io", "leases"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "pods"),
    ("", "pods/exec"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("apps", "deployments"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
];

struct Question<'a> {
    account: &'a str,
    namespace: &'a str,
    verb: &'a str,
    resource: (&'a str, &'a str),
    name: Option<&'a str>,
}

/// Whether RBAC lets a ServiceAccount of Wasmbed's do something.
async fn may(admin: &Client, question: Question<'_>) -> bool {
    let Question { account, namespace, verb, resource: (group, resource), name } = question;
    let (resource, subresource) = resource.split_once('/').map_or((resource, None), |(of, sub)| (of, Some(sub)));
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: subresource.map(ToOwned::to_owned),
        name: name.map(ToOwned::to_owned),
        ..ResourceAttributes::default()
    };
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{SYSTEM}"), "system:authenticated"];
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{SYSTEM}:{account}")),
        groups: Some(groups.map(ToOwned::to_owned).to_vec()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(admin.clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_of_a_tenant_may_do_anything_in_another_one_s_namespace_or_with_its_keys() {
    let Some(kubernetes) = Kubernetes::for_test(Options::default()).await else { return };
    let admin = kubernetes.client(SYSTEM).await;
    let objects = render(kubernetes.programs(), &folder().join("ci/production-values.yaml"));
    apply_all(&admin, &objects).await;
    let tenants = ["plant-a", "lab"];
    let accounts: BTreeSet<String> =
        objects.iter().filter(|object| kind(object) == "ServiceAccount").map(ResourceExt::name_any).collect();
    assert!(accounts.len() >= 8, "{accounts:?}");

    let mut granted = Vec::new();
    for account in &accounts {
        let mut at_home = false;
        for tenant in tenants {
            let is_own = account.ends_with(&format!("-{tenant}"));
            let keys = ["release", "assignment", "gateway-gateway-1"].map(|key| format!("wasmbed-{tenant}-{key}"));
            for verb in VERBS {
                for resource in RESOURCES {
                    let question = Question { account, namespace: tenant, verb, resource, name: None };
                    let allowed = may(&admin, question).await;
                    at_home |= allowed && is_own;
                    if allowed && !is_own {
                        granted.push(format!("{account}: {verb} {resource:?} in {tenant}"));
                    }
                }
                for key in &keys {
                    let resource = ("", "secrets");
                    let question = Question { account, namespace: SYSTEM, verb, resource, name: Some(key) };
                    let allowed = may(&admin, question).await;
                    let reads = ["get", "list", "watch"].contains(&verb);
                    if allowed && !(is_own && reads) {
                        granted.push(format!("{account}: {verb} the Secret {key}"));
                    }
                }
            }
        }
        assert!(at_home || account == "wasmbed-builder", "{account} may do nothing in its own tenant's namespace");
        for verb in VERBS {
            for resource in RESOURCES {
                if may(&admin, Question { account, namespace: SYSTEM, verb, resource, name: None }).await {
                    granted.push(format!("{account}: {verb} all {resource:?} in {SYSTEM}"));
                }
                if may(&admin, Question { account, namespace: "kube-system", verb, resource, name: None }).await {
                    granted.push(format!("{account}: {verb} {resource:?} in kube-system"));
                }
            }
        }
    }
    assert!(granted.is_empty(), "{}", granted.join("\n"));
    one_of_a_tenant_is_refused_by_the_server_itself(&kubernetes, &admin).await;
}

/// What RBAC says is what the API does: each verb, with a real token.
async fn one_of_a_tenant_is_refused_by_the_server_itself(kubernetes: &Kubernetes, admin: &Client) {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "wasmbed-lab-release" }, "stringData": { "seed": "of another tenant" },
    }))
    .unwrap();
    Api::<Secret>::namespaced(admin.clone(), SYSTEM).create(&PostParams::default(), &secret).await.unwrap();
    let device = Device::new("theirs", wasmbed_api::DeviceSpec::default());
    Api::<Device>::namespaced(admin.clone(), "lab").create(&PostParams::default(), &device).await.unwrap();

    let token = kubernetes.service_account_token(SYSTEM, "wasmbed-reconciler-plant-a").await;
    let client = kubernetes.client_of(&token, "plant-a").await;
    let own = Api::<Device>::namespaced(client.clone(), "plant-a");
    own.list(&ListParams::default()).await.expect("its own it may list");
    let theirs = Api::<Device>::namespaced(client.clone(), "lab");
    let patch = Patch::Merge(json!({ "spec": { "mcuType": "Host" } }));
    let status = Patch::Merge(json!({ "status": { "phase": "Connected" } }));
    let by_nobody = PatchParams::default();
    refused(theirs.get("theirs").await);
    refused(theirs.list(&ListParams::default()).await);
    refused(theirs.watch(&WatchParams::default(), "0").await);
    refused(theirs.create(&PostParams::default(), &Device::new("ours", Default::default())).await);
    refused(theirs.replace("theirs", &PostParams::default(), &device).await);
    refused(theirs.patch("theirs", &by_nobody, &patch).await);
    refused(theirs.patch_status("theirs", &by_nobody, &status).await);
    refused(theirs.delete("theirs", &DeleteParams::default()).await);
    refused(theirs.delete_collection(&DeleteParams::default(), &ListParams::default()).await);
    refused(Api::<Secret>::namespaced(client.clone(), SYSTEM).get("wasmbed-lab-release").await);
    refused(Api::<Secret>::namespaced(client, SYSTEM).list(&ListParams::default()).await);
}

fn refused<T>(answer: kube::Result<T>) {
    match answer {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}
