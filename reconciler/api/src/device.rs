//! Device: one microcontroller, or a process that plays one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::key::PublicKey;
use crate::name::Name;
use crate::scalar::words;
use crate::schema;

/// What a Device is declared to be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "wasmbed.github.io",
    version = "v0",
    kind = "Device",
    plural = "devices",
    shortname = "dev",
    category = "wasmbed",
    namespaced,
    status = "DeviceStatus",
    derive = "PartialEq",
    doc = "One microcontroller, or a process that plays one.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayId"),
    printcolumn(name = "MCU", type_ = "string", json_path = ".spec.mcuType"),
    printcolumn(name = "Heartbeat", type_ = "date", json_path = ".status.lastHeartbeat"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", from = "DeviceSpecForms")]
pub struct DeviceSpec {
    /// The device's Ed25519 public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// Processor architecture, such as `ARM_CORTEX_M`; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcu_type: Option<McuType>,
    /// What the device is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<DeviceType>,
    /// The Gateway the device connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_id: Option<Name>,
    /// How the device may introduce its key by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<Pairing>,
    /// That the device is emulated, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulation: Option<Emulation>,
}

/// What a Device is declared to be.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
struct DeviceSpecForms {
    /// The device's Ed25519 public key: `ssh-ed25519 AAAA...` or base64 of the 32 bytes.
    public_key: Option<PublicKey>,
    /// Processor architecture, such as `ARM_CORTEX_M`; for people.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Za-z0-9][-A-Za-z0-9_.]*$"),
        extend("x-wasmbed-shape" = "architecture")
    )]
    architecture: Option<String>,
    /// The board; `Stm32F746gDisco` if absent.
    mcu_type: Option<McuType>,
    /// What the device is for; `MCU` if absent.
    device_type: Option<DeviceType>,
    /// The Gateway the device connects to.
    gateway_id: Option<Name>,
    /// Old form of `gatewayId`.
    preferred_gateway: Option<Name>,
    /// How the device may introduce its key by itself: by a one-time code.
    pairing: Option<Pairing>,
    /// That the device is emulated, and how.
    emulation: Option<Emulation>,
}

impl From<DeviceSpecForms> for DeviceSpec {
    fn from(forms: DeviceSpecForms) -> Self {
        Self {
            public_key: forms.public_key,
            architecture: forms.architecture,
            mcu_type: forms.mcu_type,
            device_type: forms.device_type,
            gateway_id: forms.gateway_id.or(forms.preferred_gateway),
            pairing: forms.pairing,
            emulation: forms.emulation,
        }
    }
}

impl JsonSchema for DeviceSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceSpec".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        DeviceSpecForms::json_schema(generator)
    }
}

words! {
    /// A board.
    #[derive(Default)]
    McuType {
        /// A process on an ordinary computer.
        Host = "Host",
        /// MPS2 with AN385: Cortex-M3, QEMU.
        Mps2An385 = "Mps2An385",
        /// MPS2 with AN386: Cortex-M4F, QEMU.
        Mps2An386 = "Mps2An386",
        /// MPS2 with AN500: Cortex-M7, QEMU.
        Mps2An500 = "Mps2An500",
        /// MPS2 with AN505: Cortex-M33.
        Mps2An505 = "Mps2An505",
        /// STM32VLDISCOVERY: Cortex-M3, 8 KB of RAM; accepted, cannot run.
        Stm32Vldiscovery = "Stm32Vldiscovery",
        /// Olimex STM32-H405: Cortex-M4F.
        OlimexStm32H405 = "OlimexStm32H405",
        /// Nordic nRF52840 DK: Cortex-M4F.
        Nrf52840Dk = "Nrf52840DK",
        /// STM32F4DISCOVERY: Cortex-M4F.
        Stm32F4Disco = "Stm32F4Disco",
        /// STM32F746G Discovery: Cortex-M7.
        #[default]
        Stm32F746gDisco = "Stm32F746gDisco",
        /// NXP FRDM-K64F: Cortex-M4F.
        FrdmK64f = "FrdmK64f",
        /// ESP32-DevKitC: Xtensa; accepted, cannot run.
        Esp32DevkitC = "Esp32DevkitC",
        /// Arduino Nano 33 BLE as Renode emulates it.
        RenodeArduinoNano33Ble = "RenodeArduinoNano33Ble",
        /// STM32F4DISCOVERY as Renode emulates it.
        RenodeStm32F4Discovery = "RenodeStm32F4Discovery",
    }
}

impl McuType {
    /// The backend that emulates this board when the declaration names none.
    pub fn backend(self) -> Backend {
        match self {
            Self::Host => Backend::Host,
            Self::Mps2An385 | Self::Mps2An386 | Self::Mps2An500 | Self::Mps2An505 | Self::OlimexStm32H405 => {
                Backend::Qemu
            }
            _ => Backend::Renode,
        }
    }

    /// Whether the name itself says that the board is an emulated one.
    pub fn is_emulated_by_name(self) -> bool {
        matches!(self, Self::RenodeArduinoNano33Ble | Self::RenodeStm32F4Discovery)
    }
}

