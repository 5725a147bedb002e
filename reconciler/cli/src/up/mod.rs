//! `wasmbed up`: everything on this machine, supervised by one process.

mod api_server;
mod banner;
mod example;
mod gateways;
mod objects;
mod shutdown;

use std::time::Instant;

use anyhow::{Context, Result};
use tokio::task::{JoinError, JoinHandle};
use wasmbed_emulator::backends::firmware_folders;
use wasmbed_emulator::{Process, ProcessSpec};
use wasmbed_health::Health;
use wasmbed_keys::KeySource;
use wasmbed_streams::live::{self, LiveHub};

use crate::api::Reached;
use crate::arguments::{self, Output};
use crate::processes::registry::registry;
use crate::state_folder::StateFolder;
use crate::{key_files, print};
use gateways::Gateways;
use shutdown::shutdown;
pub(crate) use shutdown::signals;

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// When another process has the folder, or something cannot be started at all. What fails later is started again.
pub(crate) async fn run(arguments: arguments::Up, output: Output) -> Result<()> {
    // The reconciler's passes are one task of this thread; everything else moves between threads.
    tokio::task::LocalSet::new().run_until(run_here(arguments, output)).await
}

async fn run_here(arguments: arguments::Up, output: Output) -> Result<()> {
    let end = signals()?;
    let registry = registry(&arguments.registry)?;
    let state = StateFolder::named_by(&arguments.state)?;
    state.create()?;
    let _lock = state.lock()?;
    let started = Instant::now();
    let url = match &arguments.repo {
        Some(url) => url.clone(),
        None => {
            let (folder, branch) = (state.clone(), arguments.branch.clone());
            tokio::task::spawn_blocking(move || example::create(&folder, &branch)).await??;
            state.example_repository().display().to_string()
        }
    };
    let keys = Keys::load(&state, &arguments.fleet)?;
    let api = api_server::start(&state, &arguments).await?;
    objects::apply(&api.client, &arguments, &url, &keys.signed_set).await?;

    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let process = |name: &str, words: Vec<std::ffi::OsString>| {
        let mut arguments = vec![name.into()];
        arguments.extend(words);
        Process::start(ProcessSpec {
            name: name.to_owned(),
            program: program.clone(),
            arguments,
            environment: Vec::new(),
            folder: None,
            output: state.log(name),
        })
    };
    let signer = process(
        "signer",
        vec![
            "--state".into(),
            state.path().into(),
            // That of the state folder, wherever this is run.
            "--kubeconfig".into(),
            state.kubeconfig().into(),
            "--namespace".into(),
            arguments.fleet.clone().into(),
            "--fleet".into(),
            arguments.fleet.clone().into(),
            "--with-parent".into(),
        ],
    );
    let builder_folder = arguments.builder_folder.clone().unwrap_or_else(|| state.builder());
    let is_first = !builder_folder.exists();
    let builder = process(
        "builder",
        vec![
            "--socket".into(),
            state.builder_socket().into(),
            "--folder".into(),
            builder_folder.into(),
            "--with-parent".into(),
        ],
    );

    let hub = LiveHub::default();
    let _live = wasmbed_streams::serve(&state.live_socket(), live::router(hub.clone())).await?;
    let (serving, told) = shutdown();
    let mut gateways = tokio::spawn(
        Gateways {
            client: api.client.clone(),
            namespace: arguments.fleet.clone(),
            fleet: arguments.fleet.clone(),
            ca: keys.gateway_ca,
            signer_socket: state.signer_socket(),
            registry: registry.clone(),
            live: hub,
        }
        .run(told.clone()),
    );
    let mut reconciler = tokio::task::spawn_local(wasmbed_reconciler::run(
        wasmbed_reconciler::Options {
            client: api.client.clone(),
            namespace: arguments.fleet.clone(),
            cache: state.cache(),
            release_key: KeySource::Fixed(keys.release),
            registry,
            builder: state.builder_socket().into(),
            replica: None,
            health: Health::default(),
            hooks: arguments.hooks,
            gateway_leases: false,
            hooks_bound: None,
        },
        told.told(),
    ));
    let (emulating, told) = shutdown();
    let mut emulator = tokio::spawn(wasmbed_emulator::run(
        wasmbed_emulator::Options {
            client: api.client.clone(),
            namespace: arguments.fleet.clone(),
            fleet: arguments.fleet.clone(),
            root: keys.root,
            devices: state.path().join("devices"),
            logs: state.path().join("logs"),
            program: program.clone(),
            firmware: firmware_folders(arguments.firmware.firmware.as_deref(), &program),
            health: Health::default(),
        },
        told.told(),
    ));

    banner::say_where(&arguments, &state, &api.address(), &url, output, is_first)?;
    let reached = Reached { client: api.client.clone(), namespace: arguments.fleet.clone() };
    let ready = async {
        banner::say_ready(&arguments, &state, &reached, output, started).await?;
        std::future::pending::<Result<()>>().await
    };
    let ended = tokio::select! {
        () = end => Ok(()),
        said = ready => said,
        // A part that ends by itself ends all of it, with its reason: half a fleet that looks alive is worse.
        ended = &mut reconciler => Err(why("reconciler", ended.map(|ended| ended.err().map(Into::into)))),
        ended = &mut gateways => Err(why("gateways", ended.map(|()| None))),
        ended = &mut emulator => Err(why("emulator", ended.map(|()| None))),
    };

    // Devices first, so that they end in order; what they stand on after them.
    print::progress("ending");
    emulating.pull();
    finish("emulator", emulator).await;
    serving.pull();
    finish("gateways", gateways).await;
    finish("reconciler", reconciler).await;
    builder.stop().await;
    signer.stop().await;
    ended
}

/// Waits for a part that was told to end, unless it has ended already.
async fn finish<T>(part: &str, task: JoinHandle<T>) {
    if task.is_finished() {
        return;
    }
    if let Err(error) = task.await {
        tracing::error!(part, %error, "a part failed while it ended");
    }
}

/// Why a part ended that was to run on.
fn why(part: &str, ended: Result<Option<anyhow::Error>, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Some(error)) => error.context(format!("the {part} cannot run")),
        Ok(None) => anyhow::anyhow!("the {part} ended by itself; start `wasmbed up` again"),
        Err(error) => anyhow::Error::from(error).context(format!("the {part} failed; start `wasmbed up` again")),
    }
}

/// The fleet's keys, as this process needs them.
struct Keys {
    root: wasmbed_protocol::PublicKey,
    release: wasmbed_protocol::SigningKey,
    gateway_ca: wasmbed_protocol::SigningKey,
    signed_set: Vec<u8>,
}

impl Keys {
    fn load(state: &StateFolder, fleet: &str) -> Result<Self> {
        let (_, signed_set) = key_files::key_set(state, fleet)?;
        Ok(Self {
            root: key_files::load(&state.key("root"))?.public(),
            release: key_files::load(&state.key("release"))?,
            gateway_ca: key_files::load(&state.key("gateway-ca"))?,
            signed_set,
        })
    }
}
