//! The fleet's private keys and its KeySet as files of the state folder, mode 0600.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmbed_api::Name;
use wasmbed_protocol::{KeySet, PublicKey, SigningKey};

use crate::arguments::RevocableKey;
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
            replace_private(&path, seed()?.as_slice())?;
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

/// The TLS key of a gateway that `wasmbed keys publish` knows, made if it is not there.
///
/// # Errors
/// As [`load_or_create`].
pub(crate) fn gateway(state: &StateFolder, name: &Name) -> Result<SigningKey> {
    let folder = state.gateway_keys();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    load_or_create(state, &format!("gateways/{name}"))
}

/// The gateways there are TLS keys of.
///
/// # Errors
/// When their folder cannot be read.
pub(crate) fn gateways(state: &StateFolder) -> Result<BTreeSet<Name>> {
    let folder = state.gateway_keys();
    let files = match std::fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut names = BTreeSet::new();
    for file in files {
        let file = file.with_context(|| format!("cannot read {}", folder.display()))?.file_name();
        // Whatever else lies there was put there by somebody else.
        names.extend(file.to_str().and_then(|file| file.strip_suffix(".key")?.parse::<Name>().ok()));
    }
    Ok(names)
}

/// A key was stolen: signs the next KeySet, which names a new one in its place and none of those before. What is revoked is
/// written down first and stays so. Cut short anywhere, the next [`key_set`] completes it.
///
/// # Errors
/// When the files cannot be read or written.
pub(crate) fn revoke(state: &StateFolder, fleet: &str, key: RevocableKey) -> Result<KeySet> {
    let (set, _) = key_set(state, fleet)?;
    let keys = match key {
        RevocableKey::Release => set.release,
        RevocableKey::Assignment => set.assignment,
    };
    write_revoked(state, keys)?;
    Ok(key_set(state, fleet)?.0)
}

/// Adds to the keys that count no more.
pub(crate) fn write_revoked(state: &StateFolder, keys: Vec<PublicKey>) -> Result<()> {
    let mut all = revoked(state)?;
    all.extend(keys);
    let text: String = all.iter().map(|key| format!("{}\n", wasmbed_api::PublicKey::from_bytes(key.0))).collect();
    replace_private(&state.revoked_keys(), text.as_bytes())
}

/// The keys that count no more, whatever else is found.
fn revoked(state: &StateFolder) -> Result<BTreeSet<PublicKey>> {
    let path = state.revoked_keys();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let key = |line: &str| {
        let key: wasmbed_api::PublicKey = line.parse().with_context(|| {
            format!("{} has a line that is no public key; restore it from a backup", path.display())
        })?;
        Ok(PublicKey(*key.as_bytes()))
    };
    text.lines().map(key).collect()
}

/// Puts a new key in the place of `name`, and signs the next KeySet, which names it. The old one stays beside it as
/// `NAME.key.old`. Cut short anywhere, the next [`key_set`] completes it.
///
/// # Errors
/// When the files cannot be written.
pub(crate) fn replace(state: &StateFolder, fleet: &str, name: &str) -> Result<KeySet> {
    put_aside(state, name)?;
    Ok(key_set(state, fleet)?.0)
}

