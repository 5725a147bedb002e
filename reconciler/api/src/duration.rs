//! Spans of time as Kubernetes and Go write them.

use std::fmt;
use std::str::FromStr;

use crate::scalar::{ScalarError, text_scalar};

/// A span of time such as `30s`, `10m`, `1h30m` or `500ms`; whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The standard library's span of the same length.
    pub const fn as_std(self) -> std::time::Duration {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, milliseconds) in UNITS {
            if rest >= milliseconds {
                write!(f, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

impl FromStr for Duration {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ScalarError::new("a duration such as `30s`, `10m`, `1h30m` or `500ms`", text);
        let mut rest = text;
        let mut total = 0u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 9 || parts == 4 {
                return Err(refuse());
            }
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, next) = after.split_at(letters);
            let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
            // Nine digits of hours are 3.6e15 ms and there are at most four parts: no overflow.
            total += number.parse::<u64>().map_err(|_| refuse())? * milliseconds;
            parts += 1;
            rest = next;
        }
        if parts == 0 { Err(refuse()) } else { Ok(Self(std::time::Duration::from_millis(total))) }
    }
}

text_scalar!(Duration, "duration", r"^([0-9]{1,9}(ms|s|m|h)){1,4}$", 48);
