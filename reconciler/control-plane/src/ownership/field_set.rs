//! Sets of fields: who owns what, in the form `FieldsV1` has.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::Schema;

/// A scalar in a path: the value of a key field, or an element of a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scalar {
    Integer(i64),
    /// Any other number, by its text.
    Number(String),
    String(String),
    Boolean(bool),
    Null,
}

impl Scalar {
    /// `None` for an array or an object.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Boolean(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Number(number.to_string()),
            },
            Value::String(text) => Self::String(text.clone()),
            Value::Array(_) | Value::Object(_) => return None,
        })
    }

    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(flag) => (*flag).into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Number(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Self::String(text) => text.clone().into(),
        }
    }
}

/// One step from an object to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathElement {
    /// A field, or an entry of a map (`f:name`).
    Field(String),
    /// The item of a map list with these key fields, sorted by name (`k:{"name":"x"}`).
    Key(Vec<(String, Scalar)>),
    /// The element of a set (`v:"x"`).
    Value(Scalar),
    /// An item by its position (`i:0`).
    Index(usize),
}

impl PathElement {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = (text.get(..2)?, text.get(2..)?);
        Some(match kind {
            "f:" => Self::Field(rest.to_owned()),
            "v:" => Self::Value(Scalar::of(&serde_json::from_str(rest).ok()?)?),
            "i:" => Self::Index(rest.parse().ok()?),
            "k:" => {
                let map: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                let fields = map.into_iter().map(|(name, value)| Some((name, Scalar::of(&value)?)));
                Self::Key(fields.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", value.json()),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.json()))
                    .collect();
                format!("k:{{{}}}", fields.join(","))
            }
        }
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(out, ".{name}"),
            Self::Value(value) => write!(out, "[={}]", value.json()),
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={}", value.json())).collect();
                write!(out, "[{}]", fields.join(","))
            }
        }
    }
}

