//! What the shape of a spec cannot say: fields that exclude or need one another, and old forms.

use super::envelope::{Kind, is_label_key, is_label_value};
use super::finding::Finding;
use super::yaml::{Content, Entry, Node};
use crate::Duration;

/// Finds what is wrong between the fields of a spec, and its old forms.
pub(crate) fn apply(kind: Kind, spec: &Node, findings: &mut Vec<Finding>) {
    match kind {
        Kind::Device => {
            old_field(spec, "spec", "preferredGateway", "gatewayId", findings, |value| {
                format!("gatewayId: {}", value.text().unwrap_or("..."))
            });
        }
        Kind::Application => application(spec, findings),
        Kind::Gateway => gateway(spec, findings),
    }
}

fn application(spec: &Node, findings: &mut Vec<Finding>) {
    match (spec.value("source"), spec.entry("wasmBytes")) {
        (Some(_), Some(entry)) => findings.push(
            Finding::error(entry.at, "spec.wasmBytes", "both `source` and `wasmBytes` are given")
                .expected("one of them")
                .help("remove `wasmBytes` to build the source, or `source` to run these bytes"),
        ),
        (None, None) => findings.push(
            Finding::error(spec.at, "spec", "neither `source` nor `wasmBytes` is given")
                .expected("`source: {path: ...}`, the folder of the application's package"),
        ),
        _ => {}
    }
    if let Some(bytes) = spec.value("wasmBytes")
        && bytes.text().is_some_and(|text| !text.starts_with("AGFzb"))
    {
        findings.push(
            Finding::error(bytes.at, "spec.wasmBytes", "the bytes are not a WebAssembly module")
                .expected("base64 that begins with `AGFzbQEAAA`")
                .help("`base64 -w0 module.wasm` prints it"),
        );
    }
    match (spec.value("targetDevices"), spec.value("targetSelector")) {
        (None, None) => findings.push(
            Finding::note(spec.at, "spec", "the application is meant for no device")
                .help("name devices in `targetDevices`, or select them with `targetSelector` (`{}` selects all)"),
        ),
        (Some(devices), _) => old_targets(devices, findings),
        _ => {}
    }
    if let Some(selector) = spec.value("targetSelector") {
        label_selector(selector, findings);
    }
    if let Some(config) = spec.value("config") {
        old_config(config, findings);
    }
}

fn gateway(spec: &Node, findings: &mut Vec<Finding>) {
    let Some(config) = spec.value("config") else { return };
    let duration = |name| {
        let node = config.value(name)?;
        Some((node, node.text()?.parse::<Duration>().ok()?.as_std()))
    };
    let defaults = crate::GatewayConfig::default();
    let heartbeat = duration("heartbeatInterval");
    if let Some((node, interval)) = heartbeat
        && interval.as_secs() == 0
    {
        findings.push(
            Finding::error(node.at, "spec.config.heartbeatInterval", "the interval is below a second")
                .expected("at least `1s`"),
        );
    }
    let timeout = duration("connectionTimeout");
    let interval = heartbeat.map_or(defaults.heartbeat_interval(), |(_, interval)| interval);
    let patience = timeout.map_or(defaults.connection_timeout(), |(_, timeout)| timeout);
    if let Some((node, _)) = timeout.or(heartbeat)
        && patience <= interval
    {
        findings.push(
            Finding::error(
                node.at,
                "spec.config",
                "`connectionTimeout` is not longer than `heartbeatInterval`: every device would be dropped between two heartbeats",
            )
            .expected(format!("a timeout of several intervals, such as `{}s`", interval.as_secs().max(1) * 3)),
        );
    }
}

fn old_config(config: &Node, findings: &mut Vec<Finding>) {
    let mut old = |old: &str, new: &str, form: fn(&Node) -> String| {
        old_field(config, "spec.config", old, new, findings, form);
    };
    old("memory_limit", "memoryLimit", |value| match value.content {
        Content::Integer(bytes) if bytes > 0 => {
            format!("memoryLimit: {}", crate::Memory::from_bytes(bytes.unsigned_abs()))
        }
        _ => "memoryLimit: 64Ki".to_owned(),
    });
    old("cpu_time_limit", "cpuTimeLimit", |value| match value.content {
        Content::Integer(millis) => format!("cpuTimeLimit: {millis}m"),
        _ => "cpuTimeLimit: 250m".to_owned(),
    });
    old("env_vars", "envVars", |_| "envVars: {...}".to_owned());
    old("auto_restart", "autoRestart", |value| format!("autoRestart: {}", bare(value)));
    old("max_restarts", "maxRestarts", |value| format!("maxRestarts: {}", bare(value)));
}

