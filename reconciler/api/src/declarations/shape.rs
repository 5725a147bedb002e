//! The shape a spec must have, made from the schema its Rust type has.
//!
//! One source for both: what the API server is told and what the parser accepts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use k8s_openapi::jiff::Timestamp;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::capability::{HostPort, PinName, TopicPattern};
use crate::scalar::ScalarError;
use crate::{ApplicationSpec, Cpu, DeviceSpec, Digest, Duration, Endpoint, GatewaySpec, Memory, Name, PublicKey};

/// Whether a text is what it should be.
pub(crate) type Check = fn(&str) -> Result<(), ScalarError>;

#[derive(Debug)]
pub(crate) enum Shape {
    /// A map of known fields.
    Fields(BTreeMap<String, Field>),
    /// A map of any keys.
    Values(Box<Shape>),
    List(Box<Shape>),
    Text {
        check: Option<Check>,
        least: usize,
        most: usize,
    },
    Word(Vec<String>),
    /// Text, or a whole number that stands for its digits.
    Quantity(Check),
    Integer {
        least: i64,
        most: i64,
    },
    Boolean,
    /// A map of anything.
    Free,
    /// A list of names, or the old map.
    Targets,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub shape: Shape,
    pub required: bool,
    /// Whether a null is the same as leaving it out.
    pub nullable: bool,
    /// Whether this is an old form of another field, which nobody is told to write.
    pub is_old: bool,
}

pub(crate) static DEVICE: LazyLock<Shape> = LazyLock::new(of::<DeviceSpec>);
pub(crate) static APPLICATION: LazyLock<Shape> = LazyLock::new(of::<ApplicationSpec>);
pub(crate) static GATEWAY: LazyLock<Shape> = LazyLock::new(of::<GatewaySpec>);

/// The shape of a type, by the same settings that kube derives CRDs with.
fn of<T: JsonSchema>() -> Shape {
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString)
        .into_generator();
    shape(generator.into_root_schema_for::<T>().as_value())
}

fn shape(schema: &Value) -> Shape {
    if let Some(name) = schema["x-wasmbed-shape"].as_str() {
        let length = (schema["minLength"].as_u64(), schema["maxLength"].as_u64());
        return named(name, length);
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        return Shape::Word(words);
    }
    match schema["type"].as_str() {
        Some("object") => match (&schema["properties"], &schema["additionalProperties"]) {
            (Value::Object(properties), _) => {
                let required = schema["required"].as_array();
                let field = |(name, schema): (&String, &Value)| {
                    let is_required = required.is_some_and(|names| names.iter().any(|n| n == name.as_str()));
                    let nullable = schema["nullable"].as_bool().unwrap_or(false);
                    let is_old = schema["description"].as_str().is_some_and(|text| text.starts_with("Old form"));
                    (name.clone(), Field { shape: shape(schema), required: is_required, nullable, is_old })
                };
                Shape::Fields(properties.iter().map(field).collect())
            }
            (_, values @ Value::Object(_)) => Shape::Values(Box::new(shape(values))),
            _ => Shape::Free,
        },
        Some("array") => Shape::List(Box::new(shape(&schema["items"]))),
        Some("string") => text(None, (schema["minLength"].as_u64(), schema["maxLength"].as_u64())),
        Some("integer") => {
            let bound = |key: &str| schema[key].as_f64().map(|bound| bound as i64);
            Shape::Integer { least: bound("minimum").unwrap_or(0), most: bound("maximum").unwrap_or(i64::MAX) }
        }
        Some("boolean") => Shape::Boolean,
        other => unreachable!("a kind's schema uses the type {other:?}, for which there is no shape"),
    }
}

fn text(check: Option<Check>, (least, most): (Option<u64>, Option<u64>)) -> Shape {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    Shape::Text { check, least: number(least).unwrap_or(0), most: number(most).unwrap_or(usize::MAX) }
}

fn named(name: &str, length: (Option<u64>, Option<u64>)) -> Shape {
    let check: Check = match name {
        "name" => is::<Name>,
        "duration" => is::<Duration>,
        "digest" => is::<Digest>,
        "endpoint" => is::<Endpoint>,
        "topic" => is::<TopicPattern>,
        "pin" => is::<PinName>,
        "hostPort" => is::<HostPort>,
        "publicKey" => |text| text.parse::<PublicKey>()?.check(),
        "memory" => return Shape::Quantity(|text| text.parse::<Memory>()?.check()),
        "cpu" => return Shape::Quantity(is::<Cpu>),
        "architecture" => architecture,
        "time" => time,
        "path" => path,
        "base64" => base64,
        "targets" => return Shape::Targets,
        other => unreachable!("a kind's schema names the shape {other}, which there is not"),
    };
    // These say themselves how long they may be.
    text(Some(check), if name == "path" { length } else { (None, None) })
}

fn is<T: std::str::FromStr<Err = ScalarError>>(text: &str) -> Result<(), ScalarError> {
    text.parse::<T>().map(drop)
}

fn architecture(text: &str) -> Result<(), ScalarError> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(letter) && text.as_bytes()[0].is_ascii_alphanumeric();
    fits.then_some(()).ok_or_else(|| {
        ScalarError::new("an architecture in letters, digits, `-`, `_` and `.`, such as `ARM_CORTEX_M`", text)
    })
}

fn time(text: &str) -> Result<(), ScalarError> {
    // What Kubernetes accepts is RFC 3339; jiff alone would take more.
    let form = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.is_ascii();
    match text.parse::<Timestamp>() {
        Ok(_) if form => Ok(()),
        _ => Err(ScalarError::new("a moment in the form of RFC 3339, such as `2026-01-31T12:00:00Z`", text)),
    }
}

fn path(text: &str) -> Result<(), ScalarError> {
    let within =
        !text.starts_with('/') && !text.contains(['\\', '\0', '\n']) && text.split('/').all(|part| part != "..");
    within.then_some(()).ok_or_else(|| {
        ScalarError::new("a folder within the fleet, without `..` or a leading `/`, such as `apps/hello`", text)
    })
}

fn base64(text: &str) -> Result<(), ScalarError> {
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map(drop)
        .map_err(|_| ScalarError::new("base64 on one line, without spaces, such as `AGFzbQEAAAA=`", text))
}
