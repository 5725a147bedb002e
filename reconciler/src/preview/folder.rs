//! Validates a folder as it stands, committed or not.

use std::path::{Path, PathBuf};

use wasmbed_api::declarations::{Context, Parsed, Report, check, is_declaration_file, parse};

/// What is wrong with the declarations in the folder `root`, whether they are committed or not. Files are named from `root`.
///
/// # Errors
/// When a file or folder cannot be read.
pub fn validate_folder(root: &Path, namespace: Option<&str>) -> std::io::Result<Report> {
    let mut files = Vec::new();
    collect(root, &mut PathBuf::new(), &mut files)?;
    let mut parsed: Vec<(String, Parsed)> = Vec::new();
    for file in files {
        let bytes = std::fs::read(root.join(&file))?;
        parsed.push((file.to_string_lossy().into_owned(), parse(&bytes)));
    }
    let has_folder = |path: &str| root.join(path).is_dir();
    let context = Context { namespace, tree: Some(&has_folder) };
    Ok(match check(parsed.iter().map(|(file, parsed)| (file.as_str(), parsed)), &context) {
        Ok(checked) => Report { errors: Vec::new(), notes: checked.notes },
        Err(report) => report,
    })
}

fn collect(root: &Path, within: &mut PathBuf, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(&within))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "target" {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            within.push(&name);
            collect(root, within, files)?;
            within.pop();
        } else if kind.is_file() && is_declaration_file(&name.to_string_lossy()) {
            files.push(within.join(&name));
        }
    }
    Ok(())
}
