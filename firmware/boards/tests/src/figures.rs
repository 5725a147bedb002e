//! Figures as `make bench` collects them.

use serde::Serialize;

/// A figure, as `target/bench.json` has it.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// At most this is wanted.
    pub goal: Option<f64>,
    /// How it was measured.
    pub how: String,
}
