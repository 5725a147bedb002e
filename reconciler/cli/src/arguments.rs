//! Every argument of the program, in one place.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wasmbed_registry::{MAX_IN_CONFIG_MAP, MAX_MODULE};
use wasmbed_streams::Endpoint;

/// `git push` deploys WebAssembly applications to fleets of microcontrollers.
#[derive(Debug, Parser)]
#[command(name = "wasmbed", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to print: for people, or for programs.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one a line where a command goes on.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine: the API, the reconciler, the gateways and emulated devices
    Up(Up),
    /// Show the fleet: revision, applications, devices, gateways
    Status(Status),
    /// Print what devices and applications log
    Logs(Logs),
    /// Print what an application publishes
    Results(Results),
    /// Show what a revision would change, from a clone alone
    Plan(Plan),
    /// Check a fleet's declarations, from a folder alone
    Validate(Validate),
    /// Build an application's module, or every application's
    Build(Build),
    /// Start something new
    New(New),
    /// Approve a pending device: compose the change of its declaration for you to commit
    Enroll(Enroll),
    /// Make a device's identity, ready to be put into it
    Provision(Provision),
    /// Keys and key sets
    Keys(Keys),
    /// Print the custom resource definitions
    Crds,
    /// Say what is there, what is missing, and what each missing thing costs you
    Doctor(FirmwareArguments),
    /// Print a shell's completions
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Run the reconciler on its own, against the API of a kubeconfig or of the cluster it runs in
    Reconcile(Reconcile),
    /// Run a gateway on its own: one of the processes that serve a Gateway declared
    Gateway(Gateway),
    /// Run the signer on its own: it signs what devices are to run, for the gateways
    Signer(Signer),
    /// Run a builder on its own: it compiles applications, for the reconcilers, and needs no rights at the API
    Builder(Builder),
    /// Run the emulated devices of a fleet on their own, as `wasmbed up` runs them
    Emulator(Emulator),
    /// Run a device as an ordinary process, its identity and store in a folder
    Device(Device),
    /// Connect a board without a network to its gateway, over its serial port
    Link(Link),
    /// Run an emulated board by hand, what its UART prints on the terminal
    Emulate(Emulate),
    /// Carry standard input and output to a TCP address (started by QEMU)
    #[command(hide = true)]
    Connect {
        /// The address (host:port)
        address: String,
    },
    /// Become another program, which ends with the process that started it (started by the emulator)
    #[command(hide = true)]
    WithParent(WithParent),
    /// Run an emulator in a network that holds its guest and its gateways alone (started by the emulator)
    #[command(hide = true)]
    InNetwork(InNetwork),
}

/// Where `wasmbed up` keeps its state.
#[derive(Clone, Debug, Args)]
pub(crate) struct StateArguments {
    /// The state folder of `wasmbed up` [default: $XDG_STATE_HOME/wasmbed or ~/.local/state/wasmbed]
    #[arg(long, env = "WASMBED_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
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

/// Where firmware images lie.
#[derive(Clone, Debug, Args)]
pub(crate) struct FirmwareArguments {
    /// The folder with firmware images, BOARD.elf [default: target/firmware beside this program's own target folder, then
    /// share/wasmbed/firmware where it is installed]
    #[arg(long, env = "WASMBED_FIRMWARE", value_name = "DIR")]
    pub firmware: Option<PathBuf>,
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

/// `wasmbed up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// State folder.
    #[command(flatten)]
    pub state: StateArguments,
    /// The fleet's repository [default: a copy of the example fleet, made in the state folder]
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,
    /// The branch to follow
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub branch: String,
    /// The folder in the repository that holds the fleet
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub path: String,
    /// Name of the fleet, and of its namespace
    #[arg(long, default_value = "fleet", value_name = "NAME")]
    pub fleet: String,
    /// Where the builder keeps compiled libraries [default: in the state folder]
    #[arg(long, value_name = "DIR")]
    pub builder_folder: Option<PathBuf>,
    /// Port of the Kubernetes API on loopback [default: the last one, else a free one]
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// How many seconds pass between two looks at a repository that is not on this machine
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub interval: u32,
    /// The Secret in the fleet's namespace with the credentials for reading the repository
    #[arg(long, value_name = "NAME", requires = "repo")]
    pub(crate) repo_secret: Option<String>,
    /// Where `POST /hooks/TOKEN` is answered, for a forge to say that something was pushed (the Fleet's
    /// `spec.webhookTokenRef` names the Secret with the token) [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    pub hooks: Option<std::net::SocketAddr>,
    /// The Secret with the token of webhooks, in the fleet's namespace
    #[arg(long, value_name = "NAME", requires = "hooks")]
    pub hooks_secret: Option<String>,
    /// Where large modules lie.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// Firmware, for devices that an emulator plays.
    #[command(flatten)]
    pub firmware: FirmwareArguments,
}

/// `wasmbed status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
    /// Go on, and print again what changes
    #[arg(short, long)]
    pub watch: bool,
}

