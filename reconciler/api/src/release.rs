//! Release: what may run, signed; its name is the SHA-256 of what was signed.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::config::{Limits, RestartPolicy};
use crate::digest::Digest;
use crate::name::Name;
use crate::schema;

/// What was signed, readable, with the signed bytes.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "wasmbed.github.io",
    version = "v1alpha1",
    kind = "Release",
    plural = "releases",
    shortname = "rel",
    category = "wasmbed",
    namespaced,
    status = "ReleaseStatus",
    derive = "PartialEq",
    doc = "What may run, signed once; its name is the SHA-256 of what was signed. Written by the reconciler; only the signature changes, when the release key is replaced.",
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".spec.revision"),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".spec.artifacts[0].size"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct ReleaseSpec {
    /// The fleet it was signed for.
    pub fleet: String,
    /// The Application.
    pub application: Name,
    /// The revision that first made it; not part of what was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The modules, one for each platform.
    pub artifacts: Vec<Artifact>,
    /// What the application reads as its configuration.
    pub config: ReleaseConfig,
    /// Its limits.
    pub limits: Limits,
    /// What it may touch.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Whether and how often it is started again.
    pub restart: RestartPolicy,
    /// The COSE_Sign1 that devices verify, in base64; signed again when the release key is replaced.
    #[schemars(schema_with = "schema::required_bytes")]
    pub cose: ByteString,
}

/// A module for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The platform; `wasm32` is any device.
    pub platform: String,
    /// The format; `wasm`.
    pub format: String,
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// What an application reads as its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseConfig {
    /// Values by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// What is seen of a Release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseStatus {
    /// The `metadata.generation` all this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the Release at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
