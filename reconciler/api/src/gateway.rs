//! Gateway: where devices connect.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::endpoint::Endpoint;
use crate::key::PublicKey;
use crate::name::Name;
use crate::scalar::words;
use crate::schema;

/// How long a replica of a Gateway counts as serving after it renewed its Lease last.
pub const LEASE_DURATION: std::time::Duration = std::time::Duration::from_secs(15);

/// What a Gateway is declared to be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "wasmbed.io",
    version = "v1",
    kind = "Gateway",
    plural = "gateways",
    shortname = "gw",
    category = "wasmbed",
    namespaced,
    status = "GatewayStatus",
    derive = "PartialEq",
    doc = "Where devices connect.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.address"),
    printcolumn(name = "Connected", type_ = "integer", json_path = ".status.connectedDevices"),
    printcolumn(name = "Enrolled", type_ = "integer", json_path = ".status.enrolledDevices"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct GatewaySpec {
    /// Where devices reach the gateway; on one machine a free port of this computer if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// A port for people and for other software; devices use `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The TLS port, where `endpoint` names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub tls_port: Option<u16>,
    /// Where the gateway stands, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the gateway offers, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The most devices in session at once; no limit but memory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub max_devices: Option<u32>,
    /// Anything a person wants to keep about the gateway's resources; Wasmbed does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_map")]
    pub resources: Option<BTreeMap<String, serde_json::Value>>,
    /// Times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<GatewayConfig>,
    /// Whether the gateway is to serve nobody; no if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Times of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayConfig {
    /// How often a device says that it is there; `30s` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<Duration>,
    /// How long a device may be silent before its session ends; `10m` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_timeout: Option<Duration>,
    /// How long an unknown key may wait in session for a person; `5m` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_timeout: Option<Duration>,
}

/// What is seen of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Where the gateway stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<GatewayPhase>,
    /// `host:port` where the gateway really listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Endpoint>,
    /// Devices in session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_devices: Option<u32>,
    /// Devices declared for this gateway whose key is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolled_devices: Option<u32>,
    /// Unknown keys that knocked and wait for a person; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["publicKey"]))]
    pub pending: Vec<PendingKey>,
    /// The processes that serve the gateway, where there may be several: on a cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub replicas: Vec<GatewayReplica>,
    /// The `metadata.generation` all this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the gateway at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

words! {
    /// Where a gateway stands.
    GatewayPhase {
        /// Declared; nobody serves it yet.
        Pending = "Pending",
        /// It serves.
        Running = "Running",
        /// It cannot.
        Failed = "Failed",
        /// It is suspended.
        Stopped = "Stopped",
    }
}

/// A process that serves a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReplica {
    /// Its name, as in `Device.status.session.replica`; on a cluster that of its Pod.
    pub name: String,
    /// Devices in session there.
    pub connected_devices: u32,
}

/// An unknown key that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingKey {
    /// The key that knocked.
    pub public_key: PublicKey,
    /// Where it knocked from.
    pub source: String,
    /// The board it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The Device it says it is, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Name>,
    /// When it knocked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub since: Option<Time>,
    /// The Device whose one-time code (`spec.pairing`) the key proved. Whoever takes the key up for it verifies `proof`
    /// again: a gateway is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_with: Option<Name>,
    /// The exporter value of the TLS session in which the code was proved: 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub exporter: Option<ByteString>,
    /// The signature that proves the code: 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub proof: Option<ByteString>,
}

impl GatewayConfig {
    /// The heartbeat interval, with its default.
    pub fn heartbeat_interval(&self) -> std::time::Duration {
        self.heartbeat_interval.unwrap_or(Duration::from_secs(30)).as_std()
    }

    /// The connection timeout, with its default.
    pub fn connection_timeout(&self) -> std::time::Duration {
        self.connection_timeout.unwrap_or(Duration::from_secs(600)).as_std()
    }

    /// The enrollment timeout, with its default.
    pub fn enrollment_timeout(&self) -> std::time::Duration {
        self.enrollment_timeout.unwrap_or(Duration::from_secs(300)).as_std()
    }
}

impl GatewaySpec {
    /// The times, with their defaults.
    pub fn config(&self) -> GatewayConfig {
        self.config.clone().unwrap_or_default()
    }

    /// Whether the gateway is to serve nobody.
    pub fn is_suspended(&self) -> bool {
        self.suspend.unwrap_or(false)
    }
}
