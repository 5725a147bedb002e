//! Label and field selectors.

use crate::storage::Labels;

/// One demand on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Above(String, i64),
    Below(String, i64),
}

/// A label selector, as in `labelSelector=app in (a,b),!old`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Demand>);

impl LabelSelector {
    /// Parses a selector; `Err` says what cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let mut demands = Vec::new();
        if parser.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            demands.push(
                parser.demand().map_err(|why| format!("unable to parse requirement: {why} in selector {text:?}"))?,
            );
            match parser.take() {
                None => return Ok(Self(demands)),
                Some(',') => {}
                Some(other) => {
                    return Err(format!(
                        "unable to parse requirement: found '{other}', expected: ',' or end in selector {text:?}"
                    ));
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|demand| match demand {
            Demand::In(key, values) => labels.value(key).is_some_and(|found| values.iter().any(|value| value == found)),
            Demand::NotIn(key, values) => {
                !labels.value(key).is_some_and(|found| values.iter().any(|value| value == found))
            }
            Demand::Exists(key) => labels.value(key).is_some(),
            Demand::Absent(key) => labels.value(key).is_none(),
            Demand::Above(key, bound) => number(labels, key).is_some_and(|found| found > *bound),
            Demand::Below(key, bound) => number(labels, key).is_some_and(|found| found < *bound),
        })
    }
}

fn number(labels: &Labels, key: &str) -> Option<i64> {
    labels.value(key)?.parse().ok()
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// A key or a value: everything up to a character that has a meaning.
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end =
            self.rest.find(|char: char| char.is_whitespace() || "=!,()<>".contains(char)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn key(&mut self) -> Result<String, String> {
        let key = self.word();
        if !is_label_key(key) {
            return Err(format!("{key:?} is not a label key"));
        }
        Ok(key.to_owned())
    }

    fn demand(&mut self) -> Result<Demand, String> {
        if self.peek() == Some('!') {
            self.take();
            return Ok(Demand::Absent(self.key()?));
        }
        let key = self.key()?;
        match self.peek() {
            None | Some(',') => Ok(Demand::Exists(key)),
            Some('=') => {
                self.take();
                if self.rest.starts_with('=') {
                    self.take();
                }
                Ok(Demand::In(key, vec![self.value()?]))
            }
            Some('!') => {
                self.take();
                if self.take() != Some('=') {
                    return Err("expected '!='".to_owned());
                }
                Ok(Demand::NotIn(key, vec![self.value()?]))
            }
            Some('>') => {
                self.take();
                Ok(Demand::Above(key, self.integer()?))
            }
            Some('<') => {
                self.take();
                Ok(Demand::Below(key, self.integer()?))
            }
            Some(_) => match self.word() {
                "in" => Ok(Demand::In(key, self.values()?)),
                "notin" => Ok(Demand::NotIn(key, self.values()?)),
                other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
            },
        }
    }

    fn value(&mut self) -> Result<String, String> {
        let value = self.word();
        if !is_label_value(value) {
            return Err(format!("{value:?} is not a label value"));
        }
        Ok(value.to_owned())
    }

    fn integer(&mut self) -> Result<i64, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("{word:?} is not an integer"))
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.take() != Some('(') {
            return Err("expected: '('".to_owned());
        }
        let mut values = vec![self.value()?];
        loop {
            match self.take() {
                Some(',') => values.push(self.value()?),
                Some(')') => return Ok(values),
                _ => return Err("expected: ',' or ')'".to_owned()),
            }
        }
    }
}

/// Whether a text may be a label's (or an annotation's) key: `[prefix/]name`.
pub(crate) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_is_fine = prefix.is_none_or(crate::names::is_subdomain);
    prefix_is_fine && !name.is_empty() && is_label_value(name)
}

/// Whether a text may be a label's value.
pub(crate) fn is_label_value(value: &str) -> bool {
    let edge = |char: Option<char>| char.is_none_or(|char| char.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().next_back())
        && value.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
}

/// A field selector: `metadata.name=x,type!=Normal`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Parses a selector; `Err` says what cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut demands = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (field, wanted, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = part.split_once("==") {
                (field, true, value)
            } else if let Some((field, value)) = part.split_once('=') {
                (field, true, value)
            } else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            demands.push((field.trim().to_owned(), wanted, value.trim().to_owned()));
        }
        Ok(Self(demands))
    }

    /// The fields that are asked for.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(field, _, _)| field.as_str())
    }

    /// The one value a field must have, if the selector says so.
    pub(crate) fn exactly(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, wanted, _)| name == field && *wanted).map(|(_, _, value)| value.as_str())
    }

    /// Whether an object matches, given how to read a field of it.
    pub(crate) fn matches(&self, mut field: impl FnMut(&str) -> String) -> bool {
        self.0.iter().all(|(name, wanted, value)| (field(name) == *value) == *wanted)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::of(pairs.iter().copied())
    }

    fn matches(selector: &str, pairs: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&labels(pairs))
    }

    #[test]
    fn every_form_matches_what_it_says() {
        let have = [("app", "web"), ("tier", "3"), ("example.org/zone", "a")];
        for (selector, expected) in [
            ("", true),
            ("app", true),
            ("other", false),
            ("!app", false),
            ("!other", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier = 3", true),
            ("app=db", false),
            ("app!=web", false),
            ("app!=db", true),
            ("other!=x", true),
            ("app in (web,db)", true),
            ("app in (db)", false),
            ("app notin (db, cache)", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("tier>2", true),
            ("tier<3", false),
            ("app>1", false),
            ("example.org/zone=a,app in (web)", true),
            ("app=", false),
            ("other in ()", false),
        ] {
            assert_eq!(matches(selector, &have), expected, "{selector}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for broken in [
            "=a",
            "app=a=b",
            "app in a",
            "app in (a",
            "app,,b",
            "app ~ b",
            "a b",
            "/x",
            "tier>x",
            "!",
            "app!",
            "_a=b",
            "app=a b",
        ] {
            assert!(LabelSelector::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn field_selectors_compare_fields() {
        let selector = FieldSelector::parse("metadata.name=x,type!=Normal").unwrap();
        let read = |name: &str, kind: &str| {
            let (name, kind) = (name.to_owned(), kind.to_owned());
            selector.matches(move |field| if field == "type" { kind.clone() } else { name.clone() })
        };
        assert!(read("x", "Warning"));
        assert!(!read("x", "Normal"));
        assert!(!read("y", "Warning"));
        assert_eq!(selector.exactly("metadata.name"), Some("x"));
        assert_eq!(selector.exactly("type"), None);
        assert!(FieldSelector::parse("nonsense").is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = LabelSelector::parse(&text);
            let _ = FieldSelector::parse(&text);
        }

        #[test]
        fn in_and_notin_are_opposites(key in "[a-c]", value in "[a-c]", asked in "[a-c]") {
            let have = [(key.as_str(), value.as_str())];
            prop_assert_ne!(
                matches(&format!("a in ({asked})"), &have),
                matches(&format!("a notin ({asked})"), &have)
            );
        }
    }
}
