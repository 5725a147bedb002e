//! Every argument of the program.

mod devices;
mod fleet;
mod groups;
mod processes;
mod trust;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use devices::{Device, Emulate, InNetwork, Link, WithParent};
pub(crate) use fleet::{Build, Logs, New, NewWhat, Plan, Results, Status, Up, Validate};
pub(crate) use groups::{
    ApiArguments, FirmwareArguments, HealthArguments, KeyArguments, LiveArguments, RegistryArguments, StateArguments,
    StreamArguments,
};
pub(crate) use processes::{Builder, Emulator, Gateway, Reconcile, Sandbox, Signer};
pub(crate) use trust::{
    ClusterPlaces, Enroll, KeyName, Keys, KeysWhat, MaybeCluster, Provision, Publish, RevocableKey,
};

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