/// A set of paths, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<PathElement, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set (children may be besides).
    member: bool,
    children: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A set of whole named fields: `["metadata", "name"]` stands for `.metadata.name`.
    pub(crate) fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| PathElement::Field((*name).to_owned())).collect();
            set.insert(&path);
        }
        set
    }

    pub(crate) fn insert(&mut self, path: &[PathElement]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        if !self.nodes.contains_key(first) {
            self.nodes.insert(first.clone(), Node::default());
        }
        let node = self.nodes.get_mut(first).expect("inserted above");
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// Whether the path of this one element is in the set.
    pub(crate) fn has(&self, element: &PathElement) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// What the set holds below an element.
    pub(crate) fn below(&self, element: &PathElement) -> Option<&FieldSet> {
        self.nodes.get(element).map(|node| &node.children).filter(|children| !children.is_empty())
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.extend(other);
        out
    }

    fn extend(&mut self, other: &Self) {
        for (element, theirs) in &other.nodes {
            match self.nodes.get_mut(element) {
                None => {
                    self.nodes.insert(element.clone(), theirs.clone());
                }
                Some(ours) => {
                    ours.member |= theirs.member;
                    ours.children.extend(&theirs.children);
                }
            }
        }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, ours)| {
            let theirs = other.nodes.get(element)?;
            let node =
                Node { member: ours.member && theirs.member, children: ours.children.intersection(&theirs.children) };
            (!node.is_empty()).then(|| (element.clone(), node))
        });
        Self { nodes: nodes.collect() }
    }

    /// The paths that are not paths of `other`; what lies below a removed path stays.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.without(other, false)
    }

    /// The paths that are neither paths of `other` nor below one.
    pub(crate) fn recursive_difference(&self, other: &Self) -> Self {
        self.without(other, true)
    }

    fn without(&self, other: &Self, recursive: bool) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, ours)| {
            let Some(theirs) = other.nodes.get(element) else {
                return Some((element.clone(), ours.clone()));
            };
            if recursive && theirs.member {
                return None;
            }
            let node = Node {
                member: ours.member && !theirs.member,
                children: ours.children.without(&theirs.children, recursive),
            };
            (!node.is_empty()).then(|| (element.clone(), node))
        });
        Self { nodes: nodes.collect() }
    }

    /// Adds every named field of the schema that has something of the set below it.
    pub(crate) fn with_named_parents(&self, schema: Option<&Schema>) -> Self {
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (child, named) = match (element, schema) {
                (PathElement::Field(name), Some(schema)) => schema.field(name),
                (PathElement::Key(_), Some(schema)) => (schema.items.as_deref(), false),
                _ => (None, false),
            };
            let node = Node { member: node.member || named, children: node.children.with_named_parents(child) };
            (element.clone(), node)
        });
        Self { nodes: nodes.collect() }
    }

    /// Every path of the set, as text (`.spec.items[name="x"].value`), in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_paths("", &mut out);
        out
    }

    fn collect_paths(&self, prefix: &str, out: &mut Vec<String>) {
        // Members of one level first, then what lies deeper, as structured-merge-diff lists them.
        for (element, node) in &self.nodes {
            if node.member {
                out.push(format!("{prefix}{element}"));
            }
        }
        for (element, node) in &self.nodes {
            node.children.collect_paths(&format!("{prefix}{element}"), out);
        }
    }

    /// The `FieldsV1` form.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.json_map())
    }

    fn json_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (element, node) in &self.nodes {
            let mut inner = Map::new();
            if node.member && !node.children.is_empty() {
                inner.insert(".".to_owned(), Value::Object(Map::new()));
            }
            inner.extend(node.children.json_map());
            map.insert(element.text(), Value::Object(inner));
        }
        map
    }

    /// Reads the `FieldsV1` form; `None` if it is none.
    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let mut nodes = BTreeMap::new();
        for (key, inner) in json.as_object()? {
            if key == "." {
                continue;
            }
            let inner = inner.as_object()?;
            let node = Node {
                member: inner.is_empty() || inner.contains_key("."),
                children: Self::from_json(&Value::Object(inner.clone()))?,
            };
            nodes.insert(PathElement::parse(key)?, node);
        }
        Some(Self { nodes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(json: Value) -> FieldSet {
        FieldSet::from_json(&json).unwrap()
    }

    #[test]
    fn fields_v1_reads_back_as_it_was_written() {
        let json = json!({"f:spec": {".": {}, "f:a": {}, "f:l": {
            "k:{\"name\":\"x\",\"port\":1}": {".": {}, "f:name": {}}, "v:\"s\"": {}, "v:2": {}, "i:3": {}}}});
        assert_eq!(set(json.clone()).to_json(), json);
    }

    #[test]
    fn broken_fields_v1_is_none() {
        for broken in
            [json!([]), json!({"x": {}}), json!({"f:a": 1}), json!({"k:{": {}}), json!({"i:x": {}}), json!({"é": {}})]
        {
            assert_eq!(FieldSet::from_json(&broken), None, "{broken}");
        }
    }

    #[test]
    fn key_fields_are_sorted_so_that_equal_keys_are_equal() {
        assert_eq!(set(json!({"k:{\"b\":1,\"a\":2}": {}})), set(json!({"k:{\"a\":2,\"b\":1}": {}})));
    }

    #[test]
    fn union_has_what_either_has() {
        let a = set(json!({"f:a": {"f:x": {}}}));
        let b = set(json!({"f:a": {".": {}, "f:y": {}}, "f:b": {}}));
        assert_eq!(a.union(&b), set(json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}})));
    }

    #[test]
    fn intersection_has_what_both_have() {
        let a = set(json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}}));
        let b = set(json!({"f:a": {"f:x": {}}, "f:b": {}}));
        assert_eq!(a.intersection(&b), set(json!({"f:a": {"f:x": {}}})));
        assert!(a.intersection(&set(json!({"f:b": {}}))).is_empty());
    }

    #[test]
    fn difference_takes_the_path_and_recursive_difference_what_is_below_too() {
        let a = set(json!({"f:a": {".": {}, "f:x": {}}}));
        let b = set(json!({"f:a": {}}));
        assert_eq!(a.difference(&b), set(json!({"f:a": {"f:x": {}}})));
        assert!(a.recursive_difference(&b).is_empty());
        assert!(a.difference(&a).is_empty());
    }

    #[test]
    fn named_parents_become_members_and_map_entries_do_not() {
        let schema = Schema::compile(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"m": {
                "type": "object", "additionalProperties": {"type": "object", "properties": {"n": {"type": "string"}}}}}}}}),
            "",
        )
        .unwrap();
        let fields = set(json!({"f:spec": {"f:m": {"f:key": {"f:n": {}}}}}));
        assert_eq!(
            fields.with_named_parents(Some(&schema)),
            set(json!({"f:spec": {".": {}, "f:m": {".": {}, "f:key": {"f:n": {}}}}}))
        );
    }

    #[test]
    fn paths_read_as_kubernetes_writes_them() {
        let fields =
            set(json!({"f:spec": {"f:l": {"k:{\"name\":\"x\"}": {".": {}, "f:v": {}}, "v:\"s\"": {}}, "f:a": {}}}));
        assert_eq!(fields.paths(), [".spec.a", ".spec.l[name=\"x\"]", ".spec.l[=\"s\"]", ".spec.l[name=\"x\"].v"]);
    }
}