/// `wasmbed logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// From where.
    #[command(flatten)]
    pub from: LiveArguments,
    /// A device or an application [default: all of them]
    #[arg(value_name = "DEVICE|APP")]
    pub name: Option<String>,
    /// What an emulated device prints on its UART instead, which is there before it has a connection
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["name", "phases", "live"])]
    pub uart: Option<String>,
    /// Show too when devices and applications on them change their phases
    #[arg(long)]
    pub phases: bool,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
}

/// `wasmbed results`.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// From where.
    #[command(flatten)]
    pub from: LiveArguments,
    /// The application
    #[arg(value_name = "APP")]
    pub application: String,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
}

/// `wasmbed plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The clone, or a folder inside it
    #[arg(default_value = ".", value_name = "DIR")]
    pub repository: PathBuf,
    /// The revision that would be applied
    #[arg(default_value = "HEAD", value_name = "REVISION")]
    pub revision: String,
    /// The revision to compare it with [default: its first parent]
    #[arg(long, value_name = "REVISION", conflicts_with = "live")]
    pub from: Option<String>,
    /// The folder in the repository that holds the fleet
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub path: String,
    /// Name of the fleet
    #[arg(long, default_value = "fleet", value_name = "NAME")]
    pub fleet: String,
    /// Compare it with what the API holds instead
    #[arg(long)]
    pub live: bool,
    /// Which API.
    #[command(flatten)]
    pub api: ApiArguments,
}

/// `wasmbed validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The fleet's folder
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
}

/// `wasmbed build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The fleet's folder
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
    /// The application [default: all of them]
    #[arg(value_name = "APP")]
    pub application: Option<String>,
    /// Where to put the modules, as APP.wasm [default: only say what they are]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// State folder, for what was built before.
    #[command(flatten)]
    pub state: StateArguments,
}

/// `wasmbed new`.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What to start.
    #[command(subcommand)]
    pub what: NewWhat,
}

/// What can be started.
#[derive(Debug, Subcommand)]
pub(crate) enum NewWhat {
    /// An application: its source and its declaration
    App {
        /// Its name
        name: String,
        /// What to start from
        #[arg(long, default_value = "hello-world", value_name = "NAME")]
        template: String,
        /// The fleet's folder
        #[arg(long, default_value = ".", value_name = "DIR")]
        folder: PathBuf,
    },
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

/// `wasmbed device`.
#[derive(Debug, Args)]
pub(crate) struct Device {
    /// The device's folder, made by `wasmbed provision`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// End when standard input ends, as a child of a supervisor does
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `wasmbed link`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Which API, for the gateways.
    #[command(flatten)]
    pub api: ApiArguments,
    /// The board's serial port (for example /dev/ttyACM0), a pseudo-terminal, or a Unix socket
    #[arg(long, value_name = "PATH")]
    pub port: PathBuf,
    /// Bits a second on a serial port, as the board's firmware has it
    #[arg(long, default_value_t = 115_200, value_name = "BAUD")]
    pub baud: u32,
    /// The address of a gateway that the board may reach, as it is provisioned with it (host:port), several times for
    /// several [default: those of `wasmbed up`]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
}

/// `wasmbed emulate`.
#[derive(Debug, Args)]
pub(crate) struct Emulate {
    /// The board: mps2-an385, mps2-an386, mps2-an500 or netduinoplus2 in QEMU; stm32f746g-disco, frdm-k64f, nrf52840-dk,
    /// arduino-nano-33-ble or stm32f4-disco in Renode
    #[arg(long, value_name = "BOARD")]
    pub board: String,
    /// The device's folder, made by `wasmbed provision`; its flash is kept in there
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Where its gateway listens (host:port), several times for several [default: those it was provisioned with]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<wasmbed_api::Endpoint>,
    /// Firmware.
    #[command(flatten)]
    pub firmware: FirmwareArguments,
}

/// `wasmbed with-parent`.
#[derive(Debug, Args)]
pub(crate) struct WithParent {
    /// The process id of the parent.
    pub parent: u32,
    /// The most address space the program may have, in bytes.
    #[arg(long)]
    pub memory: Option<u64>,
    /// The program, and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<std::ffi::OsString>,
}

/// `wasmbed in-network`.
#[derive(Debug, Args)]
pub(crate) struct InNetwork {
    /// The process id of the parent.
    #[arg(long)]
    pub parent: u32,
    /// The socket that leads to a gateway, several times for several.
    #[arg(long)]
    pub gateway: Vec<PathBuf>,
    /// The program, and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<std::ffi::OsString>,
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
