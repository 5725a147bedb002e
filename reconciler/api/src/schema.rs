//! Schemas of types whose own crates describe none.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A moment, as RFC 3339 writes it.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "nullable": true, "x-wasmbed-shape": "time" })
}

/// A list of conditions, one of each type, as the Kubernetes API conventions want it.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "What is true of the object at present, and since when.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string", "maxLength": 316,
                    "description": "The aspect, in CamelCase.",
                },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The `metadata.generation` this was said of.",
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time",
                    "description": "When `status` last changed.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Why, as one CamelCase word for programs.",
                },
                "message": {
                    "type": "string", "maxLength": 32768,
                    "description": "Why, for people.",
                },
            },
        },
    })
}

/// A Kubernetes label selector.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "properties": {
            "matchLabels": {
                "type": "object", "additionalProperties": { "type": "string" },
                "description": "Labels a Device must carry, all of them.",
            },
            "matchExpressions": {
                "type": "array",
                "description": "Further requirements, all of which must hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string", "description": "The label." },
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How its value relates to `values`.",
                        },
                        "values": {
                            "type": "array", "items": { "type": "string" },
                            "description": "Values, for `In` and `NotIn`.",
                        },
                    },
                },
            },
        },
    })
}

/// A map of texts that anything may be put into.
pub(crate) fn free_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true })
}

/// Bytes, in base64.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "nullable": true, "x-wasmbed-shape": "base64" })
}

/// Bytes, in base64, that must be there.
pub(crate) fn required_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte" })
}
