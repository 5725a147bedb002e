//! Comparing what stands in a file with the shape it must have.

use std::collections::BTreeMap;

use super::finding::{Finding, Position};
use super::nearest::did_you_mean;
use super::shape::{Check, Field, Shape};
use super::yaml::{Content, Node};
use crate::name::Name;
use crate::scalar::{ScalarError, shown};

/// Finds everything in `node` that is not of this shape. `field` is its path, such as `spec`.
pub(crate) fn walk(shape: &Shape, node: &Node, field: &str, findings: &mut Vec<Finding>) {
    match (shape, &node.content) {
        (Shape::Fields(fields), Content::Map(_)) => walk_fields(fields, node, field, findings),
        (Shape::Values(shape), Content::Map(entries)) => {
            for entry in entries {
                walk(shape, &entry.value, &format!("{field}.{}", entry.key), findings);
            }
        }
        (Shape::List(shape), Content::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                walk(shape, item, &format!("{field}[{index}]"), findings);
            }
        }
        (Shape::Text { check, least, most }, Content::Text(text)) => {
            let length = text.chars().count();
            if length < *least || length > *most {
                findings.push(
                    Finding::error(node.at, field, format!("the text has {length} characters")).expected(bounds(
                        *least as u64,
                        *most as u64,
                        "characters",
                    )),
                );
            }
            if let Some(check) = check {
                check_text(*check, text, node.at, field, findings);
            }
        }
        (Shape::Word(words), Content::Text(text)) => {
            if !words.contains(text) {
                findings.push(
                    Finding::error(node.at, field, format!("unknown value `{}`", shown(text)))
                        .expected(one_of(words.iter().map(String::as_str)))
                        .help_if(did_you_mean(text, words.iter().map(String::as_str))),
                );
            }
        }
        (Shape::Quantity(check), Content::Text(text)) => {
            check_text(*check, text, node.at, field, findings);
        }
        (Shape::Quantity(check), Content::Integer(number)) => {
            check_text(*check, &number.to_string(), node.at, field, findings);
        }
        (Shape::Integer { least, most }, Content::Integer(number)) => {
            if number < least || number > most {
                findings.push(
                    Finding::error(node.at, field, format!("the number `{number}` is out of range"))
                        .expected(bounds(*least, *most, "")),
                );
            }
        }
        (Shape::Boolean, Content::Boolean(_)) | (Shape::Free, Content::Map(_)) => {}
        (Shape::Targets, Content::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                walk_name(item, &format!("{field}[{index}]"), findings);
            }
        }
        (Shape::Targets, Content::Map(_)) => walk_selection(node, field, findings),
        _ => findings.push(wrong_type(shape, node, field)),
    }
}

fn walk_fields(fields: &BTreeMap<String, Field>, node: &Node, path: &str, findings: &mut Vec<Finding>) {
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        match fields.get(&entry.key) {
            Some(field) if field.nullable && matches!(entry.value.content, Content::Null) => {}
            Some(field) => walk(&field.shape, &entry.value, &path, findings),
            None => findings.push(unknown_field(&entry.key, entry.at, &path, present(fields))),
        }
    }
    for (name, field) in fields {
        if field.required && node.entry(name).is_none() {
            findings.push(
                Finding::error(node.at, format!("{path}.{name}"), format!("`{name}` is missing"))
                    .expected(format!("{} there", expectation(&field.shape))),
            );
        }
    }
}

/// The fields a person is told to write.
fn present(fields: &BTreeMap<String, Field>) -> impl Iterator<Item = &str> + Clone {
    fields.iter().filter(|(_, field)| !field.is_old).map(|(name, _)| name.as_str())
}

/// The error for a field that there is not.
pub(crate) fn unknown_field<'a>(
    key: &str,
    at: Position,
    path: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Finding {
    let help = match key {
        "<<" => Some("merge keys are not read; write the values out".to_owned()),
        _ => did_you_mean(key, known.clone()),
    };
    Finding::error(at, path, format!("unknown field `{}`", shown(key))).expected(one_of(known)).help_if(help)
}

