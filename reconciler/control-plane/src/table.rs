//! Tables: what `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json_path::JsonPath;
use crate::resource::Rules;

/// How a cell is found.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Name,
    /// What a path leads to, as a value of the column's type.
    Path(JsonPath),
    /// The text a path leads to; empty where there is none, as in built-in kinds.
    Text(JsonPath),
    /// How long ago the time is that a path leads to.
    Age(JsonPath),
    /// How many entries these maps have.
    Count(&'static [&'static str]),
    /// The newest time an event was seen.
    LastSeen,
    /// The first time an event was seen.
    FirstSeen,
    /// `kind/name` of what an event is about.
    Involved,
    /// The part of it that an event is about.
    Part,
    /// Who says what an event says, and where that is.
    Source,
    /// How often an event was seen.
    Times,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    /// 0 is always shown, 1 only in wide tables.
    priority: i64,
    cell: Cell,
}

impl Column {
    fn new(name: &str, kind: &str, cell: Cell) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            cell,
        }
    }
}

/// The columns of a resource whose version's definition is given; `Err` names a path that cannot be read.
pub(crate) fn columns(rules: Rules, version: &Value) -> Result<Vec<Column>, String> {
    let path = |text: &str| JsonPath::parse(text).map(Cell::Path);
    let text = |path: &str| JsonPath::parse(path).map(Cell::Text);
    let mut columns = vec![Column {
        format: "name".to_owned(),
        description: "Name must be unique within a namespace.".to_owned(),
        ..Column::new("Name", "string", Cell::Name)
    }];
    let custom = rules == Rules::Custom;
    let age = || {
        let kind = if custom { "date" } else { "string" };
        JsonPath::parse(".metadata.creationTimestamp").map(|path| Column::new("Age", kind, Cell::Age(path)))
    };
    match rules {
        Rules::ConfigMap => {
            columns.push(Column::new("Data", "string", Cell::Count(&["data", "binaryData"])));
            columns.push(age()?);
        }
        Rules::Secret => {
            columns.push(Column::new("Type", "string", text(".type")?));
            columns.push(Column::new("Data", "string", Cell::Count(&["data"])));
            columns.push(age()?);
        }
        Rules::Event | Rules::EventView => {
            let note = if rules == Rules::Event { ".message" } else { ".note" };
            let wide = |name: &str, kind: &str, cell| Column { priority: 1, ..Column::new(name, kind, cell) };
            columns = vec![
                Column::new("Last Seen", "string", Cell::LastSeen),
                Column::new("Type", "string", text(".type")?),
                Column::new("Reason", "string", text(".reason")?),
                Column::new("Object", "string", Cell::Involved),
                wide("Subobject", "string", Cell::Part),
                wide("Source", "string", Cell::Source),
                Column::new("Message", "string", text(note)?),
                wide("First Seen", "string", Cell::FirstSeen),
                wide("Count", "string", Cell::Times),
                Column { format: "name".to_owned(), ..wide("Name", "string", Cell::Name) },
            ];
        }
        _ => match version["additionalPrinterColumns"].as_array() {
            None => columns.push(age()?),
            Some(given) => {
                for column in given {
                    let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
                    if !custom && text("type") == "date" {
                        columns.push(age()?);
                        continue;
                    }
                    let mut cell = path(&text("jsonPath"))?;
                    match (text("type").as_str(), cell) {
                        ("date", Cell::Path(path)) => cell = Cell::Age(path),
                        ("string", Cell::Path(path)) if !custom => cell = Cell::Text(path),
                        (_, other) => cell = other,
                    }
                    let description = match text("description") {
                        empty if empty.is_empty() => {
                            format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath"))
                        }
                        description => description,
                    };
                    columns.push(Column {
                        name: text("name"),
                        kind: text("type"),
                        format: text("format"),
                        description,
                        priority: column["priority"].as_i64().unwrap_or(0),
                        cell,
                    });
                }
            }
        },
    }
    Ok(columns)
}

/// `columnDefinitions`.
pub(crate) fn definitions(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        })
        .collect()
}

