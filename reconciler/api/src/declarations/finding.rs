//! What is wrong with declarations, where, and what to write instead.

use std::fmt;

use serde::Serialize;

/// A place in a file; both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The revision cannot be applied.
    Error,
    /// A form that works and is to be written otherwise, or something that has no effect.
    Note,
}

/// Something found in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where.
    #[serde(flatten)]
    pub position: Position,
    /// The object it is about, such as ``Device `sensor-1` ``, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field it is about, such as `spec.config.memoryLimit`; empty for the document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What would have been right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn error(position: Position, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            position,
            object: None,
            field: field.into(),
            message: message.into(),
            expected: None,
            help: None,
        }
    }

    pub(crate) fn note(position: Position, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(position, field, message) }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A [`Finding`] and its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as the caller named it.
    pub file: String,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

impl fmt::Display for Problem {
    /// `file:line:column: error: message (object, field)`, then the expectation and the help, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { severity, position, object, field, message, expected, help } = &self.finding;
        let severity = match severity {
            Severity::Error => "error",
            Severity::Note => "note",
        };
        write!(f, "{}:{}:{}: {severity}: {message}", self.file, position.line, position.column)?;
        match (object, field.as_str()) {
            (Some(object), "") => write!(f, " ({object})")?,
            (Some(object), field) => write!(f, " ({object}, {field})")?,
            (None, "") => {}
            (None, field) => write!(f, " ({field})")?,
        }
        if let Some(expected) = expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(help) = help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Everything found in a set of files, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Report {
    /// What has to be put right before the revision can be applied.
    pub errors: Vec<Problem>,
    /// What works and is to be written otherwise, or has no effect.
    pub notes: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for problem in self.errors.iter().chain(&self.notes) {
            if !std::mem::take(&mut first) {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
