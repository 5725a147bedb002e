//! Where something listens.

use std::fmt;
use std::str::FromStr;

use crate::scalar::{ScalarError, text_scalar};

/// A host name or address with an optional port: `gateway-1.example.org:8443`, `192.0.2.7`, `[2001:db8::7]:8443`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: String,
    /// The port; what listens there has a default otherwise.
    pub port: Option<u16>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Endpoint {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        split(text)
            .ok_or_else(|| ScalarError::new("a host with an optional port, such as `gateway-1.example.org:8443`", text))
    }
}

fn split(text: &str) -> Option<Endpoint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let literal = !host.is_empty()
                && host.len() <= 45
                && host.contains(':')
                && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
            (
                Some(host).filter(|_| literal)?,
                (!port.is_empty()).then(|| port.strip_prefix(':')).map_or(Some(None), |p| p.map(Some))?,
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = text.starts_with('[')
        || (!host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && host.as_bytes()[0].is_ascii_alphanumeric());
    if !named {
        return None;
    }
    let port = match port {
        // Five digits at most and not above 65535; the schema's pattern says the same.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
        None => None,
    };
    Some(Endpoint { host: host.to_owned(), port })
}

text_scalar!(
    Endpoint,
    "endpoint",
    r"^([A-Za-z0-9][-A-Za-z0-9.]{0,252}|\[[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f:.]{0,40}\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$",
    320
);
