//! `wasmbed results`.

use anyhow::Result;
use ciborium::Value;
use serde_json::json;
use wasmbed_streams::live::{LiveFilter, LiveKind};

use crate::arguments::{Output, Results};
use crate::live::each;
use crate::logs::{clock, printable};
use crate::print;

/// Prints what an application publishes.
///
/// # Errors
/// When there is nobody to read from: `wasmbed up`, or a gateway that is named.
pub(crate) async fn run(arguments: &Results, output: Output) -> Result<()> {
    let filter = LiveFilter {
        application: Some(arguments.application.clone()),
        kind: Some("output".to_owned()),
        follow: arguments.follow,
        ..LiveFilter::default()
    };
    each(&arguments.from, &filter, |event| {
        let LiveKind::Output { topic, payload } = &event.kind else { return Ok(()) };
        let value = ciborium::from_reader::<Value, _>(payload.as_slice())
            .map_or_else(|_| json!({ "malformedCbor": hex(payload) }), |value| to_json(&value));
        match output {
            Output::Json => print::json(&json!({
                "timeMs": event.time_ms, "device": event.device, "application": event.application,
                "topic": topic, "value": value,
            })),
            Output::Text => {
                print::line(format_args!("{} {} {} {value}", clock(&event), event.device, printable(topic)))
            }
        }
    })
    .await
}

/// A CBOR item as JSON (RFC 8949, section 6.1): byte strings as hexadecimal text, tags without their number.
fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Integer(number) => {
            let number = i128::from(*number);
            i64::try_from(number).map(Into::into).or_else(|_| u64::try_from(number).map(Into::into)).unwrap_or_default()
        }
        Value::Bytes(bytes) => hex(bytes).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Tag(_, value) => to_json(value),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let key = |key: &Value| key.as_text().map_or_else(|| to_json(key).to_string(), str::to_owned);
            serde_json::Value::Object(entries.iter().map(|(k, v)| (key(k), to_json(v))).collect())
        }
        _ => serde_json::Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_publishes_is_shown_as_json() {
        let value = Value::Map(vec![
            (Value::Text("t".into()), Value::Float(21.5)),
            (Value::Integer(1.into()), Value::Array(vec![Value::Bool(true), Value::Null, Value::Bytes(vec![0xab])])),
        ]);
        assert_eq!(to_json(&value), json!({ "t": 21.5, "1": [true, null, "ab"] }));
    }
}
