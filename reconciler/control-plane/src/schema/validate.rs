//! Value validation against a schema, with Kubernetes' words.

use std::collections::HashSet;

use base64::Engine as _;
use serde_json::Value;

use super::{Bounds, ListType, Schema, Type};
use crate::status::{Cause, shown};

/// Adds a cause for everything in `value` that `schema` does not allow.
pub(crate) fn validate(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && (schema.nullable || schema.kind == Type::Any) {
        return;
    }
    if !has_type(schema.kind, value) {
        // Of a text in a format, Kubernetes names the format, and a whole number by its size.
        let format = schema.bounds.as_ref().and_then(|bounds| bounds.format.as_deref());
        let (found, wanted) = match (format, type_name(value)) {
            (Some(format), "integer") if schema.kind == Type::String => ("int64", format),
            (_, found) => (found, wanted_name(schema.kind)),
        };
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            field: path.to_owned(),
            message: format!(
                "Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\"",
                found = found,
                wanted = wanted,
            ),
        });
        return;
    }
    if let Some(bounds) = &schema.bounds {
        check_bounds(bounds, value, path, causes);
    }
    match value {
        Value::Object(map) => {
            for name in &schema.required {
                if !map.contains_key(name) {
                    causes.push(Cause::required(join(path, name), ""));
                }
            }
            for (name, item) in map {
                if let (Some(field), _) = schema.field(name) {
                    validate(field, item, &join(path, name), causes);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                for (index, item) in list.iter().enumerate() {
                    validate(items, item, &format!("{path}[{index}]"), causes);
                }
            }
            check_duplicates(schema, list, path, causes);
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn has_type(kind: Type, value: &Value) -> bool {
    match kind {
        Type::Any => true,
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Integer => is_integer(value),
        Type::IntOrString => value.is_string() || is_integer(value),
    }
}

/// The first value, by its path, that has another type than `schema` wants, and which it wants, as far as merging looks at types.
pub(crate) fn unmergeable(schema: &Schema, value: &Value) -> Option<(String, &'static str)> {
    let wanted = match schema.kind {
        _ if value.is_null() => return None,
        Type::Any | Type::IntOrString => None,
        Type::Object => (!value.is_object()).then_some("map"),
        Type::Array => (!value.is_array()).then_some("list"),
        Type::String => (!value.is_string()).then_some("string"),
        Type::Boolean => (!value.is_boolean()).then_some("boolean"),
        Type::Number | Type::Integer => (!value.is_number()).then_some("numeric (int or float)"),
    };
    if let Some(wanted) = wanted {
        return Some((String::new(), wanted));
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(name, item)| {
            let (path, wanted) = unmergeable(schema.field(name).0?, item)?;
            Some((format!(".{name}{path}"), wanted))
        }),
        Value::Array(list) => list.iter().enumerate().find_map(|(index, item)| {
            let (path, wanted) = unmergeable(schema.items.as_deref()?, item)?;
            Some((format!("[{index}]{path}"), wanted))
        }),
        _ => None,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wanted_name(kind: Type) -> &'static str {
    match kind {
        Type::Any => "any",
        Type::Object => "object",
        Type::Array => "array",
        Type::String => "string",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::IntOrString => "integer,string",
    }
}

fn check_bounds(bounds: &Bounds, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let (Some(format), Some(text)) = (&bounds.format, value.as_str())
        && !has_format(format, text)
    {
        let why = format!("{path} in body must be of type {format}: {}", shown(value));
        causes.push(Cause { reason: "FieldValueTypeInvalid", ..Cause::invalid(path, value, why) });
    }
    let mut invalid = |shown_value: &Value, why: String| {
        causes.push(Cause::invalid(path, shown_value, format!("{path} in body {why}")));
    };
    if let Some(number) = value.as_f64() {
        if let Some(low) = bounds.minimum {
            if bounds.exclusive_minimum && number <= low {
                invalid(value, format!("should be greater than {low}"));
            } else if number < low {
                invalid(value, format!("should be greater than or equal to {low}"));
            }
        }
        if let Some(high) = bounds.maximum {
            if bounds.exclusive_maximum && number >= high {
                invalid(value, format!("should be less than {high}"));
            } else if number > high {
                invalid(value, format!("should be less than or equal to {high}"));
            }
        }
        if let Some(step) = bounds.multiple_of
            && step > 0.0
            && (number / step).fract() != 0.0
        {
            invalid(value, format!("should be a multiple of {step}"));
        }
    }
    if let Value::String(text) = value {
        let length = text.chars().count() as u64;
        if let Some(low) = bounds.min_length
            && length < low
        {
            invalid(value, format!("should be at least {low} chars long"));
        }
        if let Some(pattern) = &bounds.pattern
            && !pattern.is_match(text)
        {
            invalid(value, format!("should match '{pattern}'"));
        }
    }
    if let Value::Array(list) = value {
        if let Some(low) = bounds.min_items
            && (list.len() as u64) < low
        {
            invalid(&list.len().into(), format!("should have at least {low} items"));
        }
        if bounds.unique_items {
            let distinct: HashSet<String> = list.iter().map(Value::to_string).collect();
            if distinct.len() != list.len() {
                invalid(value, "shouldn't contain duplicates".to_owned());
            }
        }
    }
    if let Value::Object(map) = value
        && let Some(low) = bounds.min_properties
        && (map.len() as u64) < low
    {
        invalid(&map.len().into(), format!("should have at least {low} properties"));
    }
    check_upper_bounds(bounds, value, path, causes);
    check_combinations(bounds, value, path, causes);
}

fn check_upper_bounds(bounds: &Bounds, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let too_many = |count: usize, high: u64| Cause {
        reason: "FieldValueTooMany",
        field: path.to_owned(),
        message: format!("Too many: {count}: must have at most {high} {}", if high == 1 { "item" } else { "items" }),
    };
    match value {
        Value::String(text) => {
            if let Some(high) = bounds.max_length
                && text.chars().count() as u64 > high
            {
                causes.push(Cause {
                    reason: "FieldValueTooLong",
                    field: path.to_owned(),
                    message: format!(
                        "Too long: may not be more than {high} {}",
                        if high == 1 { "byte" } else { "bytes" }
                    ),
                });
            }
        }
        Value::Array(list) => {
            if let Some(high) = bounds.max_items
                && list.len() as u64 > high
            {
                causes.push(too_many(list.len(), high));
            }
        }
        Value::Object(map) => {
            if let Some(high) = bounds.max_properties
                && map.len() as u64 > high
            {
                causes.push(too_many(map.len(), high));
            }
        }
        _ => {}
    }
    if !bounds.one_of_values.is_empty() && !bounds.one_of_values.contains(value) {
        let allowed: Vec<String> = bounds
            .one_of_values
            .iter()
            .map(|value| match value {
                Value::String(_) => value.to_string(),
                other => format!("\"{other}\""),
            })
            .collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: path.to_owned(),
            message: format!("Unsupported value: {}: supported values: {}", shown(value), allowed.join(", ")),
        });
    }
}

fn check_combinations(bounds: &Bounds, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let holds = |schema: &Schema| {
        let mut inner = Vec::new();
        validate(schema, value, path, &mut inner);
        inner.is_empty()
    };
    for schema in &bounds.all_of {
        validate(schema, value, path, causes);
    }
    if !bounds.any_of.is_empty() && !bounds.any_of.iter().any(holds) {
        causes.push(Cause::invalid(path, value, format!("{path} in body must validate at least one schema (anyOf)")));
    }
    if !bounds.one_of.is_empty() {
        let matching = bounds.one_of.iter().filter(|schema| holds(schema)).count();
        if matching != 1 {
            causes.push(Cause::invalid(
                path,
                value,
                format!(
                    "{path} in body must validate one and only one schema (oneOf). Found {matching} valid alternatives"
                ),
            ));
        }
    }
    if let Some(schema) = &bounds.not
        && holds(schema)
    {
        causes.push(Cause::invalid(path, value, format!("{path} in body must not validate the schema (not)")));
    }
}

fn check_duplicates(schema: &Schema, list: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let mut seen = HashSet::new();
    for (index, item) in list.iter().enumerate() {
        let key = match &schema.list {
            ListType::Atomic => return,
            ListType::Set => item.to_string(),
            ListType::Map(keys) => {
                let named: Vec<_> = keys
                    .iter()
                    .filter_map(|key| item.get(key).map(|value| (key, value)))
                    .map(|(key, value)| format!("{key}:{value}"))
                    .collect();
                named.join(",")
            }
        };
        if !seen.insert(key) {
            let duplicate = match &schema.list {
                ListType::Map(keys) => {
                    keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect()
                }
                _ => item.clone(),
            };
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                field: format!("{path}[{index}]"),
                message: format!("Duplicate value: {}", shown(&duplicate)),
            });
        }
    }
}