fn bare(value: &Node) -> String {
    match value.content {
        Content::Boolean(value) => value.to_string(),
        Content::Integer(value) => value.to_string(),
        _ => "...".to_owned(),
    }
}

fn old_targets(devices: &Node, findings: &mut Vec<Finding>) {
    for Entry { key, at, value } in devices.entries() {
        let form = match key.as_str() {
            "deviceNames" => "`targetDevices: [...]`, a plain list".to_owned(),
            "selectors" => {
                let labels: Vec<_> = value
                    .entries()
                    .iter()
                    .map(|entry| format!("{}: {}", entry.key, entry.value.text().unwrap_or("...")))
                    .collect();
                format!("`targetSelector: {{matchLabels: {{{}}}}}`", labels.join(", "))
            }
            "allDevices" => "`targetSelector: {}`".to_owned(),
            _ => continue,
        };
        findings.push(
            Finding::note(*at, format!("spec.targetDevices.{key}"), format!("`{key}` is an old form"))
                .help(format!("write {form}")),
        );
    }
    if matches!(&devices.content, Content::Map(entries) if entries.is_empty()) {
        findings.push(Finding::note(devices.at, "spec.targetDevices", "the application is meant for no device"));
    }
}

/// A field in its old form: a note with the new one, or an error if both are given.
fn old_field(
    map: &Node,
    path: &str,
    old: &str,
    new: &str,
    findings: &mut Vec<Finding>,
    form: impl Fn(&Node) -> String,
) {
    let Some(entry) = map.entry(old) else { return };
    let field = format!("{path}.{old}");
    findings.push(match map.entry(new) {
        Some(newer) => Finding::error(entry.at, field, format!("both `{old}` and `{new}` are given"))
            .expected("one of them")
            .help(format!("keep `{new}` in line {}", newer.at.line)),
        None => Finding::note(entry.at, field, format!("`{old}` is an old form"))
            .help(format!("write `{}`", form(&entry.value))),
    });
}

fn label_selector(selector: &Node, findings: &mut Vec<Finding>) {
    let path = "spec.targetSelector";
    let key = |key: &str, at, field: String, findings: &mut Vec<Finding>| {
        if !is_label_key(key) {
            findings.push(
                Finding::error(at, field, format!("invalid label `{key}`"))
                    .expected("at most 63 letters, digits, `-`, `_` and `.`, after an optional `domain/`"),
            );
        }
    };
    let value = |node: &Node, field: String, findings: &mut Vec<Finding>| {
        if node.text().is_some_and(|text| !is_label_value(text)) {
            findings.push(
                Finding::error(node.at, field, format!("invalid label value: {}", node.describe()))
                    .expected("at most 63 letters, digits, `-`, `_` and `.`"),
            );
        }
    };
    for entry in selector.value("matchLabels").map(Node::entries).unwrap_or_default() {
        let field = format!("{path}.matchLabels.{}", entry.key);
        key(&entry.key, entry.at, field.clone(), findings);
        value(&entry.value, field, findings);
    }
    let expressions = selector.value("matchExpressions").map(Node::items).unwrap_or_default();
    for (index, expression) in expressions.iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        if let Some((node, text)) = expression.value("key").and_then(|node| Some((node, node.text()?))) {
            key(text, node.at, format!("{path}.key"), findings);
        }
        let values = expression.value("values").map(Node::items).unwrap_or_default();
        for node in values {
            value(node, format!("{path}.values"), findings);
        }
        let wanted = match expression.value("operator").and_then(Node::text) {
            Some("In" | "NotIn") => true,
            Some("Exists" | "DoesNotExist") => false,
            _ => continue,
        };
        if wanted == values.is_empty() {
            let (message, expected) = if wanted {
                ("`values` is missing", "a list of values for `In` and `NotIn`")
            } else {
                ("`values` has no meaning here", "no values for `Exists` and `DoesNotExist`")
            };
            findings.push(Finding::error(expression.at, path, message).expected(expected));
        }
    }
}
