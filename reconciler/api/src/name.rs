//! Names of objects.

use std::fmt;
use std::str::FromStr;

use crate::scalar::{ScalarError, text_scalar};

/// The longest name: names are also label values, which Kubernetes limits to 63 characters.
pub const MAX_NAME: usize = 63;

/// The name of a Device, Application, Gateway or Fleet: an RFC 1123 name of at most 63 characters
/// (`a-z`, `0-9`, `-` and `.`; each part between dots begins and ends with a letter or digit).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let part = |part: &str| {
            let bytes = part.as_bytes();
            bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
                && bytes.first().is_some_and(|&b| alphanumeric(b))
                && bytes.last().is_some_and(|&b| alphanumeric(b))
        };
        if text.len() <= MAX_NAME && text.split('.').all(part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScalarError::new(
                "a name of at most 63 characters `a-z`, `0-9`, `-` and `.` that begins and ends with a letter or digit (RFC 1123), such as `sensor-1`",
                text,
            ))
        }
    }
}

text_scalar!(Name, "name", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", MAX_NAME);
