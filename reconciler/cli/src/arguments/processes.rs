//! The components of a cluster, as processes of their own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wasmbed_streams::Endpoint;

use super::groups::{
    ApiArguments, FirmwareArguments, HealthArguments, KeyArguments, RegistryArguments, StreamArguments,
};

/// `wasmbed reconcile`.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// Bring the cluster to the repository once, and end
    #[arg(long)]
    pub once: bool,
    /// Where the release key is.
    #[command(flatten)]
    pub keys: KeyArguments,
    /// The folder of caches: repositories, built modules [default: in the state folder]
    #[arg(long, env = "WASMBED_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Where the builder serves [default: that of `wasmbed up`]
    #[arg(long, env = "WASMBED_BUILDER", value_name = "ENDPOINT")]
    pub builder: Option<Endpoint>,
    /// How the builder is known, and this process to it.
    #[command(flatten)]
    pub streams: StreamArguments,
    /// Be one of several for the namespace, of which one at a time reconciles: the holder of the Lease `wasmbed-reconciler`
    #[arg(long, env = "WASMBED_LEADER_ELECTION", conflicts_with = "once")]
    pub leader_election: bool,
    /// This process among the several [default: the host's name, and something random]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub replica: Option<String>,
    /// Where `POST /hooks/TOKEN` is answered, over HTTP, for a forge to say that something was pushed (for example 0.0.0.0:8080;
    /// the Fleet's `spec.webhookTokenRef` names the Secret with the token) [default: nowhere]
    #[arg(long, env = "WASMBED_LISTEN_HOOKS", value_name = "ADDRESS", conflicts_with = "once")]
    pub listen_hooks: Option<std::net::SocketAddr>,
    /// Where it stores large modules.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// Health.
    #[command(flatten)]
    pub health: HealthArguments,
}

/// `wasmbed gateway`.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// Name of the Gateway declared that it serves
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Where its key and credential are [default: the Secret gateway-NAME in the fleet's namespace]
    #[command(flatten)]
    pub keys: KeyArguments,
    /// This process among those that serve the Gateway; it holds a Lease of that name [default: with --system-namespace the
    /// host's name; else none, as it is the only one]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub replica: Option<String>,
    /// Where it listens for devices
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// What devices are told to connect to (host:port) [default: where it listens]
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Option<wasmbed_api::Endpoint>,
    /// Where the signer serves [default: that of `wasmbed up`]
    #[arg(long, env = "WASMBED_SIGNER", value_name = "ENDPOINT")]
    pub signer: Option<Endpoint>,
    /// How the signer is known, and this process to it.
    #[command(flatten)]
    pub streams: StreamArguments,
    /// Where it serves what its devices say, for `wasmbed logs` and `wasmbed results` with --live: an address that speaks TLS
    /// (for example 0.0.0.0:8443) [default: nowhere]
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls", "allow"])]
    pub listen_live: Option<std::net::SocketAddr>,
    /// The folder with its certificate there: tls.crt and tls.key, read again when they change
    #[arg(long, value_name = "DIR", requires = "listen_live")]
    pub tls: Option<PathBuf>,
    /// A user that is let in there by its token (system:serviceaccount:NAMESPACE:NAME), several times for several
    #[arg(long, value_name = "USER", requires = "listen_live")]
    pub allow: Vec<String>,
    /// How many seconds, once told to end, the devices' sessions may take to end, one after another
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub drain: u32,
    /// Where it fetches large modules.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// Health.
    #[command(flatten)]
    pub health: HealthArguments,
}

/// `wasmbed signer`.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// Name of the Fleet
    #[arg(long, value_name = "NAME")]
    pub fleet: String,
    /// Where the assignment key is.
    #[command(flatten)]
    pub keys: KeyArguments,
    /// Where gateways reach it: an address that speaks TLS (for example 0.0.0.0:8443) [default: the state folder's socket]
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls", "allow"])]
    pub listen: Option<std::net::SocketAddr>,
    /// The folder with its certificate: tls.crt and tls.key, read again when they change
    #[arg(long, value_name = "DIR", requires = "listen")]
    pub tls: Option<PathBuf>,
    /// A user that is let in by its token (system:serviceaccount:NAMESPACE:NAME), several times for several
    #[arg(long, value_name = "USER", requires = "listen")]
    pub allow: Vec<String>,
    /// Health.
    #[command(flatten)]
    pub health: HealthArguments,
    /// End when standard input ends, as a child of a supervisor does
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `wasmbed builder`.
#[derive(Debug, Args)]
pub(crate) struct Builder {
    /// The Unix socket to serve
    #[arg(long, value_name = "PATH", required_unless_present = "listen")]
    pub socket: Option<PathBuf>,
    /// The address to serve instead, over TLS (for example 0.0.0.0:8443)
    #[arg(long, value_name = "ADDRESS", conflicts_with = "socket", requires_all = ["tls", "client_ca"])]
    pub listen: Option<std::net::SocketAddr>,
    /// The folder with its certificate: tls.crt and tls.key, read again when they change
    #[arg(long, value_name = "DIR", requires = "listen")]
    pub tls: Option<PathBuf>,
    /// The CA certificates (PEM) that sign the callers' client certificates
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub client_ca: Option<PathBuf>,
    /// A DNS name that a caller's certificate is to be for, several times for several [default: any certificate of that CA
    /// will do, which must then sign for the callers alone]
    #[arg(long, value_name = "NAME", requires = "listen")]
    pub allow: Vec<String>,
    /// Its folder, for compiled libraries and build folders
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Health.
    #[command(flatten)]
    pub health: HealthArguments,
    /// End when standard input ends, as a child of a supervisor does
    #[arg(long, hide = true)]
    pub with_parent: bool,
    /// Whether builds run in a sandbox; `none` lets build scripts read everything you can read.
    #[arg(long, env = "WASMBED_SANDBOX", value_enum, default_value_t)]
    pub sandbox: Sandbox,
    /// How many seconds a build may take before it is ended.
    #[arg(long, env = "WASMBED_BUILD_SECONDS", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub build_seconds: u32,
    /// A Cargo configuration that builds see, for a mirror of crates.io.
    #[arg(long, env = "WASMBED_REGISTRY_CONFIG", value_name = "FILE")]
    pub registry_config: Option<PathBuf>,
}

/// Whether builds run in a sandbox.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Sandbox {
    /// They do, or fail and say what is missing.
    #[default]
    Required,
    /// They do not.
    None,
}

/// `wasmbed emulator`.
#[derive(Debug, Args)]
pub(crate) struct Emulator {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// Name of the Fleet, which the devices are provisioned with
    #[arg(long, value_name = "NAME")]
    pub fleet: wasmbed_api::Name,
    /// The fleet's root public key, as `wasmbed keys show` prints it
    #[arg(long, value_name = "KEY")]
    pub root: wasmbed_api::PublicKey,
    /// Its folder, for the devices' flash and output; one process at a time for it, and for a namespace
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Firmware, for devices that an emulator plays.
    #[command(flatten)]
    pub firmware: FirmwareArguments,
    /// Health.
    #[command(flatten)]
    pub health: HealthArguments,
}
