//! `wasmbed provision`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kube::api::Api;
use serde_json::json;
use wasmbed_agent::{Pairing, Provisioning};
use wasmbed_api::Gateway;
use wasmbed_emulator::machine::{Machine, Region};
use wasmbed_protocol::{KeySet, SigningKey};

use crate::arguments::{ApiArguments, Output, Provision};
use crate::state_folder::StateFolder;
use crate::{api, emulate, key_files, print};

/// Name of the file in a device's folder.
pub(crate) const FILE: &str = "provisioning.cbor";
/// Name of what belongs at the start of the persistent region in a board's flash.
const REGION: &str = "region.bin";

/// Makes a device's identity in a folder, and prints its public key for the declaration.
///
/// # Errors
/// When the folder holds one already, or the fleet's keys or gateways cannot be read.
pub(crate) async fn run(arguments: &Provision, output: Output) -> Result<()> {
    let state = StateFolder::named_by(&arguments.api.state)?;
    let root = key_files::load(&state.key("root"))
        .context("the fleet's root key is needed: name the folder of `wasmbed up` with --state")?;
    let signed =
        std::fs::read(state.key_set()).with_context(|| format!("cannot read {}", state.key_set().display()))?;
    let gateways =
        if arguments.gateway.is_empty() { known_gateways(&arguments.api).await? } else { arguments.gateway.clone() };
    let seed = key_files::seed()?;
    let public = SigningKey::from_seed(&seed).public();
    let pairing = match (&arguments.device, &arguments.code) {
        (Some(device), Some(code)) => Some(Pairing { device: device.clone(), code: code.parse().context("--code")? }),
        _ => None,
    };
    let provisioning = Provisioning {
        seed: *seed,
        root: *root.public().as_bytes(),
        fleet: KeySet::read_unverified(&signed)?.fleet,
        gateways,
        pairing,
        address: None,
    };
    // Asked before anything is written: a board that is not known leaves no half-made folder.
    let board = arguments.board.as_deref().map(board).transpose()?;
    let path = write(&arguments.folder, &provisioning)?;
    let image = board.map(|(_, region)| write_region(&arguments.folder, region, &provisioning)).transpose()?;
    let key = wasmbed_api::PublicKey::from_bytes(*public.as_bytes()).to_string();
    match output {
        Output::Json => {
            print::json(&json!({ "publicKey": key, "file": path, "region": image, "gateways": provisioning.gateways }))
        }
        Output::Text => {
            print::line(format_args!("{}: the device's identity; keep it secret", path.display()))?;
            if provisioning.pairing.is_none() {
                print::line("declare it with")?;
                print::line(format_args!("  spec:\n    publicKey: {key}"))?;
            }
            let folder = arguments.folder.display();
            match (board, image) {
                (Some((machine, region)), Some(image)) => {
                    let image = image.display();
                    print::line(format_args!(
                        "{image}: the same, as it lies in the board at {:#010x}",
                        region.address
                    ))?;
                    print::line(format_args!("run it with `wasmbed emulate --board {} --dir {folder}`", machine.name()))
                }
                _ => print::line(format_args!("run it with `wasmbed device --dir {folder}`")),
            }
        }
    }
}

fn board(name: &str) -> Result<(Machine, Region)> {
    let machine = emulate::machine(name)?;
    Ok((machine, machine.region()))
}

/// Writes the beginning of the board's persistent region: its identity and a seed of its randomness.
fn write_region(folder: &Path, region: Region, provisioning: &Provisioning) -> Result<PathBuf> {
    let path = folder.join(REGION);
    key_files::write_private(&path, &wasmbed_emulator::flash::records(provisioning, region.unit)?)?;
    Ok(path)
}

fn write(folder: &Path, provisioning: &Provisioning) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(FILE);
    if path.exists() {
        bail!("{} is there already: that device has an identity; choose another folder", path.display());
    }
    key_files::write_private(&path, &provisioning.encode()?)?;
    Ok(path)
}

/// Where the gateways of `wasmbed up` listen.
///
/// # Errors
/// When the API cannot be reached, or none listens.
pub(crate) async fn known_gateways(arguments: &ApiArguments) -> Result<Vec<String>> {
    let api::Reached { client, namespace } = api::reach(arguments).await?;
    let gateways = Api::<Gateway>::namespaced(client, &namespace)
        .list(&Default::default())
        .await
        .context("cannot ask for the gateways; give their addresses with --gateway")?;
    let listening = gateways.items.iter().filter_map(|gateway| gateway.status.as_ref()?.address.as_ref());
    let addresses: Vec<String> = listening.map(ToString::to_string).collect();
    if addresses.is_empty() {
        bail!("no gateway listens yet; give its address with --gateway host:port");
    }
    Ok(addresses)
}
