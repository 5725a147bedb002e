//! What a Kubernetes API is told about the kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use wasmbed_api::{Application, ApplicationSpec, Device, TargetDevices, crds, crds_yaml};

fn spec(crd: &CustomResourceDefinition, part: &str) -> JSONSchemaProps {
    let schema = crd.spec.versions[0].schema.as_ref().expect("a schema");
    let root = schema.open_api_v3_schema.as_ref().expect("a root");
    root.properties.as_ref().expect("properties")[part].clone()
}

fn every(schema: &JSONSchemaProps, path: &str, visit: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, inner) in schema.properties.iter().flatten() {
        every(inner, &format!("{path}.{name}"), visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(inner)) = &schema.additional_properties {
        every(inner, &format!("{path}.*"), visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(inner)) = &schema.items {
        every(inner, &format!("{path}[]"), visit);
    }
}

#[test]
fn the_six_kinds_have_their_groups_versions_and_a_status_of_their_own() {
    let names: Vec<_> = crds()
        .iter()
        .map(|crd| {
            let version = &crd.spec.versions[0];
            assert_eq!(crd.spec.scope, "Namespaced");
            assert!(version.subresources.as_ref().is_some_and(|s| s.status.is_some()));
            assert!(!version.additional_printer_columns.as_ref().expect("columns").is_empty());
            format!("{}/{} {}", crd.spec.group, version.name, crd.spec.names.kind)
        })
        .collect();
    assert_eq!(
        names,
        [
            "wasmbed.github.io/v0 Device",
            "wasmbed.github.io/v1alpha1 Application",
            "wasmbed.io/v1 Gateway",
            "wasmbed.github.io/v1alpha1 Fleet",
            "wasmbed.github.io/v1alpha1 Release",
            "wasmbed.github.io/v1alpha1 Rollout",
        ]
    );
}

#[test]
fn schemas_are_structural_and_specs_are_atomic() {
    for crd in crds() {
        let kind = &crd.spec.names.kind;
        assert_eq!(spec(&crd, "spec").x_kubernetes_map_type.as_deref(), Some("atomic"), "{kind}");
        for part in ["spec", "status"] {
            every(&spec(&crd, part), &format!("{kind}.{part}"), &mut |path, schema| {
                let untyped = schema.x_kubernetes_int_or_string == Some(true)
                    || schema.x_kubernetes_preserve_unknown_fields == Some(true);
                assert!(schema.type_.is_some() || untyped, "{path} has no type");
                assert!(schema.any_of.is_none() && schema.one_of.is_none() && schema.ref_path.is_none(), "{path}");
                assert!(schema.default.is_none(), "{path} has a default");
                assert!(schema.x_kubernetes_validations.is_none(), "{path} uses CEL");
                let formats = [None, Some("int32"), Some("int64"), Some("date-time"), Some("byte")];
                assert!(formats.contains(&schema.format.as_deref()), "{path}: {:?}", schema.format);
                let both = schema.properties.is_some() && schema.additional_properties.is_some();
                assert!(!both, "{path} has properties and additionalProperties");
                // Items need no words of their own: their list has them.
                assert!(path.contains(['[', '*']) || schema.description.is_some(), "{path} has no description");
            });
        }
    }
}

#[test]
fn conditions_carry_the_generation_they_were_said_of() {
    for crd in crds() {
        let status = spec(&crd, "status").properties.expect("fields");
        assert!(status.contains_key("observedGeneration"), "{}", crd.spec.names.kind);
        assert_eq!(status["conditions"].x_kubernetes_list_type.as_deref(), Some("map"));
    }
}

#[test]
fn old_and_new_forms_of_the_configuration_are_in_the_schema() {
    let crds = crds();
    let config = &spec(&crds[1], "spec").properties.expect("fields")["config"];
    let fields: Vec<_> = config.properties.as_ref().expect("fields").keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "args",
            "autoRestart",
            "auto_restart",
            "cpuTimeLimit",
            "cpu_time_limit",
            "envVars",
            "env_vars",
            "ioLimit",
            "maxRestarts",
            "max_restarts",
            "memoryLimit",
            "memory_limit",
        ]
    );
    let device = spec(&crds[0], "spec").properties.expect("fields");
    assert!(device.contains_key("gatewayId") && device.contains_key("preferredGateway"));
}

