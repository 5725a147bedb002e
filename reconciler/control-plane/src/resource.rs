//! The resources that are served: built-in ones and those of CustomResourceDefinitions, in one form.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::schema::Schema;
use crate::storage::{KindId, KindSpec};
use crate::table::Column;

/// What a resource does that schemas do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A custom resource.
    Custom,
    Namespace,
    ConfigMap,
    Secret,
    Lease,
    /// `v1` events, as they are stored.
    Event,
    /// `events.k8s.io/v1` events: the same objects in other words.
    EventView,
    /// CustomResourceDefinitions: given, and read-only.
    Definition,
}

/// Why the definitions cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("CustomResourceDefinition {name}: {why}")]
pub struct DefinitionError {
    /// `devices.wasmbed.github.io`.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// One resource in one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    /// `v1`, `wasmbed.io/v1`.
    pub(crate) api_version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Has a status subresource.
    pub(crate) status: bool,
    pub(crate) schema: Schema,
    /// The schema as it was given, for OpenAPI.
    pub(crate) raw_schema: Value,
    pub(crate) columns: Vec<Column>,
    /// `.spec.x` of each selectable field of a definition.
    pub(crate) selectable: Vec<String>,
    pub(crate) rules: Rules,
    pub(crate) storage: KindId,
}

impl Resource {
    /// `devices.wasmbed.github.io`, or `configmaps`.
    pub(crate) fn qualified_plural(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.rules == Rules::Custom
    }

    /// The key of an object in the store.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) if self.namespaced => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        }
    }

    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        match self.rules {
            Rules::Definition => &["get", "list", "watch"],
            Rules::Namespace => &["create", "delete", "get", "list", "patch", "update", "watch"],
            _ => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }
}

/// Every resource that is served.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: Vec<Arc<Resource>>,
    /// The schema of `metadata`.
    pub(crate) metadata: Schema,
    pub(crate) raw_metadata: Value,
}

impl Registry {
    /// The built-in resources and those of the definitions, with what the store must keep for them.
    pub(crate) fn new(crds: &[CustomResourceDefinition]) -> Result<(Self, Vec<KindSpec>), DefinitionError> {
        let raw_metadata: Value =
            serde_yaml::from_str(include_str!("object_meta.yaml")).expect("the file is YAML, as the tests show");
        let metadata = Schema::compile(&raw_metadata, "metadata").expect("its schema is sound, as the tests show");
        let builtin: Vec<Value> =
            serde_yaml::from_str(include_str!("builtin.yaml")).expect("the file is YAML, as the tests show");
        let mut registry = Self { resources: Vec::new(), metadata, raw_metadata };
        let mut specs = Vec::new();
        for definition in &builtin {
            registry.add(definition, &mut specs)?;
        }
        let mut definitions = Vec::with_capacity(crds.len());
        for crd in crds {
            let mut definition = serde_json::to_value(crd).map_err(|error| DefinitionError {
                name: crd.metadata.name.clone().unwrap_or_default(),
                why: error.to_string(),
            })?;
            registry.add(&definition, &mut specs)?;
            establish(&mut definition);
            definitions.push((crd.metadata.name.clone().unwrap_or_default(), definition));
        }
        for spec in &mut specs {
            if spec.given.is_some() {
                spec.given = Some(definitions);
                break;
            }
        }
        Ok((registry, specs))
    }

