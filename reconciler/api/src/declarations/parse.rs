//! Reading one file.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::{Kind, Metadata, Recognised, metadata, recognise};
use super::finding::{Finding, Position};
use super::yaml::{Content, Document, Documents, Node, documents};
use super::{rules, walk::walk};
use crate::{Application, Device, Gateway, Name, PublicKey};

/// The most findings that are kept of one file.
const MAX_FINDINGS: usize = 1000;

/// What one file declares, whatever its path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The declarations without errors, in their order.
    pub declarations: Vec<Declaration>,
    /// What was found, in the order of lines.
    pub findings: Vec<Finding>,
    /// Objects that stand in the file and have errors.
    pub(crate) broken: Vec<Broken>,
    /// Whether a part of the file could not be read at all.
    pub(crate) is_cut: bool,
}

/// An object that has errors, as far as it can be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broken {
    pub kind: Kind,
    pub name: Name,
    pub position: Position,
    pub name_position: Position,
}

impl Parsed {
    /// Whether the file can be applied, as far as it alone can tell.
    pub fn is_valid(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }
}

/// One object and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// The object, without a namespace.
    pub object: Object,
    /// Where its document begins.
    pub position: Position,
    /// Where its name stands.
    pub name_position: Position,
    /// What it refers to.
    pub references: Vec<Reference>,
}

/// A declared object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A Device.
    Device(Box<Device>),
    /// An Application.
    Application(Box<Application>),
    /// A Gateway.
    Gateway(Box<Gateway>),
}

/// Something outside a declaration that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where the name stands.
    pub position: Position,
    /// The field it stands in.
    pub field: String,
    /// What is named.
    pub target: Target,
}

/// What a [`Reference`] names.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A Device that must be declared.
    Device(Name),
    /// A Gateway that must be declared.
    Gateway(Name),
    /// A folder that must be in the tree.
    Path(String),
    /// A key that no other Device may have.
    Key(PublicKey),
    /// The namespace, which must be the fleet's.
    Namespace(String),
}

impl Object {
    /// The kind.
    pub fn kind(&self) -> &'static str {
        self.of_kind().as_str()
    }

    /// The `apiVersion`.
    pub fn api_version(&self) -> &'static str {
        self.of_kind().api_version()
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Device(device) => &device.metadata,
            Self::Application(application) => &application.metadata,
            Self::Gateway(gateway) => &gateway.metadata,
        }
    }

    /// The object as a YAML document, in the forms that are written now.
    pub fn to_yaml(&self) -> String {
        match self {
            Self::Device(device) => print(device),
            Self::Application(application) => print(application),
            Self::Gateway(gateway) => print(gateway),
        }
    }

    pub(crate) fn of_kind(&self) -> Kind {
        match self {
            Self::Device(_) => Kind::Device,
            Self::Application(_) => Kind::Application,
            Self::Gateway(_) => Kind::Gateway,
        }
    }
}

