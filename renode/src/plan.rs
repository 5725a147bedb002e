//! What an emulator does about a Device. Pure.

use kube::ResourceExt;
use wasmbed_api::{Backend, Device, Endpoint, Gateway, Truth, labels};

/// Which backends this machine has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Backends {
    /// `qemu-system-arm`, and firmware images for it.
    pub qemu: bool,
    /// `renode`, and firmware images for it.
    pub renode: bool,
}

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
    Runs(HostProcess),
}

/// A device played by an ordinary process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostProcess {
    /// Where its gateway listens.
    pub gateway: Endpoint,
}

/// What to do about `device`; none if it is not an emulated one. `gateways` are those of its namespace.
#[must_use]
pub fn plan(device: &Device, gateways: &[Gateway], backends: Backends) -> Option<Plan> {
    let backend = device.spec.backend()?;
    let none = |process, reason, message| Some(Plan { process, emulated: Truth::False, reason, message });
    if !device.spec.is_running() {
        return none(Wanted::Off, "SwitchedOff", "spec.emulation.running is false".to_owned());
    }
    let declared = device.spec.emulation.as_ref().and_then(|emulation| emulation.backend).is_some();
    let stands_in = match backend {
        Backend::Host => false,
        Backend::Qemu | Backend::Renode if has(backends, backend) || declared => {
            let message = format!(
                "the backend {backend} cannot run {} here: it or a firmware image for it is missing; \
                 set spec.emulation.backend to host to have it played by a process",
                device.spec.board(),
            );
            return none(Wanted::Off, "BackendMissing", message);
        }
        Backend::Qemu | Backend::Renode => true,
    };
    let Some(name) = device.labels().get(labels::GATEWAY) else {
        return none(Wanted::Kept, "NoGateway", "it waits to be given a Gateway".to_owned());
    };
    let gateway = gateways.iter().find(|gateway| gateway.name_any() == *name);
    let Some(address) = gateway.and_then(|gateway| gateway.status.as_ref()?.address.clone()) else {
        return none(Wanted::Kept, "GatewayAway", format!("it waits for the Gateway {name} to listen"));
    };
    let (reason, message) = if stands_in {
        let message = format!(
            "a process plays this device: the backend {backend} of its board {} is not here and its declaration \
             names none; set spec.emulation.backend to choose",
            device.spec.board(),
        );
        ("HostStandsIn", message)
    } else {
        ("HostProcess", "a process plays this device".to_owned())
    };
    Some(Plan { process: Wanted::Runs(HostProcess { gateway: address }), emulated: Truth::True, reason, message })
}

fn has(backends: Backends, backend: Backend) -> bool {
    match backend {
        Backend::Host => true,
        Backend::Qemu => backends.qemu,
        Backend::Renode => backends.renode,
    }
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

    fn of(spec: serde_json::Value) -> Option<(bool, &'static str)> {
        let gateways = [gateway(Some("127.0.0.1:7443"))];
        plan(&device(spec), &gateways, Backends::default()).map(|plan| (plan.process != Wanted::Off, plan.reason))
    }

    #[test]
    fn a_device_that_is_not_emulated_is_left_alone() {
        assert_eq!(of(json!({ "mcuType": "Stm32F746gDisco" })), None);
    }

    #[test]
    fn a_host_device_is_a_process() {
        let spec = json!({ "mcuType": "Host", "emulation": { "backend": "host", "running": true } });
        assert_eq!(of(spec), Some((true, "HostProcess")));
        let off = json!({ "mcuType": "Host", "emulation": { "running": false } });
        assert_eq!(of(off), Some((false, "SwitchedOff")));
    }

    #[test]
    fn a_process_stands_in_where_no_backend_is_declared_and_says_so() {
        let seed =
            json!({ "architecture": "ARM_CORTEX_M", "mcuType": "RenodeArduinoNano33Ble", "gatewayId": "gateway-1" });
        assert_eq!(of(seed), Some((true, "HostStandsIn")));
    }

    #[test]
    fn a_declared_backend_that_is_missing_is_never_replaced() {
        let spec = json!({ "mcuType": "Mps2An386", "emulation": { "backend": "qemu" } });
        assert_eq!(of(spec), Some((false, "BackendMissing")));
    }

    #[test]
    fn a_device_waits_for_its_gateway() {
        let device = device(json!({ "mcuType": "Host", "emulation": {} }));
        for gateways in [&[][..], &[gateway(None)]] {
            let plan = plan(&device, gateways, Backends::default()).expect("emulated");
            assert_eq!((plan.process, plan.reason), (Wanted::Kept, "GatewayAway"), "one that runs already runs on");
        }
    }
}
