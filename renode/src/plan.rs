//! What an emulator does about a Device. Pure.

use std::path::PathBuf;

use kube::ResourceExt;
use wasmbed_api::{Backend, Device, Endpoint, Gateway, McuType, Truth, labels};

use crate::backends::{Backends, Image};
use crate::machine::{Machine, machine, runs_nowhere};

/// The reason where a process plays a device whose own board cannot be played here.
pub(crate) const HOST_STANDS_IN: &str = "HostStandsIn";

/// What to do about a Device, and what to say of it in its condition `Emulated`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The process to run.
    pub process: Wanted,
    /// Whether it is emulated now.
    pub emulated: Truth,
    /// Why, as one CamelCase word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

/// What process there is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// None: it is switched off, or cannot run here.
    Off,
    /// The one that is there, if one is: only where its gateway listens is not known now.
    Kept,
    /// This one.
    Runs(Run),
}

/// A device that is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run {
    /// Where its gateway listens.
    pub gateway: Endpoint,
    /// What plays it.
    pub player: Player,
}

/// What plays a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Player {
    /// An ordinary process.
    Host,
    /// A machine of an emulator.
    Emulator(Emulated),
}

/// A machine, and what this computer has to run it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Emulated {
    /// The machine.
    pub machine: Machine,
    /// The emulator's program.
    pub emulator: PathBuf,
    /// The firmware it runs.
    pub image: Image,
}

/// Why something does not run: a reason for programs, a message for people.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Missing {
    /// One CamelCase word.
    pub reason: &'static str,
    /// What is missing, and what to do.
    pub message: String,
}

/// What to do about `device`; none if it is not an emulated one. `gateways` are those of its namespace, `backends` what this
/// computer has.
#[must_use]
pub fn plan(device: &Device, gateways: &[Gateway], backends: &Backends) -> Option<Plan> {
    let backend = device.spec.backend()?;
    let none = |process, reason, message| Some(Plan { process, emulated: Truth::False, reason, message });
    if !device.spec.is_running() {
        return none(Wanted::Off, "SwitchedOff", "spec.emulation.running is false".to_owned());
    }
    let is_declared = device.spec.emulation.as_ref().and_then(|emulation| emulation.backend).is_some();
    let (player, reason, message) = match player(device.spec.board(), backend, is_declared, backends) {
        Ok(played) => played,
        Err(Missing { reason, message }) => return none(Wanted::Off, reason, message),
    };
    let Some(name) = device.labels().get(labels::GATEWAY) else {
        return none(Wanted::Kept, "NoGateway", "it waits to be given a Gateway".to_owned());
    };
    let gateway = gateways.iter().find(|gateway| gateway.name_any() == *name);
    let Some(gateway) = gateway.and_then(|gateway| gateway.status.as_ref()?.address.clone()) else {
        return none(Wanted::Kept, "GatewayAway", format!("it waits for the Gateway {name} to listen"));
    };
    Some(Plan { process: Wanted::Runs(Run { gateway, player }), emulated: Truth::True, reason, message })
}

/// What plays `board`, the condition's reason for it, and its message.
fn player(
    board: McuType,
    backend: Backend,
    is_declared: bool,
    backends: &Backends,
) -> Result<(Player, &'static str, String), Missing> {
    if backend == Backend::Host {
        return Ok((Player::Host, "HostProcess", "a process plays this device".to_owned()));
    }
    match (emulated(board, backend, backends), runs_nowhere(board)) {
        (Ok(emulated), _) => {
            let (reason, what) = match emulated.machine {
                Machine::Qemu(_) => ("Qemu", "QEMU"),
                Machine::Renode(_) => ("Renode", "Renode"),
            };
            let message = format!("{what} plays this device as its machine {}", emulated.machine.name());
            Ok((Player::Emulator(emulated), reason, message))
        }
        // Old files name boards without saying what emulates them. They run, and the condition says as what.
        (Err(missing), None) if !is_declared => {
            let message = format!(
                "a process plays this device, as its declaration names no backend and {backend} cannot play {board} here: \
                 {missing}; set spec.emulation.backend to choose",
            );
            Ok((Player::Host, HOST_STANDS_IN, message))
        }
        (Err(missing), _) => Err(missing),
    }
}

