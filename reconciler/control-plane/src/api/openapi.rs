//! OpenAPI v3: the schemas, for `kubectl explain` and for what kubectl asks before it writes.

use serde_json::{Map, Value, json};

use crate::resource::{Registry, Resource};

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// `/openapi/v3`
pub(crate) fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, version) in registry.group_versions().into_keys() {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let url = format!("/openapi/v3/{path}?hash={:016x}", hash(registry, group, version));
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// Changes when the document does, so that clients may cache by it.
fn hash(registry: &Registry, group: &str, version: &str) -> u64 {
    // FNV-1a: stable across processes, and nothing depends on its strength.
    let text = document(registry, group, version).to_string();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The document of one group and version.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Value {
    let mut schemas = Map::new();
    schemas.insert(METADATA.to_owned(), registry.raw_metadata.clone());
    schemas.insert(
        LIST_METADATA.to_owned(),
        json!({"type": "object", "description": "ListMeta describes metadata that lists have.", "properties": {
            "continue": {"type": "string"}, "remainingItemCount": {"type": "integer"}, "resourceVersion": {"type": "string"}}}),
    );
    let mut paths = Map::new();
    let groups = registry.group_versions();
    for resource in groups.get(&(group, version)).into_iter().flatten() {
        let name = schema_name(resource);
        schemas.insert(name.clone(), schema(resource));
        schemas.insert(format!("{name}List"), list_schema(resource, &name));
        add_paths(&mut paths, resource, &name);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Wasmbed", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// `io.github.wasmbed.v0.Device`, `io.k8s.api.core.v1.ConfigMap`.
fn schema_name(resource: &Resource) -> String {
    let group = match resource.group.as_str() {
        "" => "io.k8s.api.core".to_owned(),
        group if group.ends_with(".k8s.io") => {
            let first = group.split('.').next().unwrap_or(group);
            format!("io.k8s.api.{first}")
        }
        group => {
            let mut parts: Vec<&str> = group.split('.').collect();
            parts.reverse();
            parts.join(".")
        }
    };
    format!("{group}.{}.{}", resource.version, resource.kind)
}

fn kind_of(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn schema(resource: &Resource) -> Value {
    let mut schema = resource.raw_schema.clone();
    if !schema.is_object() {
        schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    schema["properties"]["apiVersion"] = json!({"type": "string",
        "description": "APIVersion defines the versioned schema of this representation of an object."});
    schema["properties"]["kind"] = json!({"type": "string",
        "description": "Kind is a string value representing the REST resource this object represents."});
    schema["properties"]["metadata"] = json!({"allOf": [reference(METADATA)], "default": {},
        "description": "Standard object's metadata."});
    schema["x-kubernetes-group-version-kind"] = json!([kind_of(resource)]);
    schema
}

fn list_schema(resource: &Resource, name: &str) -> Value {
    let mut kind = kind_of(resource);
    kind["kind"] = resource.list_kind.clone().into();
    json!({
        "type": "object",
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [reference(LIST_METADATA)], "default": {}},
            "items": {"type": "array", "items": {"allOf": [reference(name)], "default": {}}},
        },
        "x-kubernetes-group-version-kind": [kind],
    })
}

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, name: &str) {
    let root = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    let collection = if resource.namespaced {
        let all = format!("{root}/{}", resource.plural);
        let list = operation(resource, "list", &format!("{name}List"), &[]);
        paths.insert(all, json!({"get": list}));
        format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{root}/{}", resource.plural)
    };
    let writes = ["dryRun", "fieldManager", "fieldValidation"];
    let verbs = resource.verbs();
    let mut many = json!({"get": operation(resource, "list", &format!("{name}List"), &[])});
    if verbs.contains(&"create") {
        many["post"] = operation(resource, "post", name, &writes);
    }
    if verbs.contains(&"deletecollection") {
        many["delete"] = operation(resource, "deletecollection", name, &["dryRun"]);
    }
    let one = |deletes: bool| {
        let mut one = json!({"get": operation(resource, "get", name, &[])});
        if verbs.contains(&"update") {
            one["put"] = operation(resource, "put", name, &writes);
            one["patch"] = operation(resource, "patch", name, &["dryRun", "fieldManager", "fieldValidation", "force"]);
            if deletes {
                one["delete"] = operation(resource, "delete", name, &["dryRun", "propagationPolicy"]);
            }
        }
        one
    };
    if resource.status {
        paths.insert(format!("{collection}/{{name}}/status"), one(false));
    }
    paths.insert(format!("{collection}/{{name}}"), one(true));
    paths.insert(collection, many);
}

fn operation(resource: &Resource, action: &str, schema: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| {
            let kind = if *name == "force" { "boolean" } else { "string" };
            json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    json!({
        "operationId": format!("{action}{}{}", resource.version, resource.kind),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference(schema)}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_of(resource),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_document_describes_each_kind_and_what_can_be_done_with_it() {
        let (registry, _) = Registry::new(&[]).unwrap();
        let document = document(&registry, "", "v1");
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "ConfigMap");
        assert!(patch["parameters"].to_string().contains("fieldValidation"));
        let schema = &document["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"];
        assert_eq!(schema["properties"]["data"]["additionalProperties"]["type"], "string");
        assert!(document["paths"]["/api/v1/namespaces/{name}/status"]["delete"].is_null());
    }

    #[test]
    fn the_index_names_every_document() {
        let (registry, _) = Registry::new(&[]).unwrap();
        let index = index(&registry);
        let names: Vec<_> = index["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            names,
            ["api/v1", "apis/apiextensions.k8s.io/v1", "apis/coordination.k8s.io/v1", "apis/events.k8s.io/v1"]
        );
    }
}
