//! Bodies in Protobuf, which `kubectl create configmap|secret|namespace` sends. Only what those kinds have is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::resource::Rules;

/// What stands before every Protobuf object of Kubernetes.
const MAGIC: &[u8] = b"k8s\0";

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Time,
    /// A time to the microsecond.
    MicroTime,
    Message(&'static [Field]),
    TextMap,
    BytesMap,
}

/// A field of a message: its number, its name, what it holds, and whether there may be many.
type Field = (u64, &'static str, Kind, bool);

const OWNER: &[Field] = &[
    (1, "kind", Kind::Text, false),
    (3, "name", Kind::Text, false),
    (4, "uid", Kind::Text, false),
    (5, "apiVersion", Kind::Text, false),
    (6, "controller", Kind::Boolean, false),
    (7, "blockOwnerDeletion", Kind::Boolean, false),
];

const METADATA: &[Field] = &[
    (1, "name", Kind::Text, false),
    (2, "generateName", Kind::Text, false),
    (3, "namespace", Kind::Text, false),
    (5, "uid", Kind::Text, false),
    (6, "resourceVersion", Kind::Text, false),
    (7, "generation", Kind::Integer, false),
    (8, "creationTimestamp", Kind::Time, false),
    (9, "deletionTimestamp", Kind::Time, false),
    (10, "deletionGracePeriodSeconds", Kind::Integer, false),
    (11, "labels", Kind::TextMap, false),
    (12, "annotations", Kind::TextMap, false),
    (13, "ownerReferences", Kind::Message(OWNER), true),
    (14, "finalizers", Kind::Text, true),
];

const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA), false),
    (2, "data", Kind::TextMap, false),
    (3, "binaryData", Kind::BytesMap, false),
    (4, "immutable", Kind::Boolean, false),
];

const SECRET: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA), false),
    (2, "data", Kind::BytesMap, false),
    (3, "type", Kind::Text, false),
    (4, "stringData", Kind::TextMap, false),
    (5, "immutable", Kind::Boolean, false),
];

const NAMESPACE: &[Field] = &[
    (1, "metadata", Kind::Message(METADATA), false),
    (2, "spec", Kind::Message(&[(1, "finalizers", Kind::Text, true)]), false),
];

const LEASE: &[Field] =
    &[(1, "metadata", Kind::Message(METADATA), false), (2, "spec", Kind::Message(LEASE_SPEC), false)];

const LEASE_SPEC: &[Field] = &[
    (1, "holderIdentity", Kind::Text, false),
    (2, "leaseDurationSeconds", Kind::Integer, false),
    (3, "acquireTime", Kind::MicroTime, false),
    (4, "renewTime", Kind::MicroTime, false),
    (5, "leaseTransitions", Kind::Integer, false),
];

/// Whether bodies of a kind may come in Protobuf.
pub(crate) fn is_read(rules: Rules) -> bool {
    fields(rules).is_some()
}

fn fields(rules: Rules) -> Option<&'static [Field]> {
    match rules {
        Rules::ConfigMap => Some(CONFIG_MAP),
        Rules::Secret => Some(SECRET),
        Rules::Namespace => Some(NAMESPACE),
        Rules::Lease => Some(LEASE),
        _ => None,
    }
}

/// Reads an object; `None` if the body is none of the kind.
pub(crate) fn read(rules: Rules, body: &[u8]) -> Option<Value> {
    const TYPE: &[Field] = &[(1, "apiVersion", Kind::Text, false), (2, "kind", Kind::Text, false)];
    let unknown = body.strip_prefix(MAGIC)?;
    let (mut kind, mut content) = (Map::new(), &[][..]);
    for part in Parts(unknown) {
        match part? {
            (1, Part::Bytes(bytes)) => kind = message(TYPE, bytes)?,
            (2, Part::Bytes(bytes)) => content = bytes,
            _ => {}
        }
    }
    let mut object = message(fields(rules)?, content)?;
    object.append(&mut kind);
    Some(Value::Object(object))
}

/// Reads a message. What is empty is left out: Kubernetes writes every field.
fn message(fields: &[Field], bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    for part in Parts(bytes) {
        let (number, part) = part?;
        let Some((_, name, kind, many)) = fields.iter().find(|(known, ..)| *known == number) else {
            continue;
        };
        if let (Kind::TextMap | Kind::BytesMap, Part::Bytes(bytes)) = (kind, &part) {
            let (key, value) = entry(bytes, matches!(kind, Kind::BytesMap))?;
            let map = out.entry(*name).or_insert_with(|| json!({}));
            map.as_object_mut()?.insert(key, value);
            continue;
        }
        let Some(value) = value(*kind, part)? else {
            continue;
        };
        if *many {
            out.entry(*name).or_insert_with(|| json!([])).as_array_mut()?.push(value);
        } else {
            out.insert((*name).to_owned(), value);
        }
    }
    Some(out)
}

