//! Commands around a fleet: running it, seeing it, writing it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::groups::{ApiArguments, FirmwareArguments, LiveArguments, RegistryArguments, StateArguments};

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
