//! Changing one field of a declaration and nothing else of its file.

use super::envelope::{Kind, Recognised, recognise};
use super::yaml::{Content, Documents, Node, documents};
use crate::key::PublicKey;
use crate::name::Name;

/// Why a file was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file does not declare the Device, or cannot be read.
    #[error("the file declares no Device `{0}` that can be read")]
    NoDevice(String),
    /// The Device has a key already.
    #[error("Device `{0}` has a public key already (line {1}); remove it first to give the device another one")]
    HasKey(String, u32),
    /// The file is written in a way that cannot be changed safely.
    #[error("the spec of Device `{0}` is written in a way that cannot be changed safely; add `publicKey: {1}` by hand")]
    ByHand(String, String),
}

/// Writes the public key of a Device into the file that declares it; comments and layout stay.
///
/// # Errors
/// The Device is not there, has a key, or the file cannot be changed safely.
pub fn set_public_key(bytes: &[u8], device: &Name, key: &PublicKey) -> Result<Vec<u8>, EditError> {
    let no_device = || EditError::NoDevice(device.to_string());
    let by_hand = || EditError::ByHand(device.to_string(), key.to_string());
    let Documents { documents, failure } = documents(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| no_device())?;
    let is_it = |document: &&Node| {
        matches!(recognise(document), Recognised::Declaration(Kind::Device))
            && document.value("metadata").and_then(|m| m.value("name")).and_then(Node::text) == Some(device.as_str())
    };
    let document = documents
        .iter()
        .map(|document| &document.root)
        .find(is_it)
        .filter(|_| failure.is_none())
        .ok_or_else(no_device)?;
    let spec = document.entry("spec").ok_or_else(no_device)?;
    if let Some(entry) = spec.value.entry("publicKey") {
        return Err(EditError::HasKey(device.to_string(), entry.at.line));
    }
    let line = |number: u32| text.split_inclusive('\n').take(number as usize - 1).map(str::len).sum::<usize>();
    let edited = match (&spec.value.content, spec.value.entries().first()) {
        // `spec:` in a line of its own, the fields below.
        (Content::Map(_), Some(first)) if first.at.line > spec.at.line && !is_flow(text, &spec.value) => {
            let at = line(first.at.line);
            let indent = " ".repeat(first.at.column as usize - 1);
            if !text[at..].starts_with(&indent) {
                return Err(by_hand());
            }
            format!("{}{indent}publicKey: {key}\n{}", &text[..at], &text[at..])
        }
        // `spec: {...}`.
        (Content::Map(entries), _) if is_flow(text, &spec.value) => {
            let at = offset(text, &spec.value).ok_or_else(by_hand)? + 1;
            let comma = if entries.is_empty() { "" } else { ", " };
            format!("{}publicKey: {key}{comma}{}", &text[..at], &text[at..])
        }
        _ => return Err(by_hand()),
    };
    // What was written must be read as meant, and nothing else may have changed.
    let (before, after) = (super::parse(bytes), super::parse(edited.as_bytes()));
    let mut expected = before.declarations;
    for declaration in &mut expected {
        if let super::Object::Device(found) = &mut declaration.object
            && found.metadata.name.as_deref() == Some(device.as_str())
        {
            found.spec.public_key = Some(*key);
        }
    }
    let objects = |declarations: &[super::Declaration]| {
        declarations.iter().map(|declaration| declaration.object.clone()).collect::<Vec<_>>()
    };
    if objects(&expected) == objects(&after.declarations) && !expected.is_empty() {
        Ok(edited.into_bytes())
    } else {
        Err(by_hand())
    }
}

fn offset(text: &str, node: &Node) -> Option<usize> {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(node.at.line as usize - 1).map(str::len).sum();
    let line = lines.next()?;
    let column = line.char_indices().nth(node.at.column as usize - 1)?.0;
    Some(before + column)
}

fn is_flow(text: &str, node: &Node) -> bool {
    offset(text, node).is_some_and(|at| text[at..].starts_with('{'))
}
