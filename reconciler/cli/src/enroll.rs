//! `wasmbed enroll`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;
use wasmbed_api::declarations::{self, Object, parse, set_public_key};
use wasmbed_api::{DeviceSpec, Gateway, Name, PendingKey, PublicKey};
use wasmbed_protocol::pairing::Code;
use wasmbed_reconciler::proves_code;

use crate::arguments::{Enroll, Output};
use crate::print::{self, Table};
use crate::{api, declaration_files, key_files};

/// Lists pending keys, makes a pairing code, or composes the commit that gives a Device its key.
///
/// # Errors
/// When the key or the declaration is not there, or the commit cannot be made.
pub(crate) async fn run(arguments: &Enroll, output: Output) -> Result<()> {
    let Some(device) = &arguments.device else { return list(&pending(arguments).await?, output) };
    let device: Name = device.parse().context("DEVICE")?;
    match &arguments.pair {
        Some(duration) => pair(&device, duration, output),
        None => {
            let declared = Declared::find(&arguments.folder, &device)?;
            let key = match arguments.key.as_deref() {
                // A key that is written out needs no API.
                Some(wanted) => match wanted.parse() {
                    Ok(key) => key,
                    Err(_) => named(&pending(arguments).await?, wanted)?,
                },
                None => proved(&pending(arguments).await?, &device, &declared.spec)?,
            };
            compose(&arguments.folder, &device, &declared, &key, output)
        }
    }
}

async fn pending(arguments: &Enroll) -> Result<Vec<(String, PendingKey)>> {
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    let gateways = Api::<Gateway>::namespaced(client, &namespace).list(&Default::default()).await.map_err(|error| {
        let hint = api::hint(&error);
        anyhow::Error::from(error).context(hint)
    })?;
    let of = |gateway: Gateway| {
        let name = gateway.name_any();
        let pending = gateway.status.map(|status| status.pending).unwrap_or_default();
        pending.into_iter().map(move |key| (name.clone(), key))
    };
    Ok(gateways.items.into_iter().flat_map(of).collect())
}

fn list(pending: &[(String, PendingKey)], output: Output) -> Result<()> {
    if output == Output::Json {
        let list: Vec<_> = pending.iter().map(|(gateway, key)| json!({ "gateway": gateway, "pending": key })).collect();
        return print::json(&list);
    }
    if pending.is_empty() {
        return print::line("no key waits to be enrolled");
    }
    let mut table = Table::new(&["PUBLIC KEY", "GATEWAY", "FROM", "BOARD", "DEVICE", "CODE"]);
    for (gateway, key) in pending {
        let name = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        table.row(vec![
            key.public_key.to_string(),
            gateway.clone(),
            key.source.clone(),
            key.board.clone().unwrap_or_default(),
            name(&key.device),
            key.paired_with.as_ref().map_or_else(String::new, |device| format!("proved for {device}")),
        ]);
    }
    print::line(table)?;
    print::line("\nto enroll one: wasmbed enroll DEVICE --key 'ssh-ed25519 ...' --folder CLONE")
}

/// The Device as the folder declares it.
struct Declared {
    file: String,
    bytes: Vec<u8>,
    spec: DeviceSpec,
}

impl Declared {
    fn find(folder: &Path, device: &Name) -> Result<Self> {
        for (file, bytes) in declaration_files::read(folder)? {
            let spec = parse(&bytes).declarations.into_iter().find_map(|declaration| match declaration.object {
                Object::Device(found) if found.metadata.name.as_deref() == Some(device.as_str()) => Some(found.spec),
                _ => None,
            });
            if let Some(spec) = spec {
                return Ok(Self { file, bytes, spec });
            }
        }
        bail!("no file below {} declares a Device {device}: name the fleet's folder with --folder", folder.display())
    }
}

/// The pending key that begins as a person wrote it.
fn named(pending: &[(String, PendingKey)], wanted: &str) -> Result<PublicKey> {
    let begins = |key: &PublicKey| {
        let text = key.to_string();
        text.starts_with(wanted) || text.starts_with(&format!("ssh-ed25519 {wanted}"))
    };
    match distinct(pending, |key| begins(&key.public_key)).as_slice() {
        [key] => Ok(*key),
        [] => bail!("no pending key is or begins with {wanted:?}; `wasmbed enroll` lists them"),
        keys => bail!("{} pending keys begin with {wanted:?}: write more of it", keys.len()),
    }
}