/// Reads a value: `None` if it is malformed, `Some(None)` if it says nothing.
fn value(kind: Kind, part: Part<'_>) -> Option<Option<Value>> {
    Some(match (kind, part) {
        (Kind::Text, Part::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.is_empty()).then(|| text.into())
        }
        (Kind::Integer, Part::Number(number)) => {
            let number = number.cast_signed();
            (number != 0).then(|| number.into())
        }
        (Kind::Boolean, Part::Number(number)) => Some((number != 0).into()),
        (Kind::Time | Kind::MicroTime, Part::Bytes(bytes)) => {
            let time = message(&[(1, "seconds", Kind::Integer, false), (2, "nanos", Kind::Integer, false)], bytes)?;
            let number = |name: &str| time.get(name).and_then(Value::as_i64).unwrap_or(0);
            if time.is_empty() {
                return Some(None);
            }
            let nanos = i32::try_from(number("nanos")).ok()?;
            let time = jiff::Timestamp::new(number("seconds"), nanos).ok()?;
            Some(match kind {
                Kind::MicroTime => format!("{time:.6}").into(),
                _ => format!("{time:.0}").into(),
            })
        }
        (Kind::Message(fields), Part::Bytes(bytes)) => {
            let inner = message(fields, bytes)?;
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        _ => return None,
    })
}

/// An entry of a map.
fn entry(bytes: &[u8], encoded: bool) -> Option<(String, Value)> {
    let (mut key, mut value) = (&[][..], &[][..]);
    for part in Parts(bytes) {
        match part? {
            (1, Part::Bytes(bytes)) => key = bytes,
            (2, Part::Bytes(bytes)) => value = bytes,
            _ => return None,
        }
    }
    let key = String::from_utf8(key.to_vec()).ok()?;
    let value = if encoded { STANDARD.encode(value) } else { String::from_utf8(value.to_vec()).ok()? };
    Some((key, value.into()))
}

enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in the order they come; `None` where it is malformed, after which nothing comes.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Option<(u64, Part<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part)
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<(u64, Part<'a>)> {
        let key = self.varint()?;
        let part = match key & 7 {
            0 => Part::Number(self.varint()?),
            1 => Part::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Part::Bytes(self.take(length)?)
            }
            5 => Part::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, part))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn enveloped(kind: &str, content: &[u8]) -> Vec<u8> {
        let kind = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &kind), bytes(2, content), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn a_config_map_is_read_and_what_is_empty_is_left_out() {
        let label = [bytes(1, b"k"), bytes(2, b"v")].concat();
        let time = bytes(8, b"");
        let metadata =
            [bytes(1, b"m"), bytes(2, b""), vec![7 << 3, 0], time, bytes(11, &label), bytes(14, b"f")].concat();
        let content = [bytes(1, &metadata), bytes(2, &label), bytes(3, &label), vec![4 << 3, 1]].concat();
        assert_eq!(
            read(Rules::ConfigMap, &enveloped("ConfigMap", &content)).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"k": "v"}, "finalizers": ["f"]},
                "data": {"k": "v"}, "binaryData": {"k": "dg=="}, "immutable": true})
        );
    }

    #[test]
    fn times_are_read_to_their_precision() {
        let time = [vec![1 << 3, 0x80, 0xa3, 0x05], vec![2 << 3, 0xc0, 0x84, 0x3d]].concat();
        let content = bytes(2, &[bytes(1, b"me"), bytes(4, &time)].concat());
        let lease = read(Rules::Lease, &enveloped("Lease", &content)).unwrap();
        assert_eq!(lease["spec"], json!({"holderIdentity": "me", "renewTime": "1970-01-02T00:00:00.001000Z"}));
    }

    #[test]
    fn other_bodies_are_none() {
        assert_eq!(read(Rules::ConfigMap, b"{}"), None);
        assert_eq!(read(Rules::ConfigMap, &enveloped("ConfigMap", &[0x0a, 0xff])), None);
        assert_eq!(read(Rules::Custom, &enveloped("Device", b"")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(Rules::Secret, &[MAGIC, &body].concat());
            let _ = message(METADATA, &body);
        }
    }
}