/// The old form of `targetDevices`: its schema has no type, so its fields are known here.
fn walk_selection(node: &Node, path: &str, findings: &mut Vec<Finding>) {
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        let value = &entry.value;
        match (entry.key.as_str(), &value.content) {
            ("deviceNames", Content::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    walk_name(item, &format!("{path}[{index}]"), findings);
                }
            }
            ("deviceNames", _) => findings.push(wrong_type(&Shape::Targets, value, &path)),
            ("selectors", Content::Map(labels)) => {
                let text = Shape::Text { check: None, least: 0, most: 63 };
                for label in labels {
                    walk(&text, &label.value, &format!("{path}.{}", label.key), findings);
                }
            }
            ("selectors", _) => findings.push(wrong_type(&Shape::Free, value, &path)),
            ("allDevices", _) => walk(&Shape::Boolean, value, &path, findings),
            _ => {
                let known = ["deviceNames", "selectors", "allDevices"].into_iter();
                findings.push(unknown_field(&entry.key, entry.at, &path, known));
            }
        }
    }
}

fn walk_name(node: &Node, field: &str, findings: &mut Vec<Finding>) {
    let name: Check = |text| text.parse::<Name>().map(drop);
    walk(&Shape::Text { check: Some(name), least: 0, most: usize::MAX }, node, field, findings);
}

fn check_text(check: Check, text: &str, at: Position, field: &str, findings: &mut Vec<Finding>) {
    if let Err(ScalarError { expected, found }) = check(text) {
        findings.push(Finding::error(at, field, format!("invalid value `{found}`")).expected(expected));
    }
}

/// The error for a value of another type.
pub(crate) fn wrong_type(shape: &Shape, node: &Node, field: &str) -> Finding {
    let help = match (shape, &node.content) {
        (
            Shape::Text { .. } | Shape::Word(_) | Shape::Quantity(_),
            Content::Integer(_) | Content::Float(_) | Content::Boolean(_),
        ) => Some(format!("quote it: `\"{}\"`", scalar(node))),
        (Shape::Integer { .. }, Content::Text(text)) if text.parse::<i64>().is_ok() => {
            Some(format!("write it without quotes: `{text}`"))
        }
        (Shape::Boolean, Content::Text(text)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => Some("write `true`".to_owned()),
            "no" | "off" | "n" | "false" => Some("write `false`".to_owned()),
            _ => None,
        },
        (Shape::List(_) | Shape::Targets, Content::Text(text)) => Some(format!("write a list: `[{text}]`")),
        _ => None,
    };
    Finding::error(node.at, field, format!("found {}", node.describe())).expected(expectation(shape)).help_if(help)
}

fn scalar(node: &Node) -> String {
    match &node.content {
        Content::Integer(value) => value.to_string(),
        Content::Float(value) => value.to_string(),
        Content::Boolean(value) => value.to_string(),
        _ => String::new(),
    }
}

/// What a shape expects, ready to follow `expected `.
fn expectation(shape: &Shape) -> String {
    match shape {
        Shape::Fields(fields) => {
            let known = present(fields);
            format!("a map with fields of {}", join(known))
        }
        Shape::Values(inner) => format!("a map whose values are {}", expectation(inner)),
        Shape::Free => "a map".to_owned(),
        Shape::List(inner) => format!("a list, each item {}", expectation(inner)),
        // What a check expects is what it says of something it refuses.
        Shape::Text { check: Some(check), .. } | Shape::Quantity(check) => {
            check("\u{0}").map_or_else(|error| error.expected, |()| "text".to_owned())
        }
        Shape::Text { check: None, .. } => "text".to_owned(),
        Shape::Word(words) => one_of(words.iter().map(String::as_str)),
        Shape::Integer { least, most } => bounds(*least, *most, "").replacen("a number", "a whole number", 1),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Targets => "a list of names of Devices".to_owned(),
    }
}

fn bounds<N: Into<i128> + Copy>(least: N, most: N, unit: &str) -> String {
    let (least, most): (i128, i128) = (least.into(), most.into());
    let what = if unit.is_empty() { "a number".to_owned() } else { "text".to_owned() };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    if most >= i128::from(i64::MAX) {
        format!("{what} of at least {least}{unit}")
    } else {
        format!("{what} of {least} to {most}{unit}")
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", join(words))
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
