//! What an application is allowed to touch.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalar::{ScalarError, text_scalar};

/// What an application may touch; log, time, sleep and configuration need no grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Topics the application may publish to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<TopicPattern>,
    /// Digital pins of the board the application may open, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpio: Vec<PinName>,
    /// Analogue inputs of the board the application may read, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adc: Vec<PinName>,
    /// Hosts the application may probe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<HostPort>,
}

/// The longest topic, in bytes.
pub const MAX_TOPIC: usize = 64;

/// A topic such as `weather/indoor`, or everything below a prefix: `weather/*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPattern(String);

impl TopicPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic is covered.
    pub fn matches(&self, topic: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => topic.len() > prefix.len() && topic.starts_with(prefix),
            None => topic == self.0,
        }
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TopicPattern {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level =
            |level: &str| !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let levels = text.strip_suffix("/*").unwrap_or(text);
        if text.len() <= MAX_TOPIC && (text == "*" || levels.split('/').all(level)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScalarError::new(
                "a topic of at most 64 characters such as `weather/indoor`, or a prefix such as `weather/*`",
                text,
            ))
        }
    }
}

text_scalar!(TopicPattern, "topic", r"^(\*|[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*(/\*)?)$", MAX_TOPIC);

/// The name a board gives to a pin, such as `led0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinName(String);

impl PinName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PinName {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=32).contains(&text.len()) && text.bytes().all(letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScalarError::new("the name of a pin of at most 32 characters, such as `led0`", text))
        }
    }
}

text_scalar!(PinName, "pin", "^[A-Za-z0-9._-]+$", 32);

/// A host and a port, such as `example.org:80`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort(crate::endpoint::Endpoint);

impl HostPort {
    /// Host name or address.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port.unwrap_or_default()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HostPort {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<crate::endpoint::Endpoint>() {
            Ok(endpoint) if endpoint.port.is_some() => Ok(Self(endpoint)),
            _ => Err(ScalarError::new("a host and a port, such as `example.org:80`", text)),
        }
    }
}

text_scalar!(
    HostPort,
    "hostPort",
    r"^([A-Za-z0-9][-A-Za-z0-9.]{0,252}|\[[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f:.]{0,40}\]):([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    320
);