/// Takes the key `name` out of its place, so that the next that asks for it makes another.
pub(crate) fn put_aside(state: &StateFolder, name: &str) -> Result<()> {
    let path = state.key(name);
    let old = path.with_extension("key.old");
    std::fs::rename(&path, &old).with_context(|| format!("cannot keep the old key as {}", old.display()))
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
            let mut set = KeySet {
                // Above that of any KeySet that may have been lost with the file: devices refuse a lower one for good.
                epoch: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(1),
                fleet: fleet.to_owned(),
                release: Vec::new(),
                assignment: Vec::new(),
                gateway_ca: load_or_create(state, "gateway-ca")?.public(),
            };
            complete(state, &mut set)?;
            let signed = sign_key_set(state, &set)?;
            Ok((set, signed))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Adds to `set` the keys of the state folder that it lacks, as after a rotation that was cut short, and takes those out that
/// were revoked; says whether there were any.
fn complete(state: &StateFolder, set: &mut KeySet) -> Result<bool> {
    let mut lacked = false;
    let revoked = revoked(state)?;
    for (name, keys) in [("release", &mut set.release), ("assignment", &mut set.assignment)] {
        let mut key = load_or_create(state, name)?.public();
        if revoked.contains(&key) {
            put_aside(state, name)?;
            key = load_or_create(state, name)?.public();
        }
        let before = keys.len();
        keys.retain(|key| !revoked.contains(key));
        lacked |= keys.len() != before;
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
    replace_private(&state.key_set(), &signed)?;
    Ok(signed)
}

/// Writes a file of mode 0600 in the place of whatever is there, whole or not at all.
fn replace_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    let _ = std::fs::remove_file(new);
    write_private(new, bytes)?;
    std::fs::rename(new, path).with_context(|| format!("cannot write {}", path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::StateArguments;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = StateArguments { state: Some(folder.path().to_owned()) };
        let state = StateFolder::named_by(&arguments).expect("it is named");
        state.create().expect("it can be made");
        (folder, state)
    }

    fn public(state: &StateFolder, name: &str) -> wasmbed_protocol::PublicKey {
        load(&state.key(name)).expect("it is there").public()
    }

    #[test]
    fn a_key_set_names_the_keys_and_stays_the_same() {
        let (_folder, state) = state();
        let (set, signed) = key_set(&state, "fleet").expect("made");
        assert_eq!(set.release, [public(&state, "release")]);
        assert_eq!(set.assignment, [public(&state, "assignment")]);
        assert_eq!(set.gateway_ca, public(&state, "gateway-ca"));
        assert_eq!(key_set(&state, "fleet").expect("read").1, signed);
        let other = key_set(&state, "another").expect_err("it is for one fleet");
        assert!(format!("{other:#}").contains("start a new fleet with another --state"), "{other:#}");
    }

    #[test]
    fn a_replaced_key_is_believed_beside_the_one_before() {
        let (_folder, state) = state();
        let (before, _) = key_set(&state, "fleet").expect("made");
        let after = replace(&state, "fleet", "release").expect("replaced");
        assert_eq!(after.epoch, before.epoch + 1);
        assert_eq!(after.release, [public(&state, "release"), before.release[0]]);
        assert_eq!(after.assignment, before.assignment);
    }

    #[test]
    fn a_replacement_that_was_cut_short_is_completed() {
        let (_folder, state) = state();
        let (before, _) = key_set(&state, "fleet").expect("made");
        for name in ["assignment", "gateway-ca"] {
            // The new key is there, and the KeySet that names it is not.
            std::fs::remove_file(state.key(name)).expect("it was there");
            load_or_create(&state, name).expect("made anew");
        }
        let (after, _) = key_set(&state, "fleet").expect("completed");
        assert_eq!(after.epoch, before.epoch + 1);
        assert_eq!(after.assignment, [public(&state, "assignment"), before.assignment[0]]);
        assert_eq!(after.gateway_ca, public(&state, "gateway-ca"));
    }

    #[test]
    fn a_revoked_key_counts_no_more_and_never_again() {
        let (_folder, state) = state();
        let (first, _) = key_set(&state, "fleet").expect("made");
        let second = replace(&state, "fleet", "assignment").expect("replaced");
        let third = revoke(&state, "fleet", RevocableKey::Assignment).expect("revoked");
        assert_eq!(third.assignment, [public(&state, "assignment")]);
        assert!(!second.assignment.contains(&third.assignment[0]));
        assert_eq!((third.epoch, third.release.clone()), (first.epoch + 2, first.release));

        // Somebody puts the stolen one back.
        std::fs::rename(state.key("assignment").with_extension("key.old"), state.key("assignment"))
            .expect("it is there");
        let (fourth, _) = key_set(&state, "fleet").expect("mended");
        assert_eq!(fourth.assignment[0], public(&state, "assignment"));
        assert!(!fourth.assignment.iter().any(|key| second.assignment.contains(key)));
    }

    #[test]
    fn a_damaged_list_of_revoked_keys_is_not_taken_for_an_empty_one() {
        let (_folder, state) = state();
        key_set(&state, "fleet").expect("made");
        std::fs::write(state.revoked_keys(), "ssh-ed25519 AAAA\n").expect("it is ours");
        let error = key_set(&state, "fleet").expect_err("refused");
        assert!(format!("{error:#}").contains("no public key; restore it from a backup"), "{error:#}");
    }

    #[test]
    fn a_gateways_key_stays_the_same_and_is_found_again() {
        let (_folder, state) = state();
        let name: Name = "gateway-1".parse().expect("a name");
        assert!(gateways(&state).expect("read").is_empty());
        let made = gateway(&state, &name).expect("made").public();
        assert_eq!(gateway(&state, &name).expect("read").public(), made);
        assert_eq!(gateways(&state).expect("read"), [name].into());
    }

    #[test]
    fn a_lost_key_set_comes_back_with_an_epoch_that_devices_take() {
        let (_folder, state) = state();
        let (before, _) = key_set(&state, "fleet").expect("made");
        std::fs::remove_file(state.key_set()).expect("it was there");
        let (after, _) = key_set(&state, "fleet").expect("made anew");
        assert!(after.epoch >= before.epoch);
        assert_eq!(after.release, before.release);
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_damaged_is_not_used() {
        let (_folder, state) = state();
        load_or_create(&state, "release").expect("made");
        let path = state.key("release");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        assert!(load(&path).expect_err("refused").to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        std::fs::write(&path, [0; 31]).expect("it is ours");
        assert!(load(&path).expect_err("refused").to_string().contains("31 bytes instead of the 32"));
    }
}