/// The machine by which `backend` plays `board`, with what it takes.
///
/// # Errors
/// What is missing of it.
pub fn emulated(board: McuType, backend: Backend, backends: &Backends) -> Result<Emulated, Missing> {
    let machine = machine(board, backend).map_err(|message| Missing { reason: "BoardNotRunnable", message })?;
    equipped(machine, backends)
}

/// The machine with what it takes.
///
/// # Errors
/// What is missing of it.
pub fn equipped(machine: Machine, backends: &Backends) -> Result<Emulated, Missing> {
    let (emulator, reason, message) = match machine {
        Machine::Qemu(_) => (
            &backends.qemu,
            "QemuMissing",
            "the program qemu-system-arm is not on PATH: install it (Debian: apt-get install qemu-system-arm)",
        ),
        Machine::Renode(_) => (
            &backends.renode,
            "RenodeMissing",
            "the program renode is not on PATH: install it as https://renode.io says",
        ),
    };
    let emulator = emulator.clone().ok_or_else(|| Missing { reason, message: message.to_owned() })?;
    let name = machine.image();
    let image = backends.images.get(name).cloned().ok_or_else(|| {
        let folders: Vec<String> = backends.looked_in.iter().map(|folder| folder.display().to_string()).collect();
        let message = format!(
            "there is no firmware image {name}.elf in {}: `make firmware` builds it; `--firmware DIR` or WASMBED_FIRMWARE \
             names another folder",
            folders.join(" or "),
        );
        Missing { reason: "FirmwareMissing", message }
    })?;
    Ok(Emulated { machine, emulator, image })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device(spec: serde_json::Value) -> Device {
        serde_json::from_value(json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device",
            "metadata": { "name": "d", "labels": { "wasmbed.github.io/gateway": "gateway-1" } }, "spec": spec,
        }))
        .expect("a Device")
    }

    fn gateway(address: Option<&str>) -> Gateway {
        serde_json::from_value(json!({
            "apiVersion": "wasmbed.io/v1", "kind": "Gateway", "metadata": { "name": "gateway-1" },
            "spec": {}, "status": { "address": address },
        }))
        .expect("a Gateway")
    }

    /// What there is to run of the device, the condition's reason and its message.
    fn of(spec: serde_json::Value, backends: &Backends) -> Option<(Option<Player>, &'static str, String)> {
        let gateways = [gateway(Some("127.0.0.1:7443"))];
        let plan = plan(&device(spec), &gateways, backends)?;
        let player = match plan.process {
            Wanted::Runs(run) => Some(run.player),
            Wanted::Off => None,
            Wanted::Kept => panic!("its gateway listens"),
        };
        assert_eq!(plan.emulated == Truth::True, player.is_some());
        Some((player, plan.reason, plan.message))
    }

    fn reason(spec: serde_json::Value, backends: &Backends) -> Option<&'static str> {
        of(spec, backends).map(|(_, reason, _)| reason)
    }

    /// A computer that has everything.
    fn everything() -> Backends {
        let image = |machine: Machine| {
            let path = format!("/firmware/{}.elf", machine.image()).into();
            (machine.image(), Image { path, written: None })
        };
        Backends {
            qemu: Some("/usr/bin/qemu-system-arm".into()),
            renode: Some("/usr/bin/renode".into()),
            images: Machine::all().map(image).collect(),
            looked_in: vec!["/firmware".into()],
        }
    }

    #[test]
    fn a_device_that_is_not_emulated_is_left_alone() {
        assert_eq!(of(json!({ "mcuType": "Stm32F746gDisco" }), &everything()), None);
    }

    #[test]
    fn a_host_device_is_a_process() {
        let spec = json!({ "mcuType": "Host", "emulation": { "backend": "host", "running": true } });
        let (player, reason, _) = of(spec, &Backends::default()).expect("emulated");
        assert_eq!((player, reason), (Some(Player::Host), "HostProcess"));
    }

    #[test]
    fn what_is_switched_off_does_not_run_whatever_it_is() {
        for &board in McuType::ALL {
            let off = json!({ "mcuType": board, "emulation": { "running": false } });
            let (player, reason, _) = of(off, &everything()).expect("emulated");
            assert_eq!((player, reason), (None, "SwitchedOff"));
        }
    }

    /// Every board with every backend, on a computer that has everything and on one that has nothing.
    #[test]
    fn a_declared_backend_plays_the_board_or_says_why_not_and_is_never_replaced() {
        for &board in McuType::ALL {
            for backend in [Backend::Qemu, Backend::Renode] {
                let spec = json!({ "mcuType": board, "emulation": { "backend": backend } });
                let (player, why, message) = of(spec.clone(), &everything()).expect("emulated");
                match machine(board, backend) {
                    Ok(machine) => {
                        let Some(Player::Emulator(emulated)) = player else { panic!("{board} {backend}: {player:?}") };
                        assert_eq!(
                            (emulated.machine, emulated.image.path.file_stem().and_then(|it| it.to_str())),
                            (machine, Some(machine.image()))
                        );
                        assert_eq!(why.to_lowercase(), backend.as_str());
                        let missing = if backend == Backend::Qemu { "QemuMissing" } else { "RenodeMissing" };
                        assert_eq!(reason(spec, &Backends::default()), Some(missing));
                    }
                    Err(it_would_take) => {
                        assert_eq!((player, why, message), (None, "BoardNotRunnable", it_would_take));
                        assert_eq!(reason(spec, &Backends::default()), Some("BoardNotRunnable"));
                    }
                }
            }
            let by_a_process = json!({ "mcuType": board, "emulation": { "backend": "host" } });
            assert_eq!(reason(by_a_process, &everything()), Some("HostProcess"));
        }
    }

    #[test]
    fn a_process_stands_in_where_no_backend_is_declared_and_says_so() {
        let seed =
            json!({ "architecture": "ARM_CORTEX_M", "mcuType": "RenodeArduinoNano33Ble", "gatewayId": "gateway-1" });
        let (player, reason, message) = of(seed.clone(), &Backends::default()).expect("emulated");
        assert_eq!((player, reason), (Some(Player::Host), "HostStandsIn"));
        assert!(message.contains("renode is not on PATH"), "{message}");
        let (player, reason, _) = of(seed, &everything()).expect("emulated");
        assert!(matches!(player, Some(Player::Emulator(_))), "nothing has to stand in for it");
        assert_eq!(reason, "Renode");
    }

    #[test]
    fn nothing_stands_in_for_a_board_that_runs_nowhere() {
        for board in ["Stm32Vldiscovery", "Esp32DevkitC", "OlimexStm32H405", "Mps2An505"] {
            let (player, reason, message) =
                of(json!({ "mcuType": board, "emulation": {} }), &everything()).expect("emulated");
            assert_eq!((player, reason), (None, "BoardNotRunnable"), "{board}");
            assert!(message.starts_with(board), "{message}");
        }
    }

    #[test]
    fn an_image_that_is_missing_is_named_with_where_it_was_looked_for() {
        let mut backends = everything();
        backends.images.remove("mps2-an386");
        let spec = |board| json!({ "mcuType": board, "emulation": { "backend": "qemu" } });
        let (player, why, message) = of(spec("Mps2An386"), &backends).expect("emulated");
        assert_eq!((player, why), (None, "FirmwareMissing"));
        assert!(message.contains("mps2-an386.elf in /firmware: `make firmware`"), "{message}");
        assert_eq!(reason(spec("Mps2An385"), &backends), Some("Qemu"), "the others run");
    }

    #[test]
    fn a_device_waits_for_its_gateway() {
        let device = device(json!({ "mcuType": "Host", "emulation": {} }));
        for gateways in [&[][..], &[gateway(None)]] {
            let plan = plan(&device, gateways, &Backends::default()).expect("emulated");
            assert_eq!((plan.process, plan.reason), (Wanted::Kept, "GatewayAway"), "one that runs already runs on");
        }
    }
}
