//! The JSON paths of printer columns: `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// Negative counts from the end.
    Index(i64),
    All,
    /// `..name`: at any depth.
    Deep(String),
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    path: JsonPath,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Compare(Comparison, Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Parses a path, with or without the surrounding braces; `Err` says what cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
        let fail = |why: &str| format!("{why} in JSON path {text:?}");
        let mut steps = Vec::new();
        let mut rest = inner.strip_prefix(['$', '@']).unwrap_or(inner);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                let (name, after) = name(after);
                if name.is_empty() {
                    return Err(fail("no name after '..'"));
                }
                steps.push(Step::Deep(name));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('.') {
                let (name, after) = name(after);
                match name.as_str() {
                    "" if after.starts_with('[') || after.is_empty() => {}
                    "" => return Err(fail("no name after '.'")),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = after;
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after).ok_or_else(|| fail("no ']'"))?;
                steps.push(bracket(after[..end].trim()).map_err(|why| fail(&why))?);
                rest = &after[end + 1..];
            } else {
                return Err(fail("expected '.' or '['"));
            }
        }
        Ok(Self(steps))
    }

    /// Every value the path leads to.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| take(step, value)).collect();
        }
        found
    }
}

fn take<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::All => match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Index(index) => {
            let Some(list) = value.as_array() else {
                return Vec::new();
            };
            let at = usize::try_from(*index)
                .ok()
                .or_else(|| list.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?));
            at.and_then(|at| list.get(at)).into_iter().collect()
        }
        Step::Deep(name) => {
            let mut found = Vec::new();
            deep(name, value, &mut found);
            found
        }
        Step::Filter(filter) => match value {
            Value::Array(list) => list.iter().filter(|item| filter.keeps(item)).collect(),
            _ => Vec::new(),
        },
    }
}

fn deep<'a>(name: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(name));
            map.values().for_each(|item| deep(name, item, found));
        }
        Value::Array(list) => list.iter().for_each(|item| deep(name, item, found)),
        _ => {}
    }
}

impl Filter {
    fn keeps(&self, item: &Value) -> bool {
        let found = self.path.find(item);
        let Some(found) = found.first() else {
            return false;
        };
        match &self.test {
            Test::Exists => true,
            Test::Compare(comparison, wanted) => {
                let order = match (found, wanted) {
                    (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
                    (found, wanted) => match (found.as_f64(), wanted.as_f64()) {
                        (Some(found), Some(wanted)) => found.partial_cmp(&wanted),
                        _ => (*found == wanted).then_some(std::cmp::Ordering::Equal),
                    },
                };
                match comparison {
                    Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
                    Comparison::Differs => !order.is_some_and(std::cmp::Ordering::is_eq),
                    Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                    Comparison::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
                    Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
                    Comparison::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
                }
            }
        }
    }
}

/// A name up to the next step; a backslash takes the next character as it is.
fn name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => name.extend(chars.next().map(|(_, char)| char)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(char),
        }
    }
    (name, "")
}

/// Where the bracket that is open closes, quotes and inner brackets aside.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(char),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Some(inner) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        return filter(inner.trim()).map(Step::Filter);
    }
    text.parse().map(Step::Index).map_err(|_| format!("{text:?} is no index, name or filter"))
}

fn quoted(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"'))
}

fn filter(text: &str) -> Result<Filter, String> {
    let signs = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Differs),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (sign, comparison) in signs {
        let Some((left, right)) = text.split_once(sign) else {
            continue;
        };
        let right = right.trim();
        let wanted = match quoted(right) {
            Some(text) => Value::from(text),
            None => serde_json::from_str(right).map_err(|_| format!("{right:?} is no value"))?,
        };
        return Ok(Filter { path: JsonPath::parse(left.trim())?, test: Test::Compare(comparison, wanted) });
    }
    Ok(Filter { path: JsonPath::parse(text)?, test: Test::Exists })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Value {
        let value = json!({
            "spec": {"a": 1, "list": [10, 20, 30], "dotted.name": "d", "m": {"x": 1, "y": 2}},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "n": 1}, {"type": "Synced", "status": "False", "n": 2, "extra": 0}]}});
        JsonPath::parse(path).unwrap().find(&value).into_iter().cloned().collect()
    }

    #[test]
    fn each_form_finds_what_it_names() {
        for (path, expected) in [
            (".spec.a", json!([1])),
            ("{.spec.a}", json!([1])),
            ("$.spec.a", json!([1])),
            (".spec.missing.deeper", json!([])),
            (".spec.list[0]", json!([10])),
            (".spec.list[-1]", json!([30])),
            (".spec.list[7]", json!([])),
            (".spec.list[-7]", json!([])),
            (".spec.list[*]", json!([10, 20, 30])),
            (".spec.m.*", json!([1, 2])),
            (".spec['dotted.name']", json!(["d"])),
            (".spec.dotted\\.name", json!(["d"])),
            (".status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".status.conditions[?(@.type=='Synced')].status", json!(["False"])),
            (".status.conditions[?(@.type!='Synced')].status", json!(["True"])),
            (".status.conditions[?(@.n>1)].type", json!(["Synced"])),
            (".status.conditions[?(@.n<=1)].type", json!(["Ready"])),
            (".status.conditions[?(@.extra)].type", json!(["Synced"])),
            (
                "..status",
                json!([{"conditions": [{"type": "Ready", "status": "True", "n": 1}, {"type": "Synced", "status": "False", "n": 2, "extra": 0}]}, "True", "False"]),
            ),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for broken in ["spec", ".spec[", ".spec[x]", ".a[?(@.b==)]", "..", ".a..[0]"] {
            assert!(JsonPath::parse(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn parsing_and_finding_never_panic(text in "[.$@\\[\\]?()=<>!'\"*a-c0-9\\\\ -]{0,24}") {
            if let Ok(path) = JsonPath::parse(&text) {
                path.find(&json!({"a": [{"b": 1}, {"c": "x"}], "b": {"a": []}}));
            }
        }
    }
}