    pub(crate) fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|resource| resource.plural == plural && resource.group == group && resource.version == version)
    }

    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.api_version == api_version)
    }

    pub(crate) fn of_rules(&self, rules: Rules) -> &Arc<Resource> {
        self.resources.iter().find(|resource| resource.rules == rules).expect("built-in resources are always there")
    }

    /// The resources of each group and version, in the order they are announced.
    pub(crate) fn group_versions(&self) -> BTreeMap<(&str, &str), Vec<&Arc<Resource>>> {
        let mut groups: BTreeMap<(&str, &str), Vec<&Arc<Resource>>> = BTreeMap::new();
        for resource in &self.resources {
            groups.entry((&resource.group, &resource.version)).or_default().push(resource);
        }
        groups
    }

    fn add(&mut self, definition: &Value, specs: &mut Vec<KindSpec>) -> Result<(), DefinitionError> {
        let text = |path: &str| {
            let found = definition.pointer(path).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let list = |path: &str| -> Vec<String> {
            let found = definition.pointer(path).and_then(Value::as_array);
            let texts = found.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let (group, plural, kind) = (text("/spec/group"), text("/spec/names/plural"), text("/spec/names/kind"));
        let fail = |why: String| DefinitionError { name: format!("{plural}.{group}"), why };
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
        let served: Vec<&Value> = versions.into_iter().flatten().filter(|version| version["served"] == true).collect();
        let [version] = served.as_slice() else {
            return Err(fail(format!(
                "it serves {} versions; the embedded API serves exactly one of each kind",
                served.len()
            )));
        };
        if plural.is_empty() || kind.is_empty() {
            return Err(fail("it has no plural or no kind".to_owned()));
        }
        let name = version["name"].as_str().unwrap_or_default().to_owned();
        let raw_schema = version["schema"]["openAPIV3Schema"].clone();
        let mut schema = Schema::compile(&raw_schema, "").map_err(|error| fail(error.to_string()))?;
        schema.properties.insert("metadata".to_owned(), self.metadata.clone());
        for field in ["apiVersion", "kind"] {
            let string = Schema::compile(&json!({"type": "string"}), field).expect("a string is a schema");
            schema.properties.insert(field.to_owned(), string);
        }
        let api_version = if group.is_empty() { name.clone() } else { format!("{group}/{name}") };
        let rules = match (group.as_str(), plural.as_str()) {
            ("", "namespaces") => Rules::Namespace,
            ("", "configmaps") => Rules::ConfigMap,
            ("", "secrets") => Rules::Secret,
            ("", "events") => Rules::Event,
            ("coordination.k8s.io", "leases") => Rules::Lease,
            ("events.k8s.io", "events") => Rules::EventView,
            ("apiextensions.k8s.io", _) => Rules::Definition,
            _ => Rules::Custom,
        };
        let storage = if rules == Rules::EventView {
            self.of_rules(Rules::Event).storage
        } else {
            specs.push(KindSpec {
                name: format!("{group}/{plural}"),
                api_version: api_version.clone(),
                given: (rules == Rules::Definition).then(Vec::new),
            });
            KindId(specs.len() - 1)
        };
        let list_kind = match text("/spec/names/listKind") {
            empty if empty.is_empty() => format!("{kind}List"),
            name => name,
        };
        let singular = match text("/spec/names/singular") {
            empty if empty.is_empty() => kind.to_lowercase(),
            name => name,
        };
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        self.resources.push(Arc::new(Resource {
            columns: crate::table::columns(rules, version).map_err(fail)?,
            short_names: list("/spec/names/shortNames"),
            categories: list("/spec/names/categories"),
            namespaced: text("/spec/scope") == "Namespaced",
            status: version["subresources"]["status"].is_object(),
            selectable: selectable.filter_map(|field| Some(field["jsonPath"].as_str()?.to_owned())).collect(),
            group,
            version: name,
            api_version,
            plural,
            singular,
            kind,
            list_kind,
            schema,
            raw_schema,
            rules,
            storage,
        }));
        Ok(())
    }
}

/// A definition as the server shows it: with a uid, a time and the conditions of one that is served.
fn establish(definition: &mut Value) {
    let now = crate::names::now();
    let names = definition["spec"]["names"].clone();
    let versions: Vec<Value> = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    definition["apiVersion"] = "apiextensions.k8s.io/v1".into();
    definition["kind"] = "CustomResourceDefinition".into();
    definition["metadata"]["uid"] = crate::names::uid().into();
    definition["metadata"]["creationTimestamp"] = now.clone().into();
    definition["metadata"]["generation"] = 1.into();
    definition["status"] = json!({
        "acceptedNames": names,
        "storedVersions": versions,
        "conditions": [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": now},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": now},
        ],
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_kinds_are_sound() {
        let (registry, specs) = Registry::new(&[]).unwrap();
        let names: Vec<String> = registry.all().iter().map(|resource| resource.qualified_plural()).collect();
        assert_eq!(
            names,
            [
                "namespaces",
                "configmaps",
                "secrets",
                "leases.coordination.k8s.io",
                "events",
                "events.events.k8s.io",
                "customresourcedefinitions.apiextensions.k8s.io"
            ]
        );
        assert_eq!(specs.len(), 6, "both forms of events are one");
    }

    #[test]
    fn a_definition_with_two_served_versions_or_a_broken_pattern_is_refused() {
        let definition = |versions: Value| -> CustomResourceDefinition {
            serde_json::from_value(json!({"metadata": {"name": "x.g"}, "spec": {"group": "g", "scope": "Namespaced",
                "names": {"plural": "x", "kind": "X"}, "versions": versions}}))
            .unwrap()
        };
        let version = |name: &str, pattern: &str| {
            json!({"name": name, "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "properties": {"spec": {"type": "string", "pattern": pattern}}}}})
        };
        let two = definition(json!([version("v1", "a"), version("v2", "a")]));
        assert!(Registry::new(&[two]).unwrap_err().why.contains("2 versions"));
        let broken = definition(json!([version("v1", "(")]));
        assert!(Registry::new(&[broken]).unwrap_err().why.contains("spec"));
    }
}
