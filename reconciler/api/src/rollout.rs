//! Rollout: the decision where an application's devices are between two Releases.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::scalar::words;
use crate::schema;

/// Decisions, written before they are acted on; one object an application, of the same name.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "wasmbed.github.io",
    version = "v1alpha1",
    kind = "Rollout",
    plural = "rollouts",
    category = "wasmbed",
    namespaced,
    status = "RolloutStatus",
    derive = "PartialEq",
    doc = "The decision where an application's devices are between its stable and its candidate Release. Written by the reconciler; never delete it.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Stable", type_ = "string", json_path = ".spec.stable"),
    printcolumn(name = "Candidate", type_ = "string", json_path = ".spec.candidate"),
    printcolumn(name = "Updated", type_ = "integer", json_path = ".status.updated"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct RolloutSpec {
    /// The Release that is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Digest>,
    /// The Release that devices are led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Digest>,
    /// Releases that failed and are not offered again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedRelease>,
    /// Devices whose hash lies below this bound get the candidate: 0 for none, 4294967296 for all. Never lowered for one candidate.
    #[schemars(range(min = 0, max = 4_294_967_296u64))]
    pub position: u64,
    /// When the candidate was first offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub started_at: Option<Time>,
    /// Devices on which the candidate was judged failed.
    pub judged_failed: u32,
    /// The Application's `spec.rollout.retry` these decisions were made at.
    pub retry: u32,
}

/// [`RolloutSpec::position`] when every device gets the candidate.
pub const POSITION_ALL: u64 = 1 << 32;

/// A Release that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedRelease {
    /// The Release.
    pub release: Digest,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Time>,
}

/// What is seen of a Rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStatus {
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RolloutPhase>,
    /// Devices the application is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
    /// Of these, devices in session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<u32>,
    /// Of these, devices that run the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<u32>,
    /// Of these, devices on which the candidate failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// The `metadata.generation` all this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the rollout at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

words! {
    /// Where a rollout stands.
    RolloutPhase {
        /// Devices are led to the candidate.
        Progressing = "Progressing",
        /// The candidate failed; no further device gets it.
        Halted = "Halted",
        /// Devices return to the stable Release.
        Returning = "Returning",
        /// The candidate became the stable Release.
        Complete = "Complete",
    }
}