/// The formats Kubernetes checks and our kinds use; an unknown format is no constraint.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "duration" => is_go_duration(text),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
        }),
        "uuid" => {
            let hex: String = text.chars().filter(|char| *char != '-').collect();
            hex.len() == 32 && hex.chars().all(|char| char.is_ascii_hexdigit())
        }
        "uri" => text.parse::<http::Uri>().is_ok() && text.contains(':'),
        _ => true,
    }
}

/// `1h30m`, `250ms`, `-5s`, `0`.
fn is_go_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
        if digits.len() == rest.len() {
            return false;
        }
        let Some(unit) = ["ns", "us", "µs", "ms", "s", "m", "h", "d", "w"]
            .iter()
            .filter(|unit| digits.starts_with(**unit))
            .max_by_key(|unit| unit.len())
        else {
            return false;
        };
        rest = &digits[unit.len()..];
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn causes(schema: Value, value: Value) -> Vec<(String, String)> {
        let mut causes = Vec::new();
        let schema = Schema::compile(&schema, "").unwrap();
        validate(&schema, &value, "f", &mut causes);
        causes.into_iter().map(|cause| (cause.field, cause.message)).collect()
    }

    fn one(schema: Value, value: Value) -> String {
        let all = causes(schema, value);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].1.clone()
    }

    fn none(schema: Value, value: Value) {
        assert_eq!(causes(schema, value), []);
    }

    #[test]
    fn each_type_is_told_from_each_other() {
        let samples = [
            ("object", json!({})),
            ("array", json!([])),
            ("string", json!("s")),
            ("integer", json!(1)),
            ("boolean", json!(true)),
        ];
        for (wanted, _) in &samples {
            for (found, value) in &samples {
                let all = causes(json!({"type": wanted}), value.clone());
                assert_eq!(all.is_empty(), wanted == found, "{wanted} {found}");
            }
        }
        assert_eq!(
            one(json!({"type": "string"}), json!(5)),
            "Invalid value: \"integer\": f in body must be of type string: \"integer\""
        );
    }

    #[test]
    fn whole_floats_are_integers_and_integers_are_numbers() {
        none(json!({"type": "integer"}), json!(2.0));
        none(json!({"type": "number"}), json!(2));
        assert_eq!(causes(json!({"type": "integer"}), json!(2.5)).len(), 1);
    }

    #[test]
    fn null_is_allowed_only_where_the_schema_says_so() {
        none(json!({"type": "string", "nullable": true}), Value::Null);
        assert_eq!(causes(json!({"type": "string"}), Value::Null).len(), 1);
    }

    #[test]
    fn int_or_string_takes_both_and_nothing_else() {
        let schema = json!({"x-kubernetes-int-or-string": true});
        none(schema.clone(), json!(1));
        none(schema.clone(), json!("50%"));
        assert_eq!(causes(schema, json!(true)).len(), 1);
    }

    #[test]
    fn bounds_are_named_in_the_message() {
        assert_eq!(
            one(json!({"type": "integer", "minimum": 1}), json!(0)),
            "Invalid value: 0: f in body should be greater than or equal to 1"
        );
        assert_eq!(
            one(json!({"type": "integer", "maximum": 3, "exclusiveMaximum": true}), json!(3)),
            "Invalid value: 3: f in body should be less than 3"
        );
        assert_eq!(
            one(json!({"type": "string", "minLength": 1}), json!("")),
            "Invalid value: \"\": f in body should be at least 1 chars long"
        );
        assert_eq!(
            one(json!({"type": "string", "maxLength": 2}), json!("abc")),
            "Too long: may not be more than 2 bytes"
        );
        assert_eq!(
            one(json!({"type": "string", "pattern": "^a+$"}), json!("b")),
            "Invalid value: \"b\": f in body should match '^a+$'"
        );
        assert_eq!(
            one(json!({"type": "array", "maxItems": 1}), json!([1, 2])),
            "Too many: 2: must have at most 1 item"
        );
        assert_eq!(
            one(json!({"type": "array", "minItems": 1}), json!([])),
            "Invalid value: 0: f in body should have at least 1 items"
        );
        assert_eq!(
            one(json!({"type": "string", "enum": ["a", "b"]}), json!("c")),
            "Unsupported value: \"c\": supported values: \"a\", \"b\""
        );
        assert_eq!(causes(json!({"type": "number", "multipleOf": 2}), json!(3)).len(), 1);
        assert_eq!(causes(json!({"type": "object", "maxProperties": 0}), json!({"a": 1})).len(), 1);
        assert_eq!(causes(json!({"type": "object", "minProperties": 1}), json!({})).len(), 1);
        assert_eq!(causes(json!({"type": "array", "uniqueItems": true}), json!([1, 1])).len(), 1);
    }

    #[test]
    fn a_required_field_is_named_with_its_path() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string"}, "o": {"type": "array", "items": {"type": "object", "required": ["b"]}}}});
        let fields: Vec<_> = causes(schema, json!({"o": [{}]})).into_iter().collect();
        assert!(fields.contains(&("f.a".into(), "Required value".into())));
        assert!(fields.contains(&("f.o[0].b".into(), "Required value".into())));
    }

    #[test]
    fn combinations_hold_as_their_names_say() {
        let low = json!({"maximum": 3});
        let high = json!({"minimum": 3});
        none(json!({"type": "integer", "anyOf": [low, high]}), json!(5));
        none(json!({"type": "integer", "oneOf": [low, high]}), json!(5));
        assert_eq!(causes(json!({"type": "integer", "oneOf": [low, high]}), json!(3)).len(), 1);
        assert_eq!(causes(json!({"type": "integer", "allOf": [low, high]}), json!(5)).len(), 1);
        assert_eq!(causes(json!({"type": "integer", "not": high}), json!(5)).len(), 1);
        none(json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({"a": 1}));
        assert_eq!(
            causes(json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({"a": 1, "b": 1})).len(),
            1
        );
    }

    #[test]
    fn sets_and_map_lists_refuse_duplicates() {
        let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
        assert_eq!(one(set, json!(["a", "a"])), "Duplicate value: \"a\"");
        let map = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object"}});
        assert_eq!(
            one(map, json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}])),
            "Duplicate value: {\"name\":\"a\"}"
        );
        none(json!({"type": "array"}), json!(["a", "a"]));
    }

    #[test]
    fn formats_are_checked_loosely() {
        for (format, good, bad) in [
            ("date-time", "2026-11-23T10:00:00Z", "yesterday"),
            ("date", "2026-11-23", "23.11."),
            ("byte", "aGk=", "%%%"),
            ("duration", "1h30m", "soon"),
            ("ipv4", "1.2.3.4", "1.2.3"),
            ("ipv6", "::1", "1.2.3.4"),
            ("cidr", "10.0.0.0/24", "10.0.0.0"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ] {
            none(json!({"type": "string", "format": format}), json!(good));
            assert_eq!(causes(json!({"type": "string", "format": format}), json!(bad)).len(), 1, "{format}");
        }
        none(json!({"type": "string", "format": "whatever"}), json!("x"));
        none(json!({"type": "integer", "format": "int32"}), json!(1));
    }
}
