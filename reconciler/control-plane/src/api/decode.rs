//! Reading JSON and YAML, noticing fields that are there twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::status::ApiError;

/// A value as it was sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// The paths of fields that were there more than once; the last one counts.
    pub(crate) duplicates: Vec<String>,
}

/// Reads JSON.
pub(crate) fn json(body: &[u8]) -> Result<Decoded, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let decoded = decode(&mut deserializer).and_then(|decoded| deserializer.end().map(|()| decoded));
    decoded.map_err(|error| ApiError::bad_request(format!("the body of the request is not valid JSON: {error}")))
}

/// Reads YAML, of which JSON is a part.
pub(crate) fn yaml(body: &[u8]) -> Result<Decoded, ApiError> {
    // kube-rs sends JSON as YAML, and reading JSON is the faster of the two.
    if let Ok(decoded) = json(body) {
        return Ok(decoded);
    }
    decode(serde_yaml::Deserializer::from_slice(body))
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decoded, D::Error> {
    let mut place = Place::default();
    let value = Node(&mut place).deserialize(deserializer)?;
    Ok(Decoded { value, duplicates: place.duplicates })
}

/// Where in the value the reader is.
#[derive(Default)]
struct Place {
    steps: Vec<Step>,
    duplicates: Vec<String>,
}

enum Step {
    Field(String),
    Index(usize),
}

impl Place {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

struct Node<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value that JSON knows")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.0.steps.push(Step::Index(list.len()));
            let item = items.next_element_seed(Node(self.0))?;
            self.0.steps.pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.0.steps.push(Step::Field(name.clone()));
            let value = entries.next_value_seed(Node(self.0))?;
            if map.insert(name, value).is_some() {
                let path = self.0.path();
                self.0.duplicates.push(path);
            }
            self.0.steps.pop();
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_are_read_alike() {
        let expected = json!({"a": [1, -2, 2.5, "x", true, null], "b": {"c": {}}});
        assert_eq!(json(expected.to_string().as_bytes()).unwrap().value, expected);
        let text = "a: [1, -2, 2.5, x, true, null]\nb:\n  c: {}\n";
        assert_eq!(yaml(text.as_bytes()).unwrap().value, expected);
    }

    #[test]
    fn fields_that_are_there_twice_are_named_and_the_last_counts() {
        let decoded = json(br#"{"spec": {"a": 1, "l": [{"b": 1, "b": 2}], "a": 2}, "spec2": {}}"#).unwrap();
        assert_eq!(decoded.duplicates, ["spec.l[0].b", "spec.a"]);
        assert_eq!(decoded.value["spec"], json!({"a": 2, "l": [{"b": 2}]}));
        assert_eq!(yaml(b"a:\n  b: 1\n  b: 2\n").unwrap().duplicates, ["a.b"]);
    }

    #[test]
    fn what_is_neither_is_a_bad_request() {
        assert_eq!(json(b"{").unwrap_err().code.as_u16(), 400);
        assert_eq!(json(b"{} {}").unwrap_err().code.as_u16(), 400);
        assert_eq!(yaml(b"a: [").unwrap_err().code.as_u16(), 400);
        assert_eq!(yaml(b"? [1]\n: 2\n").unwrap_err().code.as_u16(), 400);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[\\[\\]{}:,\"a0 \\n&*!|>?-]{0,40}") {
            let _ = json(text.as_bytes());
            let _ = yaml(text.as_bytes());
        }

        #[test]
        fn json_is_read_as_serde_reads_it(text in "[\\[\\]{}:,\"a0.e-]{0,20}") {
            let ours = json(text.as_bytes()).ok().map(|decoded| decoded.value);
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }
    }
}
