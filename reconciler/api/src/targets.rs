//! Which devices an application is meant for.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::Name;

/// The devices an application names.
///
/// It is read from a list of names, or from the old map `{deviceNames, selectors, allDevices}`;
/// a device is meant if any of the three says so. Anything else that an API server let through
/// means no device ([`TargetDevices::Unreadable`]), so that one bad object stops nobody.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetDevices {
    /// A list of names.
    Names(Vec<Name>),
    /// The old form.
    Selection {
        /// Devices by name.
        names: Vec<Name>,
        /// Labels, all of which a device must carry; none if empty.
        selectors: BTreeMap<String, String>,
        /// Every device of the namespace.
        all: bool,
    },
    /// Neither; means no device.
    Unreadable(serde_json::Value),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SelectionForm {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    device_names: Vec<Name>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    selectors: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    all_devices: bool,
}

impl TargetDevices {
    /// Whether a device of this name and these labels is meant.
    pub fn contains(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|n| n.as_str() == name),
            Self::Selection { names, selectors, all } => {
                *all || names.iter().any(|n| n.as_str() == name)
                    || (!selectors.is_empty() && selectors.iter().all(|(k, v)| labels.get(k) == Some(v)))
            }
            Self::Unreadable(_) => false,
        }
    }

    /// The devices meant by name.
    pub fn names(&self) -> &[Name] {
        match self {
            Self::Names(names) | Self::Selection { names, .. } => names,
            Self::Unreadable(_) => &[],
        }
    }
}

impl Serialize for TargetDevices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Names(names) => names.serialize(serializer),
            Self::Selection { names, selectors, all } => {
                SelectionForm { device_names: names.clone(), selectors: selectors.clone(), all_devices: *all }
                    .serialize(serializer)
            }
            Self::Unreadable(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TargetDevices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = match &value {
            serde_json::Value::Array(_) => Vec::deserialize(&value).map(Self::Names),
            _ => SelectionForm::deserialize(&value).map(|form| Self::Selection {
                names: form.device_names,
                selectors: form.selectors,
                all: form.all_devices,
            }),
        };
        Ok(read.unwrap_or(Self::Unreadable(value)))
    }
}

impl JsonSchema for TargetDevices {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TargetDevices".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A list or a map: a structural schema has no type for that.
        json_schema!({ "x-kubernetes-preserve-unknown-fields": true, "x-wasmbed-shape": "targets" })
    }
}

/// Whether labels satisfy a Kubernetes label selector; an empty selector is satisfied by all.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    selector.match_labels.iter().flatten().all(equal)
        && selector.match_expressions.iter().flatten().all(|requirement| meets(requirement, labels))
}

fn meets(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || value.is_some_and(|value| requirement.values.iter().flatten().any(|v| v == value));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}
