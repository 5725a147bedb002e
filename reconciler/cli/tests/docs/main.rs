//! The pages a person reads are true in what a program can check: every command line shown is one the program takes,
//! every `make` target exists, every link leads somewhere, and no page is missing from the index.
#![allow(clippy::unwrap_used)]

mod links;
mod pages;
mod permissions;
mod words;

use std::collections::BTreeSet;
use std::process::Command;

use pages::Page;

/// Every command shown, as typed, is accepted: `--help` is added, which ends the program as soon as what stands before it
/// was read, so that nothing runs and nothing has to be complete.
#[test]
fn every_command_line_shown_is_one_the_program_takes() {
    let mut shown = BTreeSet::new();
    let mut wrong = Vec::new();
    for page in pages::all() {
        for (line, text) in page.code() {
            for words in words::commands(&text, "wasmbed") {
                shown.insert(words.join(" "));
                let output = Command::new(env!("CARGO_BIN_EXE_wasmbed")).args(&words).arg("--help").output().unwrap();
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr);
                    let said = said.lines().next().unwrap_or_default();
                    wrong.push(format!("{}:{line}: wasmbed {}: {said}", page.path, words.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the program does not take these:\n{}", wrong.join("\n"));
    assert!(shown.len() > 10, "the commands shown are not found any more: {shown:?}");
}

#[test]
fn every_make_target_shown_exists() {
    let makefile = std::fs::read_to_string(pages::root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let mut wrong = Vec::new();
    for page in pages::all() {
        for (line, text) in page.code() {
            for words in words::commands(&text, "make") {
                let target = words.iter().find(|word| !word.contains('=')).cloned().unwrap_or_default();
                if !targets.contains(target.as_str()) {
                    wrong.push(format!("{}:{line}: make {target}", page.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the Makefile has no such target:\n{}", wrong.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let wrong: Vec<String> = pages::all().iter().flat_map(links::broken).collect();
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn the_index_names_every_page() {
    let index = Page::read("docs/README.md");
    let linked: BTreeSet<String> = index.links().into_iter().map(|(_, target)| target).collect();
    let missing: Vec<String> = pages::all()
        .into_iter()
        .filter_map(|page| Some(page.path.strip_prefix("docs/")?.to_owned()))
        .filter(|page| page != "README.md" && !linked.contains(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}