#[test]
fn old_and_new_forms_are_read_as_one_type_and_written_in_the_new_form() {
    let old = json!({
        "config": {
            "memory_limit": 65536, "cpu_time_limit": 250, "env_vars": {"A": "1"},
            "args": ["-v"], "auto_restart": false, "max_restarts": 3
        }
    });
    let new = json!({
        "config": {
            "memoryLimit": "64Ki", "cpuTimeLimit": "250m", "envVars": {"A": "1"},
            "args": ["-v"], "autoRestart": false, "maxRestarts": 3
        }
    });
    let read = |value: &Value| ApplicationSpec::deserialize(value).expect("readable");
    assert_eq!(read(&old), read(&new));
    assert_eq!(serde_json::to_value(read(&old)).expect("plain"), new);
    // Both at once can come from `kubectl` only; the new one counts and nothing breaks.
    let both = json!({"config": {"memory_limit": 1, "memoryLimit": "2Ki"}});
    assert_eq!(read(&both).config.expect("there").memory_limit.expect("there").bytes(), 2048);
}

#[test]
fn an_unreadable_target_list_means_no_device_and_breaks_no_watch() {
    let device = Device::new("d1", Default::default());
    for strange in [json!(5), json!("d1"), json!(["d1", 7]), json!({"allDevices": "yes"}), json!({"x": 1})] {
        let spec: ApplicationSpec =
            serde_json::from_value(json!({"targetDevices": strange.clone()})).expect("readable");
        assert!(matches!(spec.target_devices, Some(TargetDevices::Unreadable(_))), "{strange}");
        let application = Application::new("a", spec);
        assert!(!application.targets(&device));
        assert_eq!(serde_json::to_value(&application.spec.target_devices).expect("plain"), strange);
    }
}

#[test]
fn devices_are_meant_by_name_label_selector_or_all() {
    let mut device = Device::new("d1", Default::default());
    device.metadata.labels = Some([("room".to_owned(), "kitchen".to_owned())].into());
    let targets = |spec: Value| {
        let spec = serde_json::from_value(spec).expect("readable");
        Application::new("a", spec).targets(&device)
    };
    assert!(targets(json!({"targetDevices": ["d0", "d1"]})));
    assert!(!targets(json!({"targetDevices": ["d0"]})));
    assert!(!targets(json!({})));
    assert!(targets(json!({"targetDevices": {"deviceNames": ["d1"]}})));
    assert!(targets(json!({"targetDevices": {"selectors": {"room": "kitchen"}}})));
    assert!(!targets(json!({"targetDevices": {"selectors": {"room": "kitchen", "floor": "1"}}})));
    assert!(!targets(json!({"targetDevices": {"selectors": {}}})));
    assert!(targets(json!({"targetDevices": {"allDevices": true}})));
    assert!(targets(json!({"targetSelector": {}})));
    assert!(targets(json!({"targetSelector": {"matchLabels": {"room": "kitchen"}}})));
    assert!(!targets(json!({"targetSelector": {"matchLabels": {"room": "cellar"}}})));
    let expression = |operator: &str, key: &str, values: Value| {
        targets(json!({"targetSelector": {"matchExpressions": [
            {"key": key, "operator": operator, "values": values}
        ]}}))
    };
    assert!(expression("In", "room", json!(["kitchen", "cellar"])));
    assert!(!expression("NotIn", "room", json!(["kitchen"])));
    assert!(expression("NotIn", "floor", json!(["1"])));
    assert!(expression("Exists", "room", json!(null)));
    assert!(expression("DoesNotExist", "floor", json!(null)));
    assert!(!expression("Whatever", "room", json!(null)));
}

#[test]
fn the_yaml_is_what_the_definitions_are() {
    let yaml = crds_yaml();
    let read: Vec<CustomResourceDefinition> = serde_yaml::Deserializer::from_str(&yaml)
        .map(|document| CustomResourceDefinition::deserialize(document).expect("a definition"))
        .collect();
    assert_eq!(read, crds());
    assert!(!yaml.contains("x-wasmbed"));
}
