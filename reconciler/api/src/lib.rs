//! The kinds of Wasmbed: pure types, parsing, validation and CRDs.
//!
//! - The kinds: [`Device`], [`Application`], [`Gateway`], [`Fleet`], [`Release`], [`Rollout`];
//!   [`crds`] defines them for a Kubernetes API.
//! - [`declarations`] reads them from a repository, with the place of every error.
//! - Old forms of the resource files are read and never written: a type has one form.

// The columns that kubectl prints are attributes that repeat their keys.
#![allow(clippy::duplicated_attributes)]

mod application;
mod board;
mod capability;
mod condition;
mod config;
mod crds;
pub mod declarations;
mod device;
mod digest;
mod duration;
mod endpoint;
mod fleet;
mod gateway;
mod key;
pub mod labels;
mod name;
mod quantity;
mod release;
mod rollout;
mod scalar;
mod schema;
mod targets;

pub use application::{
    Application, ApplicationPhase, ApplicationSpec, ApplicationStatus, BuildTarget, Language, Profile, RolloutPolicy,
    Source,
};
pub use board::{APPLICATION_OVERHEAD, BoardMemory, INTERPRETER_STACK};
pub use capability::{Capabilities, HostPort, MAX_TOPIC, PinName, TopicPattern};
pub use condition::{Condition, Truth, condition, set_condition, types as condition_types};
pub use config::{Config, IoLimit, Limits, RestartPolicy};
pub use crds::{crds, crds_yaml};
pub use device::{
    Backend, Device, DeviceApplication, DevicePhase, DeviceSession, DeviceSpec, DeviceStatus, DeviceType, Emulation,
    InstancePhase, McuType, Pairing, Throttled,
};
pub use digest::Digest;
pub use duration::Duration;
pub use endpoint::Endpoint;
pub use fleet::{
    Alert, Fleet, FleetCounts, FleetSpec, FleetStatus, Forge, ForgeKind, Held, Previews, Rollback, SecretRef, Verify,
};
pub use gateway::{
    Gateway, GatewayConfig, GatewayPhase, GatewayReplica, GatewaySpec, GatewayStatus, LEASE_DURATION, PendingKey,
};
pub use k8s_openapi::ByteString;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, MicroTime, Time};
pub use key::PublicKey;
pub use name::{MAX_NAME, Name};
pub use quantity::{Cpu, Memory};
pub use release::{Artifact, Release, ReleaseConfig, ReleaseSpec, ReleaseStatus};
pub use rollout::{FailedRelease, POSITION_ALL, Rollout, RolloutPhase, RolloutSpec, RolloutStatus};
pub use scalar::ScalarError;
pub use targets::{TargetDevices, selects};