/// The only pending key that proved the code of `device`. The proof is verified here: a gateway's word for it is not
/// enough to commit a key.
fn proved(pending: &[(String, PendingKey)], device: &Name, spec: &DeviceSpec) -> Result<PublicKey> {
    let now = Timestamp::now();
    match distinct(pending, |key| proves_code(key, device.as_str(), spec, now)).as_slice() {
        [key] => Ok(*key),
        [] => bail!(
            "no pending key proved a code of {device} that is declared and has not expired; name a key with --key \
             (`wasmbed enroll` lists them), or make a new code with --pair"
        ),
        keys => bail!(
            "{} keys proved the code of {device}, so it is known to others: make a new one with --pair",
            keys.len()
        ),
    }
}

fn distinct(pending: &[(String, PendingKey)], wanted: impl Fn(&PendingKey) -> bool) -> Vec<PublicKey> {
    let mut keys: Vec<_> = pending.iter().filter(|(_, key)| wanted(key)).map(|(_, key)| key.public_key).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Writes the key into the declaration and commits it.
fn compose(folder: &Path, device: &Name, declared: &Declared, key: &PublicKey, output: Output) -> Result<()> {
    let Declared { file, bytes, .. } = declared;
    let changed = set_public_key(bytes, device, key).with_context(|| file.clone())?;
    stays_valid(folder, file, &changed)?;
    let path = folder.join(file);
    std::fs::write(&path, changed).with_context(|| format!("cannot write {}", path.display()))?;
    let message = format!("Enroll {device}");
    let commit = Command::new("git")
        .current_dir(folder)
        .args(["commit", "--quiet", "-m", &message, "--", file])
        .output()
        .context("the declaration is written; to commit it, install git")?;
    if !commit.status.success() {
        bail!("{file} is written, but git does not commit it: {}", String::from_utf8_lossy(&commit.stderr).trim());
    }
    match output {
        Output::Json => print::json(&json!({ "device": device, "publicKey": key, "file": file, "commit": message })),
        Output::Text => {
            print::line(format_args!("{file}: {device} has its key; committed as {message:?}"))?;
            print::line(format_args!("to let it in: git -C {} push", folder.display()))
        }
    }
}

/// Refuses a change that the reconciler would hold, such as a key that another Device has.
fn stays_valid(folder: &Path, file: &str, changed: &[u8]) -> Result<()> {
    let files = declaration_files::read(folder)?;
    let with_change = files.iter().map(|(name, bytes)| (name.as_str(), if name == file { changed } else { bytes }));
    match declarations::read(with_change, &declarations::Context::default()) {
        Ok(_) => Ok(()),
        Err(report) => bail!(
            "with this key the fleet would not be valid, so nothing is changed:\n{}",
            report.to_string().trim_end()
        ),
    }
}

/// Makes a one-time code and says what to declare for it.
fn pair(device: &Name, duration: &str, output: Output) -> Result<()> {
    let valid: SignedDuration = duration
        .parse()
        .ok()
        .filter(SignedDuration::is_positive)
        .with_context(|| format!("--pair {duration}: write how long the code is valid, such as 1h or 30m"))?;
    let until = (Timestamp::now() + valid).round(jiff::Unit::Second)?;
    let random: [u8; 16] = key_files::seed()?[..16].try_into().expect("half of 32 bytes");
    let code = Code::new(random);
    let key = PublicKey::from_bytes(*code.key().public().as_bytes());
    match output {
        Output::Json => print::json(&json!({
            "device": device, "code": code.to_text().as_str(), "pairing": { "publicKey": key, "until": until.to_string() },
        })),
        Output::Text => {
            print::line(format_args!("one-time code for {device}, for the device alone: {}", code.to_text().as_str()))?;
            print::line("declare and push, before the device is switched on:")?;
            print::line(format_args!("  spec:\n    pairing:\n      publicKey: {key}\n      until: {until}"))?;
            print::line(format_args!("provision it: wasmbed provision DIR --device {device} --code CODE"))
        }
    }
}
