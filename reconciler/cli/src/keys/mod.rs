//! `wasmbed keys`.

use anyhow::{Context, Result};
use serde_json::json;
use wasmbed_protocol::KeySet;

use crate::arguments::{KeyName, Keys, KeysWhat, Output};
use crate::state_folder::StateFolder;
use crate::{key_files, print};

/// Shows the fleet's keys, or replaces one.
///
/// # Errors
/// When there are none, or they cannot be read or written.
pub(crate) fn run(arguments: &Keys, output: Output) -> Result<()> {
    let state = StateFolder::named_by(&arguments.state)?;
    let root = key_files::load(&state.key("root"))
        .context("there are no keys yet: `wasmbed up` makes them when it starts first")?;
    let signed =
        std::fs::read(state.key_set()).with_context(|| format!("cannot read {}", state.key_set().display()))?;
    let mut set = KeySet::read_unverified(&signed)?;
    set = KeySet::verify(&signed, &root.public(), &set.fleet, 0)?;
    if let KeysWhat::Rotate { key } = arguments.what {
        let _lock =
            state.lock().context("a key is replaced while nothing runs; `wasmbed up` publishes it when it starts")?;
        set = rotate(&state, &set.fleet, key)?;
    }
    let list = |keys: &[wasmbed_protocol::PublicKey]| keys.iter().map(text).collect::<Vec<_>>();
    let view = json!({
        "fleet": set.fleet, "epoch": set.epoch, "root": text(&root.public()),
        "release": list(&set.release), "assignment": list(&set.assignment), "gatewayCa": text(&set.gateway_ca),
    });
    if output == Output::Json {
        return print::json(&view);
    }
    print::line(format_args!("fleet {}, key set of epoch {}", set.fleet, set.epoch))?;
    print::line(format_args!("root        {}", text(&root.public())))?;
    for (name, keys) in [("release", &set.release), ("assignment", &set.assignment)] {
        for key in keys {
            print::line(format_args!("{name:11} {}", text(key)))?;
        }
    }
    print::line(format_args!("gateway CA  {}", text(&set.gateway_ca)))
}

fn rotate(state: &StateFolder, fleet: &str, key: KeyName) -> Result<KeySet> {
    let name = match key {
        KeyName::Release => "release",
        KeyName::Assignment => "assignment",
        KeyName::GatewayCa => "gateway-ca",
    };
    key_files::replace(state, fleet, name)
}

fn text(key: &wasmbed_protocol::PublicKey) -> String {
    wasmbed_api::PublicKey::from_bytes(*key.as_bytes()).to_string()
}
