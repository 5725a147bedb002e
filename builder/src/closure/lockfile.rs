//! What a `Cargo.lock` may name: packages of the repository, and crates of crates.io by checksum.

use serde::Deserialize;

use super::error::Refusal;

/// How Cargo writes crates.io in a lock file, however it reaches it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Whether crates have to be fetched; refuses what is not fetched.
pub(super) fn check(file: &str, bytes: &[u8], refusals: &mut Vec<Refusal>) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        refusals.push(Refusal::new(file, 0, "it is not UTF-8"));
        return false;
    };
    let lock: Lock = match toml::from_str(text) {
        Ok(lock) => lock,
        Err(error) => {
            let message = format!("it is not a Cargo lock file: {}; run `cargo generate-lockfile`", error.message());
            refusals.push(Refusal::new(file, 0, message));
            return false;
        }
    };
    let mut registry = false;
    for Locked { name, version, source, checksum } in lock.package {
        let Some(source) = source else {
            continue;
        };
        registry = true;
        let line = text.lines().position(|line| line == format!("name = \"{name}\"")).map_or(0, |line| line as u32 + 1);
        if source != CRATES_IO {
            let message = format!(
                "`{name}` {version} comes from `{source}`, which is not fetched from: use a version of crates.io, or a path inside the repository"
            );
            refusals.push(Refusal::new(file, line, message));
        } else if checksum.is_none_or(|checksum| checksum.len() != 64) {
            let message = format!(
                "`{name}` {version} has no checksum here: run `cargo update -p {name}` and commit the lock file"
            );
            refusals.push(Refusal::new(file, line, message));
        }
    }
    registry
}