/// The cells of one object.
pub(crate) fn cells(columns: &[Column], object: &Value, now: Timestamp) -> Value {
    columns.iter().map(|column| cell(column, object, now)).collect()
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    match &column.cell {
        Cell::Name => object["metadata"]["name"].clone(),
        Cell::Count(fields) => fields
            .iter()
            .filter_map(|field| object.get(field)?.as_object())
            .map(serde_json::Map::len)
            .sum::<usize>()
            .into(),
        Cell::LastSeen => seen(
            object,
            now,
            &[
                "/series/lastObservedTime",
                "/lastTimestamp",
                "/deprecatedLastTimestamp",
                "/firstTimestamp",
                "/deprecatedFirstTimestamp",
                "/eventTime",
            ],
        ),
        Cell::FirstSeen => seen(object, now, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]),
        Cell::Involved => {
            let (kind, name) = (of_event(object, &ABOUT, "kind").to_lowercase(), of_event(object, &ABOUT, "name"));
            if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
        }
        Cell::Part => of_event(object, &ABOUT, "fieldPath").into(),
        Cell::Source => {
            let or = |said: &'_ str, other: &[&str]| -> String {
                let mut others = other.iter().filter_map(|field| object.get(*field)?.as_str());
                if said.is_empty() { others.next().unwrap_or_default().to_owned() } else { said.to_owned() }
            };
            let who = or(of_event(object, &SOURCE, "component"), &["reportingComponent", "reportingController"]);
            let place = or(of_event(object, &SOURCE, "host"), &["reportingInstance"]);
            if place.is_empty() { who.into() } else { format!("{who}, {place}").into() }
        }
        Cell::Times => {
            let counts = ["/series/count", "/count", "/deprecatedCount"];
            let found = counts.iter().find_map(|path| object.pointer(path)?.as_i64().filter(|count| *count > 0));
            found.unwrap_or(1).into()
        }
        Cell::Text(path) => match path.find(object).first() {
            Some(Value::String(text)) => text.trim().into(),
            Some(Value::Null) | None => "".into(),
            Some(other) => other.to_string().into(),
        },
        Cell::Age(path) => match path.find(object).first() {
            Some(Value::String(time)) => age(time, now).into(),
            _ => Value::Null,
        },
        Cell::Path(path) => {
            let Some(found) = path.find(object).into_iter().next() else {
                return Value::Null;
            };
            match (column.kind.as_str(), found) {
                ("string", Value::String(_))
                | ("integer" | "number", Value::Number(_))
                | ("boolean", Value::Bool(_)) => found.clone(),
                ("string", other) => other.to_string().into(),
                _ => Value::Null,
            }
        }
    }
}

/// What an event is about, and where it comes from, in the words of either group.
const ABOUT: [&str; 2] = ["involvedObject", "regarding"];
const SOURCE: [&str; 2] = ["source", "deprecatedSource"];

/// A text in one of an event's parts, or nothing.
fn of_event<'a>(event: &'a Value, parts: &[&str], field: &str) -> &'a str {
    parts.iter().find_map(|part| event.get(*part)?.get(field)?.as_str()).unwrap_or_default()
}

/// How long ago the first of these times of an event is that it has.
fn seen(event: &Value, now: Timestamp, paths: &[&str]) -> Value {
    let found = paths.iter().find_map(|path| event.pointer(path)?.as_str());
    found.map_or_else(|| "<unknown>".into(), |time| age(time, now).into())
}

/// How long ago a time was, as kubectl writes it: `5s`, `3m12s`, `4h`, `2d`.
fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else {
        return "<invalid>".to_owned();
    };
    let seconds = now.as_second() - time.as_second();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    human(u64::try_from(seconds).unwrap_or(0))
}

fn human(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |large: u64, unit: char, small: u64, sub: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{sub}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        pair(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        pair(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        pair(days, 'd', hours % 24, 'h')
    } else if days < 365 * 2 {
        format!("{days}d")
    } else if days < 365 * 8 {
        pair(days / 365, 'y', days % 365, 'd')
    } else {
        format!("{}y", days / 365)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (100_000, "27h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (86_400 * 800, "2y70d"),
            (86_400 * 4000, "10y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        assert_eq!(age("2026-01-01T00:00:00Z", now), "60s");
        assert_eq!(age("2027-01-01T00:00:00Z", now), "<invalid>");
        assert_eq!(age("yesterday", now), "<invalid>");
    }

    #[test]
    fn columns_of_a_definition_are_evaluated_by_their_types() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
            {"name": "Devices", "type": "integer", "jsonPath": ".status.count"},
            {"name": "Targets", "type": "string", "jsonPath": ".spec.targets[*]", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]});
        let columns = columns(Rules::Custom, &version).unwrap();
        let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"targets": ["a", "b"]}, "status": {"count": 3}});
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        assert_eq!(cells(&columns, &object, now), json!(["x", null, 3, "a", "5s"]));
        let shown = definitions(&columns);
        assert_eq!(shown[0]["format"], "name");
        assert_eq!(shown[3]["priority"], 1);
        assert_eq!(shown[4]["type"], "date");
    }

    #[test]
    fn built_in_kinds_have_their_own_columns() {
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let meta = json!({"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let row = |rules, object: Value| cells(&columns(rules, &json!({})).unwrap(), &object, now);
        assert_eq!(
            row(Rules::ConfigMap, json!({"metadata": meta, "data": {"a": "1"}, "binaryData": {"b": "", "c": ""}})),
            json!(["x", 3, "5s"])
        );
        assert_eq!(row(Rules::Secret, json!({"metadata": meta, "type": "Opaque"})), json!(["x", "Opaque", 0, "5s"]));
        assert_eq!(
            row(
                Rules::Event,
                json!({"metadata": meta, "involvedObject": {"kind": "Device", "name": "d"}, "type": "Normal", "reason": "R",
                    "message": "m", "lastTimestamp": null, "eventTime": "2026-01-01T00:00:04.5Z"})
            ),
            json!(["1s", "Normal", "R", "device/d", "", "", "m", "1s", 1, "x"])
        );
    }

    #[test]
    fn a_path_that_cannot_be_read_is_an_error() {
        let version = json!({"additionalPrinterColumns": [{"name": "X", "type": "string", "jsonPath": "nonsense"}]});
        assert!(columns(Rules::Custom, &version).is_err());
    }
}
