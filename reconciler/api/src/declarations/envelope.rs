//! What surrounds a spec: `apiVersion`, `kind` and `metadata`.

use std::collections::BTreeMap;

use super::finding::{Finding, Position};
use super::nearest::did_you_mean;
use super::shape::{APPLICATION, DEVICE, GATEWAY, Shape};
use super::walk::{unknown_field, walk};
use super::yaml::{Content, Entry, Node};
use crate::name::Name;

/// A kind that a declaration may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Device,
    Application,
    Gateway,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Device, Self::Application, Self::Gateway];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Device => "Device",
            Self::Application => "Application",
            Self::Gateway => "Gateway",
        }
    }

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::Device => "wasmbed.github.io/v0",
            Self::Application => "wasmbed.github.io/v1alpha1",
            Self::Gateway => "wasmbed.io/v1",
        }
    }

    pub(crate) fn shape(self) -> &'static Shape {
        match self {
            Self::Device => &DEVICE,
            Self::Application => &APPLICATION,
            Self::Gateway => &GATEWAY,
        }
    }
}

/// Kinds of Wasmbed that are never declared in a repository, and who writes them.
const NOT_DECLARED: [(&str, &str); 3] = [
    (
        "Fleet",
        "an administrator applies it with `kubectl`, or `wasmbed up` does: a repository cannot name what follows it",
    ),
    ("Release", "the reconciler writes it when it signs what it built"),
    ("Rollout", "the reconciler writes it; use `spec.rollout` of the Application"),
];

/// What a document turned out to be.
pub(crate) enum Recognised {
    /// A declaration of this kind.
    Declaration(Kind),
    /// Something that is none of Wasmbed's business.
    Foreign(Finding),
    /// Nothing that can be read further.
    Wrong(Finding),
}

pub(crate) fn recognise(document: &Node) -> Recognised {
    if !matches!(document.content, Content::Map(_)) {
        return Recognised::Foreign(ignored(document.at, document.describe()));
    }
    let text = |key| document.value(key).map(|node| (node, node.text()));
    let (version, kind) = match (text("apiVersion"), text("kind")) {
        (Some((version, Some(group))), Some((kind, Some(name)))) => ((version.at, group), (kind.at, name)),
        (None, None) if document.entry("metadata").is_none() => {
            return Recognised::Foreign(ignored(document.at, "it has no `apiVersion` and no `kind`".into()));
        }
        (Some((version, Some(group))), None) if !is_ours(group) => {
            return Recognised::Foreign(ignored(version.at, format!("it is of `{group}`")));
        }
        (version, kind) => return Recognised::Wrong(incomplete(document, version, kind)),
    };
    if !is_ours(version.1) {
        // `Device` of a misspelt group would be ignored without a word.
        return match Kind::ALL.into_iter().find(|known| known.as_str() == kind.1) {
            Some(known) if near_ours(version.1) => Recognised::Wrong(wrong_version(known, version)),
            _ => Recognised::Foreign(ignored(version.0, format!("it is a `{}` of `{}`", kind.1, version.1))),
        };
    }
    if let Some((name, who)) = NOT_DECLARED.into_iter().find(|(name, _)| *name == kind.1) {
        return Recognised::Wrong(
            Finding::error(kind.0, "kind", format!("a {name} is not declared in a repository")).help(who),
        );
    }
    match Kind::ALL.into_iter().find(|known| known.as_str() == kind.1) {
        Some(known) if known.api_version() == version.1 => Recognised::Declaration(known),
        Some(known) => Recognised::Wrong(wrong_version(known, version)),
        None => {
            let known = Kind::ALL.map(Kind::as_str);
            Recognised::Wrong(
                Finding::error(kind.0, "kind", format!("unknown kind `{}`", kind.1))
                    .expected("one of `Device`, `Application`, `Gateway`")
                    .help_if(did_you_mean(kind.1, known)),
            )
        }
    }
}

fn is_ours(version: &str) -> bool {
    matches!(version.split('/').next(), Some("wasmbed.github.io" | "wasmbed.io"))
}

fn near_ours(version: &str) -> bool {
    did_you_mean(version, Kind::ALL.map(Kind::api_version)).is_some() || version.contains("wasmbed")
}

fn ignored(at: Position, why: String) -> Finding {
    Finding::note(at, "", format!("the document is ignored: {why}"))
}

fn wrong_version(kind: Kind, (at, found): (Position, &str)) -> Finding {
    Finding::error(at, "apiVersion", format!("`{}` is not of `{found}`", kind.as_str()))
        .expected(format!("`{}`", kind.api_version()))
        .help(format!("write `apiVersion: {}`", kind.api_version()))
}

type Found<'a> = Option<(&'a Node, Option<&'a str>)>;

