//! YAML with the place of every key and value.
//!
//! Bounded in depth and in what aliases may unfold to, so that a small file stays small.
//! Plain scalars are read by the YAML 1.2 core schema, as serde_yaml does.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use super::MAX_FILE;
use super::finding::{Finding, Position};
use crate::scalar::shown;

/// How deeply lists and maps may lie in one another.
const MAX_DEPTH: usize = 64;
/// How much aliases may unfold to in one file, in bytes of text plus 32 a node.
const MAX_UNFOLDED: usize = 4 << 20;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: Position,
    pub content: Content,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub at: Position,
    pub value: Node,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Node {
    /// The entry of a key, if this is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a key; a null counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !matches!(node.content, Content::Null))
    }

    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, for an error: `the number 5`, `a list`.
    pub(crate) fn describe(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Boolean(value) => format!("`{value}`"),
            Content::Integer(value) => format!("the number `{value}`"),
            Content::Float(value) => format!("the number `{value}`"),
            Content::Text(text) => format!("the text `{}`", shown(text)),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }

    /// The value without its places. A number JSON has no form for becomes null.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Boolean(value) => Value::Bool(*value),
            Content::Integer(value) => Value::from(*value),
            Content::Float(value) => Value::from(*value),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
        }
    }

    fn cost(&self) -> usize {
        32 + match &self.content {
            Content::Text(text) => text.len(),
            Content::List(items) => items.iter().map(Node::cost).sum(),
            Content::Map(entries) => entries.iter().map(|e| e.key.len() + e.value.cost()).sum(),
            _ => 0,
        }
    }
}

/// A file as far as it can be read.
#[derive(Default)]
pub(crate) struct Documents {
    pub documents: Vec<Document>,
    /// Why the rest of the file could not be read, if there is a rest.
    pub failure: Option<Finding>,
}

/// One document of a file.
pub(crate) struct Document {
    pub root: Node,
    /// Keys that stand twice in a map; they make the document ambiguous.
    pub duplicates: Vec<Finding>,
}

/// The documents of a file.
pub(crate) fn documents(bytes: &[u8]) -> Documents {
    let unreadable = |finding| Documents { documents: Vec::new(), failure: Some(finding) };
    if bytes.len() > MAX_FILE {
        return unreadable(
            Finding::error(Position::START, "", format!("the file has {} bytes", bytes.len()))
                .expected(format!("at most {MAX_FILE} bytes"))
                .help("build larger modules from `source`, or keep large data out of declarations"),
        );
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let at = end_of(&bytes[..error.valid_up_to()]);
            return unreadable(Finding::error(at, "", "the file is not UTF-8").expected("text in UTF-8"));
        }
    };
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    let mut failure = None;
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.event(event, span.start),
            Err(error) => Err(Box::new(syntax(&error))),
        };
        // After a syntax error nothing that follows means what it says.
        if let Err(error) = step {
            failure = Some(*error);
            break;
        }
    }
    Documents { documents: builder.documents, failure }
}

fn syntax(error: &ScanError) -> Finding {
    let finding = Finding::error(position(*error.marker()), "", format!("YAML: {}", error.info()));
    let help = match error.info() {
        info if info.contains("tab") => Some("indent with spaces"),
        info if info.contains("simple key") || info.contains("mapping values are not allowed") => Some(
            "a key needs `: ` after it and its value on the same line or indented below; quote text that holds `: `",
        ),
        _ => None,
    };
    finding.help_if(help.map(str::to_owned))
}

fn position(marker: Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(marker.line().max(1)), column: number(marker.col() + 1) }
}

/// The position just behind some valid UTF-8.
fn end_of(valid: &[u8]) -> Position {
    let text = std::str::from_utf8(valid).unwrap_or_default();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position {
        line: number(text.matches('\n').count() + 1),
        column: number(text.rsplit('\n').next().unwrap_or_default().chars().count() + 1),
    }
}

