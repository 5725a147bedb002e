//! Application: a WebAssembly module and the devices that are to run it.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::config::Config;
use crate::device::Device;
use crate::digest::Digest;
use crate::name::Name;
use crate::scalar::words;
use crate::schema;
use crate::targets::{TargetDevices, selects};

/// What an Application is declared to be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "wasmbed.github.io",
    version = "v1alpha1",
    kind = "Application",
    plural = "applications",
    shortname = "app",
    category = "wasmbed",
    namespaced,
    status = "ApplicationStatus",
    derive = "PartialEq",
    doc = "A WebAssembly module and the devices that are to run it.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.running"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.release", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct ApplicationSpec {
    /// A name for people; the object's own name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the application does, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the source lies in the repository; either this or `wasmBytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The module itself, in base64; either this or `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub wasm_bytes: Option<ByteString>,
    /// The devices by name: a list. The old map `{deviceNames, selectors, allDevices}` is read too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_devices: Option<TargetDevices>,
    /// The devices by label; `{}` selects all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub target_selector: Option<LabelSelector>,
    /// How the application is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// What the application may touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// How a new Release reaches the devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutPolicy>,
    /// Whether the application is stopped on all its devices; no if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Set to the present moment (RFC 3339) to start the application anew on all its devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub restarted_at: Option<Time>,
    /// Anything a person wants to keep with the application; Wasmbed does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_map")]
    pub metadata: Option<BTreeMap<String, serde_json::Value>>,
}

/// Where an application's source lies, and how it is built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The folder of the package, from the root of the fleet's path in the repository.
    #[schemars(length(min = 1, max = 1024), extend("x-wasmbed-shape" = "path"))]
    pub path: String,
    /// The language it is written in; `rust` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// What it is compiled for; `wasm32-unknown-unknown` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<BuildTarget>,
    /// Whether it is optimised for size (`release`, if absent) or keeps its panic messages (`dev`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

words! {
    /// A language applications are written in.
    #[derive(Default)]
    Language {
        /// Rust, a Cargo package.
        #[default]
        Rust = "rust",
    }
}

words! {
    /// What a module is compiled for.
    #[derive(Default)]
    BuildTarget {
        /// Nothing but the SDK's imports.
        #[default]
        Unknown = "wasm32-unknown-unknown",
        /// WASI preview 1: the few functions Wasmbed offers.
        Wasip1 = "wasm32-wasip1",
    }
}

words! {
    /// How a module is optimised.
    #[derive(Default)]
    Profile {
        /// For size.
        #[default]
        Release = "release",
        /// Keeps panic messages.
        Dev = "dev",
    }
}

/// How a new Release reaches the devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutPolicy {
    /// Raise it to offer again a Release that failed; 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry: Option<u32>,
}

/// What is seen of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// Where the application stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ApplicationPhase>,
    /// The newest Release its devices are led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Digest>,
    /// The revision that Release came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Devices it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
    /// Of these, devices in session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<u32>,
    /// Of these, devices that run `release`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<u32>,
    /// Of these, devices on which it runs, whichever Release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
    /// Of these, devices on which it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// The first 100 devices on which it runs, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deployed_devices: Vec<Name>,
    /// The `metadata.generation` all this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the application at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

words! {
    /// Where an application stands.
    ApplicationPhase {
        /// It is being built, or has no Release yet.
        Creating = "Creating",
        /// Its devices are on the way to its Release.
        Deploying = "Deploying",
        /// It runs on all its devices that are connected.
        Running = "Running",
        /// It runs on some of them.
        PartiallyRunning = "PartiallyRunning",
        /// It failed.
        Failed = "Failed",
        /// It is being suspended.
        Stopping = "Stopping",
        /// It is suspended.
        Stopped = "Stopped",
        /// It is being deleted.
        Deleting = "Deleting",
    }
}

impl Application {
    /// Whether a device is meant to run this application.
    pub fn targets(&self, device: &Device) -> bool {
        self.spec.targets(&device.name_any(), device.labels())
    }
}

impl ApplicationSpec {
    /// Whether a device of this name and these labels is meant to run this application.
    pub fn targets(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.target_devices.as_ref().is_some_and(|devices| devices.contains(name, labels))
            || self.target_selector.as_ref().is_some_and(|selector| selects(selector, labels))
    }

    /// Whether the application is to be stopped on all its devices.
    pub fn is_suspended(&self) -> bool {
        self.suspend.unwrap_or(false)
    }

    /// The restart counter of Assignments: Unix seconds of `restartedAt`, 0 if absent or before 1970.
    pub fn restart_counter(&self) -> u64 {
        self.restarted_at.as_ref().map_or(0, |at| u64::try_from(at.0.as_second()).unwrap_or(0))
    }

    /// How often a person asked that a failed Release be offered again.
    pub fn retry(&self) -> u32 {
        self.rollout.as_ref().and_then(|rollout| rollout.retry).unwrap_or(0)
    }
}
