//! Commands around keys and identities.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::groups::{ApiArguments, StateArguments};

/// `wasmbed keys`.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// State folder.
    #[command(flatten)]
    pub state: StateArguments,
    /// What to do with them.
    #[command(subcommand)]
    pub what: KeysWhat,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysWhat {
    /// Show the public keys and the key set
    Show,
    /// Make a new release, assignment or gateway CA key and sign the next key set with the root key
    Rotate {
        /// The key to replace
        #[arg(value_enum)]
        key: KeyName,
        /// Publish what comes of it, too.
        #[command(flatten)]
        cluster: MaybeCluster,
    },
    /// A key was stolen: make a new one and sign a key set that names none of those before
    Revoke {
        /// The key that was stolen
        #[arg(value_enum)]
        key: RevocableKey,
        /// Publish what comes of it, too.
        #[command(flatten)]
        cluster: MaybeCluster,
    },
    /// Make what is missing in the state folder, and write to a cluster what its processes need of it
    Publish(Publish),
}

/// `wasmbed keys publish`.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The cluster's kubeconfig
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Where in it.
    #[command(flatten)]
    pub places: ClusterPlaces,
    /// Name of the Fleet [default: that of its namespace]
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
    /// A gateway to make a key and a credential for, several times for several; those made before need not be named
    #[arg(long, value_name = "NAME")]
    pub gateway: Vec<wasmbed_api::Name>,
    /// Only say what would be made and written
    #[arg(long)]
    pub dry_run: bool,
}

/// A cluster that changed keys are published to, if one is named.
#[derive(Debug, Args)]
pub(crate) struct MaybeCluster {
    /// Publish to the cluster of this kubeconfig, before and after
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Where in it.
    #[command(flatten)]
    pub places: ClusterPlaces,
}

/// Where keys lie in a cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterPlaces {
    /// The fleet's namespace [default: that of the kubeconfig]
    #[arg(short, long, value_name = "NAME", requires = "kubeconfig")]
    pub namespace: Option<wasmbed_api::Name>,
    /// The namespace that Wasmbed runs in
    #[arg(long, default_value = "wasmbed-system", value_name = "NAME")]
    pub system_namespace: wasmbed_api::Name,
}

/// A key that can be revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum RevocableKey {
    /// Signs Releases.
    Release,
    /// Signs Assignments.
    Assignment,
}

/// A key that can be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum KeyName {
    /// Signs Releases.
    Release,
    /// Signs Assignments.
    Assignment,
    /// Signs gateways' credentials.
    GatewayCa,
}

/// `wasmbed enroll`.
#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// The Device to give a key [default: list the pending keys]
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
    /// The pending key, or the start of its fingerprint [default: the one that proved a pairing code of this Device]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// A clone of the fleet's repository, in which the commit is composed
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
    /// Make a one-time pairing code for the Device instead, valid for this long (for example 1h)
    #[arg(long, value_name = "DURATION", conflicts_with = "key")]
    pub pair: Option<String>,
}

/// `wasmbed provision`.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// State folder, for the fleet's root public key and gateways.
    #[command(flatten)]
    pub api: ApiArguments,
    /// The device's folder; made if it is not there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The board: writes what belongs into its flash, too, as region.bin
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    /// A gateway's address (host:port), several times for several [default: those of `wasmbed up`]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
    /// Name of the declared Device that the pairing code is for
    #[arg(long, value_name = "DEVICE", requires = "code")]
    pub device: Option<String>,
    /// The one-time pairing code
    #[arg(long, value_name = "CODE", requires = "device")]
    pub code: Option<String>,
}
