//! `metadata.managedFields`: reading and writing the list of field managers.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::field_set::FieldSet;

/// How many managers that used `Update` an object remembers by name.
const MAX_UPDATERS: usize = 10;

/// Who manages fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    /// `Apply`, as opposed to `Update`.
    pub(super) applies: bool,
    pub(super) name: String,
    /// `""` for the object itself, or `status`.
    pub(super) subresource: String,
    /// Part of an updater's identity, not of an applier's.
    pub(super) api_version: String,
}

impl Manager {
    /// Whether both are the same manager: an applier is one whatever version it applies in.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.applies == other.applies
            && self.name == other.name
            && self.subresource == other.subresource
            && (self.applies || self.api_version == other.api_version)
    }
}

/// A manager with what it owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) manager: Manager,
    pub(super) fields: FieldSet,
    /// RFC 3339, in seconds.
    pub(super) time: Option<String>,
}

/// All managers of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managers(pub(super) Vec<Owned>);

impl Managers {
    /// Reads `managedFields`; `None` if it is not a well-formed list.
    pub(super) fn read(json: &Value) -> Option<Self> {
        let entries = json.as_array()?;
        let mut managers = Self::default();
        for entry in entries {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
            let applies = match text("operation") {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
                return None;
            }
            let manager = Manager {
                applies,
                name: text("manager").to_owned(),
                subresource: text("subresource").to_owned(),
                api_version: text("apiVersion").to_owned(),
            };
            let fields = match entry.get("fieldsV1") {
                Some(fields) => FieldSet::from_json(fields)?,
                None => FieldSet::default(),
            };
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            managers.set(manager, fields, time);
        }
        Some(managers)
    }

    pub(super) fn find(&self, manager: &Manager) -> Option<&Owned> {
        self.0.iter().find(|owned| owned.manager.is(manager))
    }

    /// Puts what a manager owns, in place of what it owned.
    pub(super) fn set(&mut self, manager: Manager, fields: FieldSet, time: Option<String>) {
        self.0.retain(|owned| !owned.manager.is(&manager));
        self.0.push(Owned { manager, fields, time });
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|owned| !owned.fields.is_empty());
    }

    /// Merges the oldest updaters into one where there are too many.
    pub(super) fn cap(&mut self) {
        self.sort();
        let updaters: Vec<usize> = (0..self.0.len()).filter(|&index| !self.0[index].manager.applies).collect();
        if updaters.len() <= MAX_UPDATERS {
            return;
        }
        // Sorted by time: the first ones are the oldest. One entry takes the place of all that go.
        let surplus = updaters.len() - MAX_UPDATERS + 1;
        let mut ancient: Option<Owned> = None;
        for index in updaters[..surplus].iter().rev() {
            let old = self.0.remove(*index);
            ancient = Some(match ancient {
                None => Owned {
                    manager: Manager { name: "ancient-changes".to_owned(), subresource: String::new(), ..old.manager },
                    ..old
                },
                Some(newer) => Owned { fields: newer.fields.union(&old.fields), ..newer },
            });
        }
        if let Some(ancient) = ancient {
            let fields = match self.find(&ancient.manager) {
                Some(known) => known.fields.union(&ancient.fields),
                None => ancient.fields,
            };
            self.set(ancient.manager, fields, ancient.time);
        }
    }

    fn sort(&mut self) {
        let seconds = |owned: &Owned| {
            let time = owned.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
            time.map_or(0, Timestamp::as_second)
        };
        // Kubernetes sorts "Apply" before "Update".
        self.0.sort_by(|left, right| {
            (!left.manager.applies)
                .cmp(&!right.manager.applies)
                .then_with(|| seconds(left).cmp(&seconds(right)))
                .then_with(|| left.manager.name.cmp(&right.manager.name))
                .then_with(|| left.manager.api_version.cmp(&right.manager.api_version))
                .then_with(|| left.manager.subresource.cmp(&right.manager.subresource))
        });
    }

    /// Writes the list in the order Kubernetes keeps; `None` where nobody manages anything.
    pub(super) fn write(mut self) -> Option<Value> {
        self.drop_empty();
        self.sort();
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.into_iter().map(Owned::json).collect())
    }
}

impl Owned {
    fn json(self) -> Value {
        let mut entry = Map::new();
        entry.insert("manager".to_owned(), self.manager.name.into());
        let operation = if self.manager.applies { "Apply" } else { "Update" };
        entry.insert("operation".to_owned(), operation.into());
        entry.insert("apiVersion".to_owned(), self.manager.api_version.into());
        if let Some(time) = self.time {
            entry.insert("time".to_owned(), time.into());
        }
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), self.fields.to_json());
        if !self.manager.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.manager.subresource.into());
        }
        Value::Object(entry)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn updater(name: &str, second: u32) -> Value {
        json!({"manager": name, "operation": "Update", "apiVersion": "v1", "time": format!("2026-01-01T00:00:{second:02}Z"),
            "fieldsType": "FieldsV1", "fieldsV1": {format!("f:{name}"): {}}})
    }

    #[test]
    fn a_list_reads_back_sorted_appliers_first_then_by_time() {
        let list = json!([updater("b", 1), updater("a", 2),
            {"manager": "z", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:z": {}}, "subresource": "status"}]);
        let names: Vec<String> = Managers::read(&list)
            .unwrap()
            .write()
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["manager"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["z", "b", "a"]);
    }

    #[test]
    fn malformed_lists_are_none() {
        for broken in [
            json!({}),
            json!([{"operation": "Other", "apiVersion": "v1", "fieldsType": "FieldsV1"}]),
            json!([{"operation": "Apply", "fieldsType": "FieldsV1"}]),
            json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV2"}]),
            json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"?": {}}}]),
        ] {
            assert_eq!(Managers::read(&broken), None, "{broken}");
        }
    }

    #[test]
    fn the_oldest_of_too_many_updaters_are_merged() {
        let list: Value = (0..13).map(|n| updater(&format!("m{n:02}"), n)).collect();
        let mut managers = Managers::read(&list).unwrap();
        managers.cap();
        assert_eq!(managers.0.len(), MAX_UPDATERS);
        let ancient = managers.0.iter().find(|owned| owned.manager.name == "ancient-changes").unwrap();
        assert_eq!(ancient.fields.paths(), [".m00", ".m01", ".m02", ".m03"]);
    }
}