fn print<T: Serialize>(object: &T) -> String {
    /// Line breaks to YAML 1.1, which serde_yaml's emitter folds, and to no other reader.
    const FOLDED: [(char, &str); 3] = [('\u{85}', "\\u0085"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    let yaml = serde_yaml::to_string(object).expect("an object is plain data with text keys");
    if !FOLDED.iter().any(|(character, _)| yaml.contains(*character)) {
        return yaml;
    }
    // JSON is YAML too, and these can stand in its strings only.
    let json = serde_json::to_string_pretty(object).expect("an object is plain data with text keys");
    FOLDED.iter().fold(json, |json, (character, escape)| json.replace(*character, escape))
}

/// Whether a file of the repository holds declarations: `*.yaml` and `*.yml`, but nothing whose
/// name, or a folder on the way to it, begins with a dot (`.github/workflows/ci.yml`).
pub fn is_declaration_file(path: &str) -> bool {
    let visible = path.split('/').all(|part| !part.starts_with('.') || part == ".");
    visible && (path.ends_with(".yaml") || path.ends_with(".yml"))
}

/// Reads one file. Never fails: what is wrong is in [`Parsed::findings`], all of it.
pub fn parse(bytes: &[u8]) -> Parsed {
    let Documents { documents, failure } = documents(bytes);
    let mut parsed = Parsed { is_cut: failure.is_some(), ..Parsed::default() };
    for document in documents {
        let declaration = declaration(document, &mut parsed);
        parsed.declarations.extend(declaration);
    }
    parsed.findings.extend(failure);
    parsed.findings.sort_by_key(|finding| finding.position);
    let found = parsed.findings.len();
    if found > MAX_FINDINGS {
        let last = parsed.findings[MAX_FINDINGS].position;
        // An error that is cut off must not make the file valid.
        let is_valid = parsed.is_valid();
        parsed.findings.truncate(MAX_FINDINGS);
        let more = format!("and {} findings more from here on", found - MAX_FINDINGS);
        let more = if is_valid { Finding::note(last, "", more) } else { Finding::error(last, "", more) };
        parsed.findings.push(more);
    }
    parsed
}

fn declaration(document: Document, parsed: &mut Parsed) -> Option<Declaration> {
    let Document { root: document, duplicates } = document;
    if matches!(document.content, Content::Null) {
        return None;
    }
    let kind = match recognise(&document) {
        Recognised::Declaration(kind) => kind,
        Recognised::Foreign(finding) | Recognised::Wrong(finding) => {
            parsed.findings.push(finding);
            return None;
        }
    };
    let mut findings = duplicates;
    let metadata = metadata(&document, &mut findings);
    let spec = document.value("spec");
    match spec {
        Some(spec) => {
            walk(kind.shape(), spec, "spec", &mut findings);
            rules::apply(kind, spec, &mut findings);
        }
        None => findings
            .push(Finding::error(document.at, "spec", "`spec` is missing").expected("the object's `spec` there")),
    }
    let title = metadata.name.as_ref().map(|(name, _)| format!("{} `{name}`", kind.as_str()));
    let name = metadata.name.clone();
    let is_valid = !findings.iter().any(Finding::is_error);
    let read = spec.filter(|_| is_valid).and_then(|spec| build(kind, metadata, &document, spec, &mut findings));
    parsed.findings.extend(findings.into_iter().map(|finding| Finding { object: title.clone(), ..finding }));
    if let (None, Some((name, name_position))) = (&read, name) {
        parsed.broken.push(Broken { kind, name, position: document.at, name_position });
    }
    read
}

fn build(
    kind: Kind,
    metadata: Metadata,
    document: &Node,
    spec: &Node,
    findings: &mut Vec<Finding>,
) -> Option<Declaration> {
    let references = references(kind, &metadata, spec);
    let (name, name_position) = metadata.name?;
    let meta = ObjectMeta {
        name: Some(name.to_string()),
        labels: Some(metadata.labels).filter(|labels| !labels.is_empty()),
        annotations: Some(metadata.annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    };
    let object = match kind {
        Kind::Device => {
            let spec = typed(spec, findings)?;
            Object::Device(Box::new(Device { metadata: meta, spec, status: None }))
        }
        Kind::Application => {
            let spec = typed(spec, findings)?;
            Object::Application(Box::new(Application { metadata: meta, spec, status: None }))
        }
        Kind::Gateway => {
            let spec = typed(spec, findings)?;
            Object::Gateway(Box::new(Gateway { metadata: meta, spec, status: None }))
        }
    };
    Some(Declaration { object, position: document.at, name_position, references })
}

fn typed<T: DeserializeOwned>(spec: &Node, findings: &mut Vec<Finding>) -> Option<T> {
    serde_json::from_value(spec.to_json())
        .map_err(|error| findings.push(Finding::error(spec.at, "spec", error.to_string())))
        .ok()
}

fn references(kind: Kind, metadata: &Metadata, spec: &Node) -> Vec<Reference> {
    let mut references = Vec::new();
    let mut add = |node: &Node, field: &str, target: Option<Target>| {
        references.extend(target.map(|target| Reference { position: node.at, field: field.to_owned(), target }));
    };
    if let Some((namespace, position)) = &metadata.namespace {
        let node = Node { at: *position, content: Content::Null };
        add(&node, "metadata.namespace", Some(Target::Namespace(namespace.clone())));
    }
    let name = |node: &Node| node.text().and_then(|text| text.parse::<Name>().ok());
    match kind {
        Kind::Device => {
            for field in ["gatewayId", "preferredGateway"] {
                if let Some(node) = spec.value(field) {
                    add(node, &format!("spec.{field}"), name(node).map(Target::Gateway));
                }
            }
            if let Some(node) = spec.value("publicKey") {
                let key = node.text().and_then(|text| text.parse().ok());
                add(node, "spec.publicKey", key.map(Target::Key));
            }
        }
        Kind::Application => {
            if let Some(devices) = spec.value("targetDevices") {
                let old = devices.value("deviceNames").map(Node::items).unwrap_or_default();
                for (index, node) in devices.items().iter().chain(old).enumerate() {
                    add(node, &format!("spec.targetDevices[{index}]"), name(node).map(Target::Device));
                }
            }
            if let Some(node) = spec.value("source").and_then(|source| source.value("path")) {
                let path = node.text().map(|path| Target::Path(path.to_owned()));
                add(node, "spec.source.path", path);
            }
        }
        Kind::Gateway => {}
    }
    references
}

impl Declaration {
    /// The object's name.
    pub fn name(&self) -> String {
        match &self.object {
            Object::Device(device) => device.name_any(),
            Object::Application(application) => application.name_any(),
            Object::Gateway(gateway) => gateway.name_any(),
        }
    }
}
