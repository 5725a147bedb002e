//! The repository's own pages.

use std::path::{Path, PathBuf};

/// One page, by its path from the repository's root.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every page a person is led to: those of the root, of `docs/` and of the example fleet.
pub(crate) fn all() -> Vec<Page> {
    let mut pages: Vec<Page> = [".", "docs", "fleet-example"]
        .into_iter()
        .flat_map(|folder| {
            let entries = std::fs::read_dir(root().join(folder)).unwrap();
            let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
            let is_page = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "md");
            let path = move |name: String| if folder == "." { name } else { format!("{folder}/{name}") };
            entries.map(name).filter(is_page).map(path).collect::<Vec<_>>()
        })
        .map(|path| Page::read(&path))
        .collect();
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(pages.iter().any(|page| page.path == "README.md"), "there is a README.md");
    pages
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        Self { path: path.to_owned(), text: std::fs::read_to_string(root().join(path)).unwrap() }
    }

    /// The lines outside fenced code, with their numbers from 1.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        self.lines()
            .into_iter()
            .filter(|(_, line, is_code)| !is_code && !is_fence(line))
            .map(|(n, l, _)| (n, l))
            .collect()
    }

    /// What is shown as code: the lines of fenced blocks, and the spans between backquotes of the other lines.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        let mut code = Vec::new();
        for (number, line, is_code) in self.lines() {
            if is_code {
                code.push((number, line.to_owned()));
            } else {
                code.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span.to_owned())));
            }
        }
        code
    }

    /// The targets of `[text](target)` outside code.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("");
            for rest in plain.split("](").skip(1) {
                links.extend(rest.split_once(')').map(|(target, _)| (number, target.to_owned())));
            }
        }
        links
    }

    /// Every line with its number, and whether it stands inside fenced code.
    fn lines(&self) -> Vec<(usize, &str, bool)> {
        let mut is_code = false;
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            if is_fence(line) {
                is_code = !is_code;
                lines.push((index + 1, line, false));
            } else {
                lines.push((index + 1, line, is_code));
            }
        }
        lines
    }
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}
