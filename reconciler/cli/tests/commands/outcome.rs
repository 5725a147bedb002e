//! How a command ended.

use std::process::{Command, Output};

use serde_json::Value;

pub struct Outcome(Output);

impl Outcome {
    pub fn of(command: &mut Command) -> Self {
        Self(command.output().unwrap())
    }

    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn errors(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// What it printed for a program: one JSON document a line.
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(parse).collect()
    }

    /// The one document of a command that did what it was asked for.
    pub fn good(&self) -> Value {
        assert_eq!(self.code(), 0, "{}{}", self.text(), self.errors());
        self.only()
    }

    /// The one document of a command that says no.
    pub fn bad(&self) -> Value {
        assert_eq!(self.code(), 1, "{}{}", self.text(), self.errors());
        self.only()
    }

    fn only(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{}{}", self.text(), self.errors());
        lines.remove(0)
    }

    /// What a command says that could not begin: one line that says `words`, and nothing for a program.
    pub fn refused(&self, words: &str) {
        assert_eq!(self.code(), 1, "{}{}", self.text(), self.errors());
        assert_eq!(self.text(), "");
        let errors = self.errors();
        assert!(errors.starts_with("error: ") && errors.contains(words), "{words} in {errors}");
    }
}
