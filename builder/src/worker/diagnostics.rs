//! What the compiler says, from Cargo's JSON messages.

use serde::Deserialize;

use crate::outcome::Location;

/// The most bytes of rendered text that are kept for a failure.
const RENDERED: usize = 8 << 10;
/// The most warnings that are kept.
const WARNINGS: usize = 20;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    errors: Vec<String>,
    location: Option<Location>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
    target: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    message: String,
    rendered: Option<String>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    is_primary: bool,
}

impl Diagnostics {
    /// Hears one line; gives the name of the crate whose compilation it reports, if it does.
    pub(super) fn hear(&mut self, line: &[u8], places: &Places) -> Option<String> {
        let line: Line = serde_json::from_slice(line).ok()?;
        if line.reason == "compiler-artifact" {
            return line.target.map(|target| target.name);
        }
        let message = line.message?;
        let rendered = places.shorten(&message.rendered.unwrap_or(message.message));
        match message.level.as_str() {
            "error" => {
                // Rustc's last words are a sum, not an error.
                if message.spans.is_empty() && rendered.starts_with("error: aborting due to") {
                    return None;
                }
                if self.location.is_none() {
                    let span = message.spans.iter().find(|span| span.is_primary).or(message.spans.first());
                    self.location = span.and_then(|span| places.location(&span.file_name, span.line_start));
                }
                self.errors.push(rendered);
            }
            "warning" if self.warnings.len() < WARNINGS && !message.spans.is_empty() => self.warnings.push(rendered),
            _ => {}
        }
        None
    }

    /// The errors, rendered, and the place of the first; `None` if there was none.
    pub(super) fn failure(&self) -> Option<(String, Option<Location>)> {
        if self.errors.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (said, error) in self.errors.iter().enumerate() {
            if said > 0 && text.len() + error.len() > RENDERED {
                text.push_str(&format!("and {} more errors\n", self.errors.len() - said));
                break;
            }
            text.push_str(error);
        }
        Some((bounded(text), self.location.clone()))
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_iter().map(bounded).collect()
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > RENDERED {
        let end = (0..=RENDERED).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Where the compiler's paths are in the repository.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The closure's folder as the compiler sees it.
    pub(super) source: String,
    /// The workspace's folder in the repository: what relative paths are relative to.
    pub(super) root: String,
}

impl Places {
    fn location(&self, file: &str, line: u32) -> Option<Location> {
        let file = match file.strip_prefix(&format!("{}/", self.source)) {
            Some(inside) => inside.to_owned(),
            // The library's own sources, or a macro's.
            None if file.starts_with(['/', '<']) => return None,
            None if self.root.is_empty() => file.to_owned(),
            None => format!("{}/{file}", self.root),
        };
        Some(Location { file, line })
    }

    /// Paths as a person knows them.
    fn shorten(&self, text: &str) -> String {
        let text = text.replace(&format!("{}/", self.source), "");
        if self.root.is_empty() {
            return text;
        }
        // `--> src/main.rs:1:5` is relative to the workspace; people look from the repository's root.
        let mut lines = Vec::new();
        for line in text.lines() {
            let arrow = ["--> ", "::: "].into_iter().find_map(|arrow| line.find(arrow).map(|at| at + arrow.len()));
            match arrow {
                Some(at)
                    if line[..at].trim_start().len() == 4
                        && !line[at..].starts_with(['/', '<'])
                        && !line[at..].starts_with(&self.root) =>
                {
                    lines.push(format!("{}{}/{}", &line[..at], self.root, &line[at..]));
                }
                _ => lines.push(line.to_owned()),
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { source: "/src".to_owned(), root: "apps/hello".to_owned() }
    }

    #[test]
    fn an_error_is_rendered_with_paths_from_the_repositorys_root() {
        let mut diagnostics = Diagnostics::default();
        let line = br#"{"reason":"compiler-message","message":{"level":"error","message":"m","rendered":"error: m\n --> src/main.rs:3:5\n","spans":[{"file_name":"src/main.rs","line_start":3,"is_primary":true}]}}"#;
        assert_eq!(diagnostics.hear(line, &places()), None);
        let (text, location) = diagnostics.failure().expect("it failed");
        assert_eq!(text, "error: m\n --> apps/hello/src/main.rs:3:5\n");
        assert_eq!(location.expect("it has a place").to_string(), "apps/hello/src/main.rs:3");
    }

    #[test]
    fn anything_else_is_not_minded() {
        let mut diagnostics = Diagnostics::default();
        for line in [&b""[..], b"{", b"{\"reason\":\"build-finished\"}", b"warning: x", b"[]"] {
            assert_eq!(diagnostics.hear(line, &places()), None);
        }
        assert!(diagnostics.failure().is_none());
    }
}
