//! One object as it is kept: its JSON text, and the little that is looked at often.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;

/// Labels, packed into one allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Option<Box<str>>);

impl Labels {
    pub(crate) fn of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut packed = String::new();
        for (key, value) in pairs {
            packed.push_str(key);
            packed.push('\0');
            packed.push_str(value);
            packed.push('\0');
        }
        Self((!packed.is_empty()).then(|| packed.into_boxed_str()))
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let mut parts = self.0.as_deref()?.split('\0');
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            if name == key {
                return Some(value);
            }
        }
        None
    }
}

/// What of an object's metadata is kept parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) labels: Labels,
    pub(crate) uid: Box<str>,
    /// The uids of `ownerReferences`.
    pub(crate) owners: Box<[Box<str>]>,
    /// Has a `deletionTimestamp`.
    pub(crate) deleting: bool,
}

/// An object ready to be stored, but for its `resourceVersion`.
#[derive(Debug)]
pub(crate) struct Draft {
    json: Vec<u8>,
    /// Where in `json` the digits of the resourceVersion go.
    at: u32,
    head: Head,
}

impl Draft {
    /// Takes the object as it is, with whatever resourceVersion it has forgotten.
    pub(crate) fn new(object: &Value) -> Self {
        let mut json = Vec::with_capacity(1024);
        let mut at = 0;
        let nothing = serde_json::Map::new();
        let object_map = object.as_object().unwrap_or(&nothing);
        json.push(b'{');
        for (name, value) in object_map {
            if name == "metadata" {
                continue;
            }
            write_pair(&mut json, name, value);
            json.push(b',');
        }
        json.extend_from_slice(b"\"metadata\":{");
        if let Some(metadata) = object_map.get("metadata").and_then(Value::as_object) {
            for (name, value) in metadata {
                if name != "resourceVersion" {
                    write_pair(&mut json, name, value);
                    json.push(b',');
                }
            }
        }
        json.extend_from_slice(b"\"resourceVersion\":\"");
        at += json.len();
        json.extend_from_slice(b"\"}}");
        Self { at: u32::try_from(at).expect("bodies are bounded to a few MiB"), json, head: Head::of(object) }
    }

    /// The object at its version.
    pub(crate) fn at_version(self, version: u64) -> Stored {
        let digits = version.to_string();
        let at = self.at as usize;
        let mut json = Vec::with_capacity(self.json.len() + digits.len());
        json.extend_from_slice(&self.json[..at]);
        json.extend_from_slice(digits.as_bytes());
        json.extend_from_slice(&self.json[at..]);
        Stored { version, json: json.into(), at: self.at, head: self.head }
    }
}

fn write_pair(out: &mut Vec<u8>, name: &str, value: &Value) {
    serde_json::to_writer(&mut *out, name).expect("text is JSON and memory takes it");
    out.push(b':');
    serde_json::to_writer(&mut *out, value).expect("a value is JSON and memory takes it");
}

impl Head {
    fn of(object: &Value) -> Self {
        let metadata = object.get("metadata");
        let labels = metadata
            .and_then(|metadata| metadata.get("labels")?.as_object())
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        let owners = metadata
            .and_then(|metadata| metadata.get("ownerReferences")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(|owner| owner.get("uid")?.as_str());
        let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)?.as_str());
        Self {
            labels: Labels::of(labels),
            uid: text("uid").unwrap_or_default().into(),
            owners: owners.map(Box::from).collect(),
            deleting: text("deletionTimestamp").is_some(),
        }
    }
}

/// An object at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    json: Bytes,
    at: u32,
    head: Head,
}

impl Stored {
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The object as JSON.
    pub(crate) fn json(&self) -> &Bytes {
        &self.json
    }

    /// The object, parsed.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("only JSON is stored, and it is checked when the file is opened")
    }

    /// The same object with another version, as the last event of a deleted object has.
    pub(crate) fn reversioned(&self, version: u64) -> Self {
        let at = self.at as usize;
        let end = at + self.version.to_string().len();
        let mut json = Vec::with_capacity(self.json.len() + 2);
        json.extend_from_slice(&self.json[..at]);
        json.extend_from_slice(version.to_string().as_bytes());
        json.extend_from_slice(&self.json[end..]);
        Self { version, json: json.into(), at: self.at, head: self.head.clone() }
    }

    /// The form on disk.
    pub(super) fn to_disk(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + self.json.len());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.json);
        out
    }

    /// Reads the form on disk; `Err` says what is wrong with it.
    pub(super) fn from_disk(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            #[serde(default)]
            labels: BTreeMap<String, String>,
            uid: Box<str>,
            #[serde(default)]
            owner_references: Vec<Owner>,
            deletion_timestamp: Option<IgnoredAny>,
            resource_version: String,
        }
        #[derive(Deserialize)]
        struct Owner {
            uid: Box<str>,
        }
        let (version, rest) = bytes.split_first_chunk::<8>().ok_or("an entry is too short")?;
        let (at, json) = rest.split_first_chunk::<4>().ok_or("an entry is too short")?;
        let version = u64::from_le_bytes(*version);
        let at = u32::from_le_bytes(*at);
        let object: Object = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let metadata = object.metadata;
        let digits = version.to_string();
        let stands = json.get(at as usize..).is_some_and(|rest| rest.starts_with(digits.as_bytes()));
        if metadata.resource_version != digits || !stands {
            return Err(format!("an entry does not hold the version {digits} it is stored at"));
        }
        Ok(Self {
            version,
            json: Bytes::copy_from_slice(json),
            at,
            head: Head {
                labels: Labels::of(metadata.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
                uid: metadata.uid,
                owners: metadata.owner_references.into_iter().map(|owner| owner.uid).collect(),
                deleting: metadata.deletion_timestamp.is_some(),
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"resourceVersion": "not this one"}, "metadata": {
            "name": "x", "uid": "u", "labels": {"a": "1", "b": ""}, "resourceVersion": "7",
            "ownerReferences": [{"uid": "o"}], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    }

    #[test]
    fn a_version_is_written_into_its_place_and_can_be_changed() {
        let stored = Draft::new(&sample()).at_version(99);
        let mut expected = sample();
        expected["metadata"]["resourceVersion"] = "99".into();
        assert_eq!(stored.value(), expected);
        expected["metadata"]["resourceVersion"] = "100".into();
        assert_eq!(stored.reversioned(100).value(), expected);
        assert_eq!(stored.reversioned(5).reversioned(12345).version, 12345);
    }

    #[test]
    fn an_object_reads_back_from_disk_as_it_was() {
        let stored = Draft::new(&sample()).at_version(42);
        assert_eq!(Stored::from_disk(&stored.to_disk()).unwrap(), stored);
        assert_eq!(stored.head().labels.value("a"), Some("1"));
        assert_eq!(stored.head().labels.value("b"), Some(""));
        assert_eq!(stored.head().labels.value("c"), None);
        assert_eq!(*stored.head().owners, [Box::from("o")]);
        assert!(stored.head().deleting);
    }

    #[test]
    fn a_damaged_entry_is_an_error() {
        let disk = Draft::new(&sample()).at_version(42).to_disk();
        assert!(Stored::from_disk(&disk[..5]).is_err());
        assert!(Stored::from_disk(&disk[..disk.len() - 1]).is_err());
        let mut other_version = disk.clone();
        other_version[0] = 43;
        assert!(Stored::from_disk(&other_version).is_err());
        let mut other_place = disk;
        other_place[8] ^= 1;
        assert!(Stored::from_disk(&other_place).is_err());
    }
}
