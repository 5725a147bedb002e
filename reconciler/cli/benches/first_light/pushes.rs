//! From a push to the new output of a device, and back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::figure::{Figure, listed, median};
use super::repository::Repository;
use super::running::{Running, Up, text};
use super::{CannotRun, needs_what_builds_need, progress, sources};

/// Pushes of each sort that are measured; one more goes before them, to warm up.
const ROUNDS: usize = 7;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    needs_what_builds_need()?;
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path());
    sources::declare_fleet(&repository);
    sources::declare(&repository.copy, "greeter", &sources::saying("round 0"));
    repository.push("A fleet with a greeter");
    let bare = Bare::create(&folder.path().join("bare"));
    let mut up = Up::start(&folder.path().join("state"), &repository.bare);
    let mut lines = up.logs("device-1");
    up.wait_until_ready();
    said(&mut lines, "round 0");

    let mut figures = greetings(&repository, &bare, &mut lines);
    figures.push(swaps(&repository, &mut lines));
    assert!(up.process.interrupt(), "`wasmbed up` ends well");
    Ok(figures)
}

/// Changes what the greeter says, and takes it back.
fn greetings(repository: &Repository, bare: &Bare, lines: &mut Running) -> Vec<Figure> {
    let mut pushes = Vec::new();
    let mut builds = Vec::new();
    let mut reverts = Vec::new();
    for round in 0..=ROUNDS {
        progress(&format!("push and revert {round} of {ROUNDS}"));
        let (text, source) = (format!("round 1.{round}"), sources::saying(&format!("round 1.{round}")));
        repository.write("apps/greeter/src/main.rs", &source);
        let pushed = pushed(repository, &["commit", "-q", "-a", "-m", &text], lines, &text);
        let build = bare.build(&source);
        let reverted = pushed_back(repository, lines);
        if round > 0 {
            pushes.push(pushed);
            builds.push(build);
            reverts.push(reverted);
        }
    }
    let overheads: Vec<f64> = pushes.iter().zip(&builds).map(|(push, build)| push - build).collect();
    let how = format!(
        "from the start of `git push` to the new line read from `wasmbed logs -f`, less a bare `cargo build --release \
         --target wasm32-unknown-unknown` of the same edit; median of {ROUNDS}: {} ms, of pushes of {} ms and builds of {} ms",
        listed(&overheads),
        listed(&pushes),
        listed(&builds)
    );
    let overhead = Figure::new("push_to_output_overhead_ms", median(&overheads), "ms", Some(300.0), how);
    let how = format!(
        "from the start of `git push` of a `git revert` to the old line read from `wasmbed logs -f`; median of {ROUNDS}: {} ms",
        listed(&reverts)
    );
    vec![overhead, Figure::new("revert_to_output_ms", median(&reverts), "ms", Some(300.0), how)]
}

/// Changes an application that never stops talking.
fn swaps(repository: &Repository, lines: &mut Running) -> Figure {
    sources::declare(&repository.copy, "ticker", &sources::ticking("t0"));
    repository.push("A ticker");
    let mut last = lines.out.next("the ticker ticks", |line| tick(line, "t0"));
    let mut gaps = Vec::new();
    for round in 1..=ROUNDS {
        progress(&format!("swap {round} of {ROUNDS}"));
        let (old, new) = (format!("t{}", round - 1), format!("t{round}"));
        repository.write("apps/ticker/src/main.rs", &sources::ticking(&new));
        repository.push(&new);
        let first = lines.out.next("the new ticker ticks", |line| {
            last = tick(line, &old).unwrap_or(last);
            tick(line, &new)
        });
        gaps.push(first - last);
        last = first;
    }
    let how = format!(
        "by the device's own clock, from the last line of the module that is replaced to the first of the new one; both \
         print every 5 ms; median of {ROUNDS}: {} ms",
        listed(&gaps)
    );
    Figure::new("swap_gap_ms", median(&gaps), "ms", Some(100.0), how)
}

/// Commits with `commit` and pushes; milliseconds from the start of the push until `wanted` is said.
fn pushed(repository: &Repository, commit: &[&str], lines: &mut Running, wanted: &str) -> f64 {
    repository.git(commit);
    lines.out.skip();
    let start = Instant::now();
    repository.git(&["push", "-q", "origin", "main"]);
    said(lines, wanted);
    milliseconds(start)
}

fn pushed_back(repository: &Repository, lines: &mut Running) -> f64 {
    pushed(repository, &["revert", "--no-edit", "HEAD"], lines, "round 0")
}

fn said(lines: &mut Running, wanted: &str) {
    lines.out.next(&format!("{wanted:?} is said"), |line| (text(line)? == wanted).then_some(()));
}

/// The device's time in a line of the ticker's `version`, in milliseconds.
fn tick(line: &str, version: &str) -> Option<f64> {
    text(line)?.strip_prefix(version)?.strip_prefix(' ')?.parse().ok()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The same application outside any fleet, built by Cargo alone.
struct Bare(PathBuf);

impl Bare {
    fn create(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), sources::package("greeter")).unwrap();
        let this = Self(folder.to_owned());
        this.build(&sources::saying("round 0"));
        this
    }

    /// Writes the source and builds it; milliseconds.
    fn build(&self, source: &str) -> f64 {
        std::fs::write(self.0.join("src/main.rs"), source).unwrap();
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&self.0).args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown"]);
        command.env("CARGO_TARGET_DIR", self.0.join("target")).env_remove("RUSTFLAGS");
        let start = Instant::now();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        milliseconds(start)
    }
}
