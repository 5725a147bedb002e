//! Events in the words of `events.k8s.io/v1` and of `v1`: the same objects.

use serde_json::{Value, json};

/// `events.k8s.io/v1` beside `v1`.
const WORDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// A stored event as `events.k8s.io/v1`.
pub(crate) fn to_view(mut event: Value) -> Value {
    if let Some(map) = event.as_object_mut() {
        map.retain(|field, value| {
            !(matches!(field.as_str(), "reportingComponent" | "reportingInstance") && value == "")
        });
    }
    for (view, stored) in WORDS {
        rename(&mut event, stored, view);
    }
    event["apiVersion"] = "events.k8s.io/v1".into();
    event
}

/// An `events.k8s.io/v1` event as it is stored.
pub(crate) fn to_stored(mut event: Value) -> Value {
    for (view, stored) in WORDS {
        rename(&mut event, view, stored);
    }
    event["apiVersion"] = "v1".into();
    // Readers of `v1` expect these to be there.
    for (field, empty) in [
        ("involvedObject", json!({})),
        ("source", json!({})),
        ("reportingComponent", json!("")),
        ("reportingInstance", json!("")),
    ] {
        if event[field].is_null() {
            event[field] = empty;
        }
    }
    event
}

fn rename(event: &mut Value, from: &str, to: &str) {
    if let Some(map) = event.as_object_mut()
        && let Some(value) = map.remove(from)
    {
        map.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_meaning_through_both_forms() {
        let view = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"name": "d"}, "note": "n", "reason": "r",
            "reportingController": "c", "deprecatedSource": {}, "deprecatedCount": 2});
        let stored = to_stored(view.clone());
        assert_eq!(
            stored,
            json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "d"}, "message": "n", "reason": "r",
                "reportingComponent": "c", "reportingInstance": "", "source": {}, "count": 2})
        );
        assert_eq!(to_view(stored), view);
    }
}
