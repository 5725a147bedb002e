//! The definitions a Kubernetes API is given.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

use crate::{Application, Device, Fleet, Gateway, Release, Rollout};

/// The definitions of every kind of Wasmbed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds =
        vec![Device::crd(), Application::crd(), Gateway::crd(), Fleet::crd(), Release::crd(), Rollout::crd()];
    for version in crds.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        let validation = version.schema.iter_mut();
        validation.flat_map(|v| &mut v.open_api_v3_schema).for_each(to_kubernetes);
    }
    crds
}

/// [`crds`] as YAML documents, as `wasmbed crds` prints them and `kubectl apply` takes them.
pub fn crds_yaml() -> String {
    crds()
        .iter()
        .map(|crd| serde_yaml::to_string(crd).expect("a definition is plain data"))
        .map(|yaml| format!("---\n{yaml}"))
        .collect()
}

/// Takes out what Kubernetes does not know (Rust's integer formats) or should not do (fill in
/// defaults, which the types do, so that what is stored is what was written).
fn to_kubernetes(schema: &mut JSONSchemaProps) {
    schema.default = None;
    let integer = match schema.format.as_deref() {
        Some("uint8" | "uint16" | "int8" | "int16") => Some("int32"),
        Some("uint32" | "uint64" | "uint") => Some("int64"),
        _ => None,
    };
    if let Some(format) = integer {
        schema.format = Some(format.to_owned());
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(to_kubernetes);
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        to_kubernetes(values);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        to_kubernetes(items);
    }
}
