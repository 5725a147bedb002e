//! The fleet's private keys and its KeySet as files of the state folder, mode 0600.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmbed_protocol::{KeySet, SigningKey};

use crate::state_folder::StateFolder;

/// Keys of one sort in a KeySet: the new one and the one before, so that what was signed by it is still believed.
const KEPT: usize = 2;

/// The key `name`, made if it is not there.
///
/// # Errors
/// When the file cannot be read or written, is not 32 bytes long, or others may read it.
pub(crate) fn load_or_create(state: &StateFolder, name: &str) -> Result<SigningKey> {
    let path = state.key(name);
    match load(&path) {
        Err(error) if is_missing(&error) => {
            write_private(&path, seed()?.as_slice())?;
            load(&path)
        }
        loaded => loaded,
    }
}

/// The key in `path`.
///
/// # Errors
/// When it cannot be read, is not 32 bytes long, or others may read it.
pub(crate) fn load(path: &Path) -> Result<SigningKey> {
    let what = || format!("the key {}", path.display());
    let bytes = zeroize::Zeroizing::new(std::fs::read(path).with_context(what)?);
    let mode = std::fs::metadata(path).with_context(what)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} may be read by others (mode {:o}): chmod 600 it, and think whether it is still secret",
            what(),
            mode & 0o777
        );
    }
    match <&[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(seed) => Ok(SigningKey::from_seed(seed)),
        Err(_) => {
            bail!("{} has {} bytes instead of the 32 of an Ed25519 seed: restore it from a backup", what(), bytes.len())
        }
    }
}

/// Puts a new key in the place of `name`, and signs the next KeySet, which names it. The old one stays beside it as
/// `NAME.key.old`. Cut short anywhere, the next [`key_set`] completes it.
///
/// # Errors
/// When the files cannot be written.
pub(crate) fn replace(state: &StateFolder, fleet: &str, name: &str) -> Result<KeySet> {
    let path = state.key(name);
    let old = path.with_extension("key.old");
    std::fs::rename(&path, &old).with_context(|| format!("cannot keep the old key as {}", old.display()))?;
    load_or_create(state, name)?;
    Ok(key_set(state, fleet)?.0)
}

/// The KeySet of the state folder, made of its keys if there is none. Returns it beside its signed bytes.
///
/// # Errors
/// When a key cannot be loaded, or the stored KeySet is not the root key's or not this fleet's.
pub(crate) fn key_set(state: &StateFolder, fleet: &str) -> Result<(KeySet, Vec<u8>)> {
    let path = state.key_set();
    match std::fs::read(&path) {
        Ok(signed) => {
            let root = load(&state.key("root"))?.public();
            let mut set = KeySet::verify(&signed, &root, fleet, 0).with_context(|| {
                format!("{}: restore it from a backup, or start a new fleet with another --state", path.display())
            })?;
            if complete(state, &mut set)? {
                set.epoch += 1;
                let signed = sign_key_set(state, &set)?;
                return Ok((set, signed));
            }
            Ok((set, signed))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let public = |name| Ok::<_, anyhow::Error>(load_or_create(state, name)?.public());
            let set = KeySet {
                // Above that of any KeySet that may have been lost with the file: devices refuse a lower one for good.
                epoch: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(1),
                fleet: fleet.to_owned(),
                release: vec![public("release")?],
                assignment: vec![public("assignment")?],
                gateway_ca: public("gateway-ca")?,
            };
            let signed = sign_key_set(state, &set)?;
            Ok((set, signed))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Adds to `set` the keys of the state folder that it lacks, as after a rotation that was cut short; says whether it
/// lacked any.
fn complete(state: &StateFolder, set: &mut KeySet) -> Result<bool> {
    let mut lacked = false;
    for (name, keys) in [("release", &mut set.release), ("assignment", &mut set.assignment)] {
        let key = load_or_create(state, name)?.public();
        if !keys.contains(&key) {
            keys.insert(0, key);
            keys.truncate(KEPT);
            lacked = true;
        }
    }
    let ca = load_or_create(state, "gateway-ca")?.public();
    lacked |= set.gateway_ca != ca;
    set.gateway_ca = ca;
    Ok(lacked)
}

/// Signs `set` with the root key and stores it.
///
/// # Errors
/// When the root key cannot be loaded or the file not written.
pub(crate) fn sign_key_set(state: &StateFolder, set: &KeySet) -> Result<Vec<u8>> {
    let signed = set.sign(&load_or_create(state, "root")?)?;
    let path = state.key_set();
    let new = path.with_extension("cose.new");
    let _ = std::fs::remove_file(&new);
    write_private(&new, &signed)?;
    std::fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(signed)
}

/// Writes a new file of mode 0600, to the disk; one that is there already is an error.
///
/// # Errors
/// When it is there or cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// 32 random bytes of the system.
///
/// # Errors
/// When the system has none.
pub(crate) fn seed() -> Result<zeroize::Zeroizing<[u8; 32]>> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(seed.as_mut()).context("the system gives no random bytes")?;
    Ok(seed)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}
