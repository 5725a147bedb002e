//! One condition of being ready.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::lock;

/// One condition of being ready, for whoever knows whether it holds. Clones are the same.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    name: &'static str,
    pub(crate) required: bool,
    holds: bool,
    text: Cow<'static, str>,
}

impl State {
    pub(crate) fn unknown(name: &'static str, required: bool) -> Self {
        Self { name, required, holds: false, text: "not known yet".into() }
    }

    pub(crate) fn permits(&self) -> bool {
        self.holds || !self.required
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.holds, self.required) {
            (true, _) => "[+]",
            (false, true) => "[-]",
            (false, false) => "[!]",
        };
        // A line is a line, whatever an error says.
        write!(f, "{sign} {}: {}", self.name, self.text.replace(['\n', '\r'], " "))
    }
}

impl Condition {
    pub(crate) fn new(state: Arc<Mutex<State>>) -> Self {
        Self(state)
    }

    /// It holds; `text` says how.
    pub fn holds(&self, text: impl Into<Cow<'static, str>>) {
        self.set(true, text.into());
    }

    /// It does not hold; `text` says why.
    pub fn fails(&self, text: impl Into<Cow<'static, str>>) {
        self.set(false, text.into());
    }

    fn set(&self, holds: bool, text: Cow<'static, str>) {
        let mut state = lock(&self.0);
        (state.holds, state.text) = (holds, text);
    }
}
