//! What images may take at most: `budgets.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// All budgets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Of each board's image, by the board's folder.
    pub boards: BTreeMap<String, Budget>,
    /// The most of each figure of the image in `bench`.
    pub bench: BTreeMap<String, u64>,
}

/// What a board's image may take, in bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Of the flash, at most.
    pub flash: u64,
    /// Of the RAM, without heap, applications and stack, at most.
    pub fixed: u64,
    /// The agent's heap, exactly.
    pub heap: u64,
    /// The applications' memory, exactly; 0 where it lies outside of the image.
    pub applications: u64,
    /// What has to be left to the stack, at least.
    pub stack: u64,
    /// Why it is so.
    pub why: String,
}

impl Budgets {
    /// Those that are in force.
    ///
    /// # Panics
    /// The file is malformed.
    #[must_use]
    pub fn get() -> Self {
        toml::from_str(include_str!("../../budgets.toml")).expect("budgets.toml is as Budgets says")
    }
}