words! {
    /// What a device is for.
    #[derive(Default)]
    DeviceType {
        /// Nothing in particular.
        #[default]
        Mcu = "MCU",
        /// It measures.
        Sensor = "SENSOR",
        /// It acts.
        Actuator = "ACTUATOR",
    }
}

words! {
    /// What emulates a device.
    Backend {
        /// An ordinary process that plays the device.
        Host = "host",
        /// QEMU.
        Qemu = "qemu",
        /// Renode.
        Renode = "renode",
    }
}

/// A one-time code, by the public key derived from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pairing {
    /// The public key derived from the one-time code.
    pub public_key: PublicKey,
    /// The moment the code expires (RFC 3339); never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub until: Option<Time>,
}

/// How a device is emulated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Emulation {
    /// What emulates it; the board's own backend if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// Whether it is switched on; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
}

/// What is seen of a Device.
// The seed's files carry statuses with fields of its own. What a file says in a status is ignored, but a server-side apply
// refuses what the schema does not let be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct DeviceStatus {
    /// Where the device stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<DevicePhase>,
    /// When the device was last heard; may lag by minutes, the live one is in the dashboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_heartbeat: Option<Time>,
    /// The public key of an emulated device, which its emulator made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The session the device is in, or was in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<DeviceSession>,
    /// What runs on the device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub applications: Vec<DeviceApplication>,
    /// The `metadata.generation` the conditions were said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the device at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

words! {
    /// Where a device stands.
    DevicePhase {
        /// Declared; not heard yet.
        Pending = "Pending",
        /// Its key is being taken up.
        Enrolling = "Enrolling",
        /// Its key is known; it has not connected yet.
        Enrolled = "Enrolled",
        /// In session.
        Connected = "Connected",
        /// It, or its gateway, ended the session.
        Disconnected = "Disconnected",
        /// It, or its gateway, fell silent.
        Unreachable = "Unreachable",
    }
}

/// The session a status was written in; a lower counter never overwrites a higher one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSession {
    /// The gateway replica that holds the session.
    pub replica: String,
    /// Rises with each session of the device.
    #[schemars(range(min = 0))]
    pub counter: i64,
}

/// An application as a device reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceApplication {
    /// The Application.
    pub name: Name,
    /// The Release that runs, or should.
    pub release: Digest,
    /// Where it stands.
    pub phase: InstancePhase,
    /// Why it failed or restarted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Restarts since this Release began.
    #[serde(default)]
    pub restarts: u32,
    /// Which of its limits holds it back, while it runs: it asks for more, again and again. Gone when it has not for a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<Throttled>,
}

words! {
    /// Which of its limits holds an application back.
    Throttled {
        /// Its share of the processor, `cpuTimeLimit`.
        CpuTime = "CpuTime",
        /// What it may write to its log, `ioLimit`; lines are dropped.
        Log = "Log",
        /// What it may publish, `ioLimit`; messages are refused.
        Output = "Output",
    }
}

words! {
    /// Where an application on a device stands.
    InstancePhase {
        /// Its module is being fetched.
        Fetching = "Fetching",
        /// It starts, and has not proven itself yet.
        Starting = "Starting",
        /// It runs.
        Running = "Running",
        /// Its `main` returned 0.
        Completed = "Completed",
        /// It ended with an error and waits for its restart.
        Restarting = "Restarting",
        /// It ended with an error and is not started again.
        Failed = "Failed",
        /// It is suspended.
        Suspended = "Suspended",
        /// It stops.
        Stopping = "Stopping",
        /// It failed, and the Release before it runs in its place.
        FellBack = "FellBack",
    }
}

impl Device {
    /// The key that the device may present: the declared one, or the one its emulator made.
    pub fn key(&self) -> Option<PublicKey> {
        self.spec.public_key.or_else(|| {
            let status = self.status.as_ref()?;
            status.public_key.filter(|_| self.spec.is_emulated())
        })
    }
}

impl DeviceSpec {
    /// The board, the default one if none is declared.
    pub fn board(&self) -> McuType {
        self.mcu_type.unwrap_or_default()
    }

    /// Whether the device is an emulated one: declared so, or a board that exists in an emulator
    /// only (`Renode...`) without a key or pairing of its own, as old declarations have it.
    pub fn is_emulated(&self) -> bool {
        self.emulation.is_some()
            || (self.board().is_emulated_by_name() && self.public_key.is_none() && self.pairing.is_none())
    }

    /// What emulates the device, if it is emulated.
    pub fn backend(&self) -> Option<Backend> {
        let declared = self.emulation.as_ref().and_then(|emulation| emulation.backend);
        self.is_emulated().then(|| declared.unwrap_or_else(|| self.board().backend()))
    }

    /// Whether an emulated device is to be switched on.
    pub fn is_running(&self) -> bool {
        self.is_emulated() && self.emulation.as_ref().and_then(|e| e.running).unwrap_or(true)
    }
}
