//! Structural schemas: what a field may hold, compiled once from the JSON of a CustomResourceDefinition.

mod defaults;
mod prune;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

pub(crate) use defaults::{fill_defaults, fill_defaults_keeping_nulls};
pub(crate) use prune::prune;
pub(crate) use validate::{unmergeable, validate};

/// The JSON types a field may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// No type is named: anything goes.
    Any,
}

/// How a list is merged by server-side apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects, told apart by these fields.
    Map(Vec<String>),
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub(crate) struct SchemaError {
    path: String,
    why: String,
}

/// One node of a structural schema.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Option<Box<Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`, `additionalProperties: true`).
    pub(crate) open: bool,
    /// Holds a Kubernetes object of its own (`x-kubernetes-embedded-resource`).
    pub(crate) embedded: bool,
    pub(crate) atomic_map: bool,
    pub(crate) list: ListType,
    pub(crate) default: Option<Value>,
    pub(crate) required: Vec<String>,
    pub(crate) bounds: Option<Box<Bounds>>,
}

/// Value validations; most nodes have none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) one_of_values: Vec<Value>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<String>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Schema>,
}

impl Schema {
    /// Compiles the JSON form (`openAPIV3Schema`); `path` names the place for errors.
    pub(crate) fn compile(json: &Value, path: &str) -> Result<Self, SchemaError> {
        let fail = |why: String| SchemaError { path: path.to_owned(), why };
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(false);
        let kind = if flag("x-kubernetes-int-or-string") {
            Type::IntOrString
        } else {
            match json.get("type").and_then(Value::as_str) {
                None | Some("") => Type::Any,
                Some("object") => Type::Object,
                Some("array") => Type::Array,
                Some("string") => Type::String,
                Some("integer") => Type::Integer,
                Some("number") => Type::Number,
                Some("boolean") => Type::Boolean,
                Some(other) => return Err(fail(format!("unknown type {other:?}"))),
            }
        };
        let mut properties = BTreeMap::new();
        if let Some(fields) = json.get("properties").and_then(Value::as_object) {
            for (name, field) in fields {
                properties.insert(name.clone(), Self::compile(field, &format!("{path}.{name}"))?);
            }
        }
        let mut open = flag("x-kubernetes-preserve-unknown-fields");
        let additional = match json.get("additionalProperties") {
            Some(Value::Bool(allowed)) => {
                open |= allowed;
                None
            }
            Some(schema @ Value::Object(_)) => Some(Box::new(Self::compile(schema, &format!("{path}.*"))?)),
            _ => None,
        };
        let items = match json.get("items") {
            Some(schema @ Value::Object(_)) => Some(Box::new(Self::compile(schema, &format!("{path}[]"))?)),
            _ => None,
        };
        let list = match json.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(strings(json.get("x-kubernetes-list-map-keys"))),
            _ => ListType::Atomic,
        };
        Ok(Self {
            kind,
            nullable: flag("nullable"),
            properties,
            additional,
            items,
            open,
            embedded: flag("x-kubernetes-embedded-resource"),
            atomic_map: json.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
            list,
            default: json.get("default").cloned(),
            required: strings(json.get("required")),
            bounds: Bounds::compile(json, path)?.map(Box::new),
        })
    }

    /// The schema of a field, and whether it is a named property (not an entry of a map).
    pub(crate) fn field(&self, name: &str) -> (Option<&Schema>, bool) {
        match self.properties.get(name) {
            Some(schema) => (Some(schema), true),
            None => (self.additional.as_deref(), false),
        }
    }
}

impl Bounds {
    fn compile(json: &Value, path: &str) -> Result<Option<Self>, SchemaError> {
        let fail = |why: String| SchemaError { path: path.to_owned(), why };
        let count = |key: &str| json.get(key).and_then(Value::as_u64);
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(false);
        let many = |key: &str| -> Result<Vec<Schema>, SchemaError> {
            let Some(list) = json.get(key).and_then(Value::as_array) else {
                return Ok(Vec::new());
            };
            list.iter().map(|schema| Schema::compile(schema, &format!("{path}.{key}"))).collect()
        };
        let pattern = match json.get("pattern").and_then(Value::as_str) {
            None | Some("") => None,
            Some(text) => Some(Regex::new(text).map_err(|error| fail(format!("pattern {text:?}: {error}")))?),
        };
        let bounds = Self {
            one_of_values: json.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            pattern,
            format: json.get("format").and_then(Value::as_str).map(str::to_owned),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            minimum: number("minimum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            maximum: number("maximum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            unique_items: flag("uniqueItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            all_of: many("allOf")?,
            any_of: many("anyOf")?,
            one_of: many("oneOf")?,
            not: match json.get("not") {
                Some(schema @ Value::Object(_)) => Some(Schema::compile(schema, path)?),
                _ => None,
            },
        };
        Ok(bounds.says_something().then_some(bounds))
    }

    fn says_something(&self) -> bool {
        !self.one_of_values.is_empty()
            || self.pattern.is_some()
            || self.format.is_some()
            || self.min_length.is_some()
            || self.max_length.is_some()
            || self.minimum.is_some()
            || self.maximum.is_some()
            || self.multiple_of.is_some()
            || self.min_items.is_some()
            || self.max_items.is_some()
            || self.unique_items
            || self.min_properties.is_some()
            || self.max_properties.is_some()
            || !self.all_of.is_empty()
            || !self.any_of.is_empty()
            || !self.one_of.is_empty()
            || self.not.is_some()
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
