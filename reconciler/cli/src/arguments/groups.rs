//! Arguments that several commands take.

use std::path::PathBuf;

use clap::Args;
use wasmbed_registry::{MAX_IN_CONFIG_MAP, MAX_MODULE};
use wasmbed_streams::Endpoint;

/// Where `wasmbed up` keeps its state.
#[derive(Clone, Debug, Args)]
pub(crate) struct StateArguments {
    /// The state folder of `wasmbed up` [default: $XDG_STATE_HOME/wasmbed or ~/.local/state/wasmbed]
    #[arg(long, env = "WASMBED_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Which API, and where in it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApiArguments {
    /// State folder.
    #[command(flatten)]
    pub state: StateArguments,
    /// Another kubeconfig than that of `wasmbed up`, or of the cluster whose pod this is
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The fleet's namespace [default: that of the kubeconfig]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Where firmware images lie.
#[derive(Clone, Debug, Args)]
pub(crate) struct FirmwareArguments {
    /// The folder with firmware images, BOARD.elf [default: target/firmware beside this program's own target folder, then
    /// share/wasmbed/firmware where it is installed]
    #[arg(long, env = "WASMBED_FIRMWARE", value_name = "DIR")]
    pub firmware: Option<PathBuf>,
}

/// Whose live events are read: those of `wasmbed up`, or of gateways on a cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct LiveArguments {
    /// State folder.
    #[command(flatten)]
    pub state: StateArguments,
    /// Where gateways of a cluster serve live events (https://host:port, or unix:/path), several times for several; each
    /// address of a name is read [default: those of `wasmbed up`]
    #[arg(long, value_name = "ENDPOINT")]
    pub live: Vec<Endpoint>,
    /// How they are known, and the reader to them.
    #[command(flatten)]
    pub streams: StreamArguments,
}

/// Where modules lie that are too large for a ConfigMap.
#[derive(Clone, Debug, Args)]
pub(crate) struct RegistryArguments {
    /// The repository of an OCI registry that has the modules which are too large for a ConfigMap (HOST[:PORT]/REPOSITORY,
    /// over HTTPS except on loopback) [default: none; there are no such modules]
    #[arg(long, env = "WASMBED_REGISTRY", value_name = "HOST/REPOSITORY")]
    pub registry: Option<String>,
    /// A docker configuration (config.json) with a name and a password for it, read for each module [default: anonymous]
    #[arg(long, env = "WASMBED_REGISTRY_CREDENTIALS", value_name = "FILE", requires = "registry")]
    pub registry_credentials: Option<PathBuf>,
    /// The CA certificates (PEM) that know it besides those of this machine, read for each module; with them it is HTTPS on
    /// loopback too
    #[arg(long, env = "WASMBED_REGISTRY_CA", value_name = "FILE", requires = "registry")]
    pub registry_ca: Option<PathBuf>,
    /// The most bytes that a module may have in it
    #[arg(
        long, env = "WASMBED_REGISTRY_MAX_MODULE", value_name = "BYTES", default_value_t = MAX_MODULE, requires = "registry",
        value_parser = clap::value_parser!(u64).range(MAX_IN_CONFIG_MAP..=MAX_MODULE)
    )]
    pub registry_max_module: u64,
}

/// Where a component of a cluster has its keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArguments {
    /// The namespace of the processes and of the Secrets with the keys, as `wasmbed keys publish` writes them [default: none;
    /// keys are those of the state folder]
    #[arg(long, env = "WASMBED_SYSTEM_NAMESPACE", value_name = "NAME")]
    pub system_namespace: Option<String>,
}

/// How both sides of a stream over TLS know each other.
#[derive(Clone, Debug, Args)]
pub(crate) struct StreamArguments {
    /// The CA certificates (PEM) that sign the certificate of an https endpoint
    #[arg(long, env = "WASMBED_STREAMS_CA", value_name = "FILE")]
    pub streams_ca: Option<PathBuf>,
    /// The bearer token to show there: a projected ServiceAccount token of the audience `wasmbed`, read for each stream
    #[arg(long, env = "WASMBED_STREAMS_TOKEN", value_name = "FILE")]
    pub streams_token: Option<PathBuf>,
    /// The folder with the client certificate to show there: tls.crt and tls.key
    #[arg(long, env = "WASMBED_STREAMS_CERTIFICATE", value_name = "DIR")]
    pub streams_certificate: Option<PathBuf>,
}

/// Where a component says how it is.
#[derive(Clone, Debug, Args)]
pub(crate) struct HealthArguments {
    /// Where /healthz, /readyz and /metrics are answered (for example 0.0.0.0:8081) [default: nowhere]
    #[arg(long, env = "WASMBED_LISTEN_HEALTH", value_name = "ADDRESS")]
    pub listen_health: Option<std::net::SocketAddr>,
}
