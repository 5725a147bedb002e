//! One measured figure, and the file they go to.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A figure, as `target/bench.json` has it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    /// At most this is wanted; or at least this, where more is better.
    pub goal: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_is_better: bool,
    /// How it was measured, and what was seen besides.
    pub how: String,
}

impl Figure {
    pub fn new(name: &str, value: f64, unit: &str, goal: Option<f64>, how: String) -> Self {
        // A thousandth of a unit is below what any of these can be measured to.
        let value = (value * 1000.0).round() / 1000.0;
        Self { name: name.to_owned(), value, unit: unit.to_owned(), goal, more_is_better: false, how }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.goal {
            None => String::new(),
            Some(goal) if self.value == goal || (self.value > goal) == self.more_is_better => format!("goal {goal}"),
            Some(goal) => format!("goal {goal}: MISSED"),
        };
        let value = format!("{} {}", self.value, self.unit);
        writeln!(f, "{:30} {value:>16}   {verdict}", self.name)?;
        write!(f, "    {}", self.how)
    }
}

/// `bench.json` in the target folder of this build.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("bench.json")
}

/// The figures of `file` with those of the same names replaced by `new`, and the others of `new` after them.
pub fn merged(file: &Path, new: Vec<Figure>) -> Vec<Figure> {
    let mut all: Vec<Figure> =
        std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    for figure in new {
        match all.iter_mut().find(|old| old.name == figure.name) {
            Some(old) => *old = figure,
            None => all.push(figure),
        }
    }
    all
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// `12, 14 and 13` for a person.
pub fn listed(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(", ")
}