fn incomplete(document: &Node, version: Found<'_>, kind: Found<'_>) -> Finding {
    let (name, found) = match (version, kind) {
        (Some((_, Some(_))), found) => ("kind", found),
        (found, _) => ("apiVersion", found),
    };
    let finding = match found {
        Some((node, _)) => Finding::error(node.at, name, format!("found {}", node.describe())),
        None => Finding::error(document.at, name, format!("`{name}` is missing")),
    };
    let of_kind = kind.and_then(|(_, kind)| kind);
    let known = Kind::ALL.into_iter().find(|known| Some(known.as_str()) == of_kind);
    match known {
        Some(kind) => finding.expected(format!("`{}`", kind.api_version())),
        None => finding.expected("text such as `apiVersion: wasmbed.github.io/v0` and `kind: Device`"),
    }
}

/// The metadata of a declaration.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub name: Option<(Name, Position)>,
    pub namespace: Option<(String, Position)>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// Labels and annotations below this are Wasmbed's own.
const RESERVED: [&str; 2] = ["wasmbed.github.io/", "wasmbed.io/"];

pub(crate) fn metadata(document: &Node, findings: &mut Vec<Finding>) -> Metadata {
    let mut metadata = Metadata::default();
    let known = ["apiVersion", "kind", "metadata", "spec", "status"].into_iter();
    for entry in document.entries() {
        if !known.clone().any(|name| name == entry.key) {
            findings.push(unknown_field(&entry.key, entry.at, &entry.key, known.clone()));
        }
    }
    let Some(node) = document.value("metadata") else {
        findings
            .push(Finding::error(document.at, "metadata", "`metadata` is missing").expected("`metadata: {name: ...}`"));
        return metadata;
    };
    if !matches!(node.content, Content::Map(_)) {
        findings.push(super::walk::wrong_type(&Shape::Free, node, "metadata"));
        return metadata;
    }
    for entry in node.entries() {
        let value = &entry.value;
        match entry.key.as_str() {
            "name" => metadata.name = name(value, findings),
            "namespace" => {
                if let Some(text) = value.text() {
                    metadata.namespace = Some((text.to_owned(), value.at));
                } else {
                    let text = Shape::Text { check: None, least: 1, most: 63 };
                    walk(&text, value, "metadata.namespace", findings);
                }
            }
            "labels" => metadata.labels = strings(entry, true, findings),
            "annotations" => metadata.annotations = strings(entry, false, findings),
            key => findings.push(unknown_metadata(key, entry.at)),
        }
    }
    if node.entry("name").is_none() {
        findings
            .push(Finding::error(node.at, "metadata.name", "`name` is missing").expected("the object's name there"));
    }
    metadata
}

fn name(node: &Node, findings: &mut Vec<Finding>) -> Option<(Name, Position)> {
    let shape = Shape::Text { check: Some(|text| text.parse::<Name>().map(drop)), least: 0, most: usize::MAX };
    walk(&shape, node, "metadata.name", findings);
    Some((node.text()?.parse().ok()?, node.at))
}

fn unknown_metadata(key: &str, at: Position) -> Finding {
    const SERVERS: [&str; 9] = [
        "creationTimestamp",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "uid",
    ];
    let known = ["name", "namespace", "labels", "annotations"].into_iter();
    let finding = unknown_field(key, at, &format!("metadata.{key}"), known);
    if SERVERS.contains(&key) { finding.help("Kubernetes sets it; leave it out") } else { finding }
}

fn strings(entry: &Entry, labels: bool, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let field = format!("metadata.{}", entry.key);
    let text = Shape::Text { check: None, least: 0, most: usize::MAX };
    if matches!(entry.value.content, Content::Null) {
        return BTreeMap::new();
    }
    walk(&Shape::Values(Box::new(text)), &entry.value, &field, findings);
    for Entry { key, at, value } in entry.value.entries() {
        let field = format!("{field}.{key}");
        if RESERVED.iter().any(|prefix| key.starts_with(prefix)) {
            findings.push(
                Finding::error(*at, &field, format!("`{key}` is set by Wasmbed"))
                    .help("use a prefix of your own, or none"),
            );
        } else if !is_label_key(key) {
            findings.push(
                Finding::error(*at, &field, format!("invalid key `{key}`"))
                    .expected("at most 63 letters, digits, `-`, `_` and `.`, after an optional `domain/`"),
            );
        }
        if labels && value.text().is_some_and(|value| !is_label_value(value)) {
            findings
                .push(Finding::error(value.at, &field, format!("invalid label value: {}", value.describe())).expected(
                    "at most 63 letters, digits, `-`, `_` and `.` that begin and end with a letter or digit",
                ));
        }
    }
    let entries = entry.value.entries().iter();
    entries.filter_map(|e| Some((e.key.clone(), e.value.text()?.to_owned()))).collect()
}

/// Whether Kubernetes takes a text as the key of a label or annotation.
pub(crate) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let subdomain = |text: &str| {
        (1..=253).contains(&text.len()) && text.split('.').all(|part| part.len() <= 63 && part.parse::<Name>().is_ok())
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(subdomain)
}

/// Whether Kubernetes takes a text as the value of a label.
pub(crate) fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    value.len() <= 63
        && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_alphanumeric)
}
