//! `wasmbed`: the one binary.

mod api;
mod arguments;
mod build;
mod crds;
mod declaration_files;
mod device;
mod doctor;
mod emulate;
mod enroll;
mod host;
mod key_files;
mod keys;
mod link;
mod live;
mod logs;
mod new;
mod plan;
mod print;
mod processes;
mod provision;
mod results;
mod state_folder;
mod status;
mod up;
mod validate;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What this program says of itself goes to standard error; RUST_LOG chooses how much. What a request to the API came
    // to is said by whoever made it.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,kube_client=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
    // The one TLS provider of the workspace; devices carry their own.
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing installed one before");
    match run(arguments) {
        Ok(code) => code,
        Err(error) if print::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let output = arguments.output;
    match arguments.command {
        // A device needs no runtime of this kind: it is one thread, and one for each application.
        Command::Device(arguments) => device::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Crds => crds::run(output).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "wasmbed", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        // Standard error is the guest's, too: nothing is said there.
        Command::Connect { address } => Ok(match wasmbed_emulator::connect(&address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }),
        Command::WithParent(arguments) => emulate::with_parent(&arguments),
        // While this process has one thread, which it is to have for this.
        Command::InNetwork(arguments) => emulate::in_network(&arguments),
        Command::Doctor(firmware) => doctor::run(&firmware, output),
        Command::Validate(arguments) => validate::run(&arguments, output),
        Command::New(arguments) => new::run(&arguments, output).map(|()| ExitCode::SUCCESS),
        command => {
            let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get().clamp(2, 8));
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
            runtime.block_on(run_async(command, output))
        }
    }
}

async fn run_async(command: Command, output: arguments::Output) -> Result<ExitCode> {
    match command {
        Command::Up(arguments) => up::run(arguments, output).await?,
        Command::Status(arguments) => status::run(&arguments, output).await?,
        Command::Logs(arguments) => logs::run(&arguments, output).await?,
        Command::Results(arguments) => results::run(&arguments, output).await?,
        Command::Plan(arguments) => return plan::run(&arguments, output).await,
        Command::Build(arguments) => return build::run(&arguments, output).await,
        Command::Enroll(arguments) => enroll::run(&arguments, output).await?,
        Command::Provision(arguments) => provision::run(&arguments, output).await?,
        Command::Emulate(arguments) => emulate::run(arguments).await?,
        Command::Reconcile(arguments) => return processes::reconcile::run(&arguments, output).await,
        Command::Keys(arguments) => keys::run(&arguments, output).await?,
        Command::Link(arguments) => link::run(arguments, output).await?,
        Command::Gateway(arguments) => processes::gateway::run(arguments).await?,
        Command::Signer(arguments) => processes::signer::run(&arguments).await?,
        Command::Emulator(arguments) => processes::emulator::run(&arguments).await?,
        Command::Builder(arguments) => processes::builder::run(&arguments).await?,
        Command::Crds
        | Command::Completions { .. }
        | Command::Connect { .. }
        | Command::Device(_)
        | Command::Doctor(_)
        | Command::InNetwork(_)
        | Command::New(_)
        | Command::Validate(_)
        | Command::WithParent(_) => unreachable!("run() does these without a runtime"),
    }
    Ok(ExitCode::SUCCESS)
}
