//! `wasmbed new`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;
use wasmbed_api::Name;
use wasmbed_builder::template;

use crate::arguments::{New, NewWhat, Output};
use crate::print;

/// Writes a new application's source and declaration into a fleet's folder.
///
/// # Errors
/// When the name or the template is not valid, or a file is there already.
pub(crate) fn run(arguments: &New, output: Output) -> Result<()> {
    let NewWhat::App { name, template, folder } = &arguments.what;
    let name: Name = name.parse().context("NAME")?;
    if !folder.is_dir() {
        bail!("{} is no folder: name the fleet's with --folder", folder.display());
    }
    let files = template::render(template, name.as_str())?;
    let root = Path::new("apps").join(name.as_str());
    if folder.join(&root).exists() {
        bail!("{} is there already: choose another name", folder.join(&root).display());
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let relative = root.join(path);
        let path = folder.join(&relative);
        let parent = path.parent().expect("it is below the folder");
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(relative.display().to_string());
    }
    match output {
        Output::Json => print::json(&json!({ "application": name, "template": template, "files": written })),
        Output::Text => {
            for file in &written {
                print::line(format_args!("wrote {file}"))?;
            }
            print::line("name its devices in application.yaml, then commit and push")
        }
    }
}
