//! `make bench`: what a person feels and what a machine pays, measured on real processes of this program.
//!
//! Prints each figure beside its goal, and writes them all to `target/bench.json`. A word on the command line measures
//! only the groups whose names hold it: `cargo bench -p wasmbed --bench first_light -- modules`. A group that cannot be
//! measured on this machine says so by name and is left out.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

mod download;
mod example;
mod figure;
mod firmware;
mod heartbeat;
mod idle;
#[path = "../../tests/first_light/lines.rs"]
mod lines;
mod modules;
mod processes;
mod pushes;
mod reconcile;
#[path = "../../tests/first_light/repository.rs"]
mod repository;
#[path = "../../tests/first_light/running.rs"]
mod running;
mod session;
mod sources;

use std::io::IsTerminal;

use figure::Figure;

/// Why a group cannot be measured on this machine.
pub struct CannotRun(String);

type Group = (&'static str, fn() -> Result<Vec<Figure>, CannotRun>);

const GROUPS: [Group; 11] = [
    ("heartbeat", heartbeat::measure),
    ("modules", modules::measure),
    ("reconcile", reconcile::measure),
    ("first-apply", reconcile::first_apply),
    ("embedded-api", reconcile::api),
    ("pushes", pushes::measure),
    ("idle", idle::measure),
    ("firmware-sizes", firmware::sizes),
    ("firmware-interpreter", firmware::interpreter),
    ("firmware-session", session::measure),
    ("firmware-link", firmware::link),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut figures = Vec::new();
    for (name, measure) in GROUPS {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        progress(&format!("measuring: {name}"));
        match measure() {
            Ok(measured) => {
                measured.iter().for_each(|figure| println!("{figure}"));
                figures.extend(measured);
            }
            Err(CannotRun(why)) => println!("LEFT OUT: {name} cannot be measured here: {why}"),
        }
    }
    let file = figure::file();
    let all = if wanted.is_empty() { figures } else { figure::merged(&file, figures) };
    std::fs::write(&file, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
    println!("written to {}", file.display());
}

/// Says on a terminal what goes on; says nothing in a pipe.
pub fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("bench: {text}");
    }
}

/// Says which of the things that `wasmbed doctor` calls needed is missing, if any is.
pub fn needs_what_builds_need() -> Result<(), CannotRun> {
    let output = running::program().args(["doctor", "--output", "json"]).output().unwrap();
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let missing: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["needed"] == true && finding["present"] == false)
        .filter_map(|finding| finding["name"].as_str())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(CannotRun(format!("missing: {}; see `wasmbed doctor`", missing.join(", "))))
    }
}