/// A list or map that is not complete yet.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
    /// A key whose value comes next.
    key: Option<(String, Position)>,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Document>,
    /// Of the document that is being read.
    duplicates: Vec<Finding>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    unfolded: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Marker) -> Result<(), Box<Finding>> {
        let at = position(at);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = scalar(&text, style, tag.as_deref(), at)?;
                // As a key, a plain scalar is its text: `1: x` and `true: x` have keys `1` and `true`.
                self.complete(Node { at, content }, anchor, Some(&text))
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(at, anchor, Content::List(Vec::new()), tag.as_deref(), "seq")
            }
            Event::MappingStart(anchor, tag) => self.begin(at, anchor, Content::Map(Vec::new()), tag.as_deref(), "map"),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, content, .. }) = self.open.pop() else { return Ok(()) };
                let node = Node { at, content };
                self.find_duplicates(&node);
                self.complete(node, anchor, None)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Finding::error(at, "", "an alias within its own anchor").into());
                };
                self.unfolded += node.cost();
                if self.unfolded > MAX_UNFOLDED {
                    return Err(Finding::error(at, "", "the file's aliases unfold to too much")
                        .expected(format!("at most {MAX_UNFOLDED} bytes"))
                        .help("write the values out")
                        .into());
                }
                let node = Node { at, content: node.content.clone() };
                let text = node.text().map(str::to_owned);
                self.complete(node, 0, text.as_deref())
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        anchor: usize,
        content: Content,
        tag: Option<&Tag>,
        core: &str,
    ) -> Result<(), Box<Finding>> {
        if tag.is_some_and(|tag| !(tag.is_yaml_core_schema() && tag.suffix == core)) {
            return Err(unknown_tag(at));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Finding::error(at, "", "lists and maps lie too deeply in one another")
                .expected(format!("at most {MAX_DEPTH} levels"))
                .into());
        }
        self.open.push(Open { at, anchor, content, key: None });
        Ok(())
    }

    /// Puts a complete node where it belongs. `text` is the scalar's text, if it is one.
    fn complete(&mut self, node: Node, anchor: usize, text: Option<&str>) -> Result<(), Box<Finding>> {
        if anchor != 0 {
            // Kept anchors are copies: they count as well.
            self.unfolded += node.cost();
            if self.unfolded > MAX_UNFOLDED {
                return Err(Finding::error(node.at, "", "the file's anchors hold too much")
                    .expected(format!("at most {MAX_UNFOLDED} bytes"))
                    .into());
            }
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => {
                let duplicates = std::mem::take(&mut self.duplicates);
                self.documents.push(Document { root: node, duplicates });
            }
            Some(Open { content: Content::Map(entries), key, .. }) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, value: node }),
                None => {
                    let Some(text) = text else {
                        return Err(Finding::error(node.at, "", "a key is a list or a map")
                            .expected("text as a key")
                            .into());
                    };
                    *key = Some((text.to_owned(), node.at));
                }
            },
            Some(Open { content: Content::List(items), .. }) => items.push(node),
            Some(_) => {}
        }
        Ok(())
    }

    fn find_duplicates(&mut self, node: &Node) {
        let mut entries: Vec<&Entry> = node.entries().iter().collect();
        entries.sort_by(|a, b| (&a.key, a.at).cmp(&(&b.key, b.at)));
        for pair in entries.windows(2) {
            if pair[0].key == pair[1].key {
                let first = pair[0].at;
                self.duplicates.push(
                    Finding::error(pair[1].at, "", format!("duplicate key `{}`", pair[1].key))
                        .help(format!("it stands in line {} already; remove one of them", first.line)),
                );
            }
        }
    }
}

fn unknown_tag(at: Position) -> Box<Finding> {
    let error = Finding::error(at, "", "a YAML tag that is not read here")
        .expected("plain values")
        .help("remove the `!...` before the value");
    Box::new(error)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Content, Box<Finding>> {
    let plain = || {
        if style == ScalarStyle::Plain { resolve(text) } else { Content::Text(text.to_owned()) }
    };
    let Some(tag) = tag else { return Ok(plain()) };
    if !tag.is_yaml_core_schema() {
        // `! text` is the non-specific tag: text.
        return if tag.handle.is_empty() && tag.suffix == "!" {
            Ok(Content::Text(text.to_owned()))
        } else {
            Err(unknown_tag(at))
        };
    }
    match (tag.suffix.as_str(), resolve(text)) {
        ("str", _) => Ok(Content::Text(text.to_owned())),
        ("null", content @ Content::Null)
        | ("bool", content @ Content::Boolean(_))
        | ("int", content @ Content::Integer(_))
        | ("float", content @ Content::Float(_)) => Ok(content),
        ("float", Content::Integer(value)) => Ok(Content::Float(value as f64)),
        _ => Err(unknown_tag(at)),
    }
}

/// A plain scalar by the YAML 1.2 core schema.
fn resolve(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Boolean(true),
        "false" | "False" | "FALSE" => return Content::Boolean(false),
        _ => {}
    }
    number(text).unwrap_or_else(|| Content::Text(text.to_owned()))
}

fn number(text: &str) -> Option<Content> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Content::Integer);
    if let Some(digits) = text.strip_prefix("0x") {
        return digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| radix(digits, 16)).flatten();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits.bytes().all(|b| b.is_ascii_digit()).then(|| radix(digits, 8)).flatten();
    }
    if unsigned.is_empty() || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        // `007` is text to serde_yaml as well; larger than 64 bits falls through to a float.
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return None;
        }
        if let Ok(value) = text.parse() {
            return Some(Content::Integer(value));
        }
    }
    if !unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Content::Float)
}
