//! `wasmbed build`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use wasmbed_api::declarations::{Object, Severity, parse};
use wasmbed_api::{Application, BuildTarget, Device, Profile};
use wasmbed_builder::closure::FolderTree;
use wasmbed_builder::module::{Limits, Module};
use wasmbed_builder::{BuildOutcome, BuildRequest, Cache, Client, Closure, Target, Trust, worker};

use wasmbed_reconciler::module_limits;

use crate::arguments::{Build, Output};
use crate::state_folder::StateFolder;
use crate::{declaration_files, print};

/// Builds the applications that a folder declares, in the same sandbox, to the same bytes and within the same limits as a reconciler
/// would.
///
/// # Errors
/// When the folder or the cache cannot be used. An application that does not compile is told, and fails the exit code.
pub(crate) async fn run(arguments: &Build, output: Output) -> Result<ExitCode> {
    let (applications, devices) = declared(&arguments.folder, arguments.application.as_deref())?;
    let state = StateFolder::named_by(&arguments.state)?;
    state.create()?;
    // A worker of its own, in a folder of its own: one of `wasmbed up` may be busy with other work.
    let sockets = tempfile::Builder::new().prefix("wasmbed-build-").tempdir()?;
    let socket = sockets.path().join("builder.sock");
    let serving =
        worker::start(worker::Options::new(&socket, state.builder())).await.context("the builder cannot serve")?;
    let client = Client::new(&socket, Cache::open(state.modules())?);
    let mut good = true;
    for application in &applications {
        let made = match module_limits(application, &devices) {
            Ok(limits) => build(&client, arguments, application, limits).await?,
            Err(refused) => Err(refused),
        };
        good &= tell(arguments, &application.metadata.name.clone().unwrap_or_default(), made, output)?;
    }
    drop(serving);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The module, or why there is none.
async fn build(
    client: &Client,
    arguments: &Build,
    application: &Application,
    limits: Limits,
) -> Result<Result<Module, String>> {
    let name = application.metadata.name.clone().unwrap_or_default();
    Ok(match (&application.spec.source, &application.spec.wasm_bytes) {
        (Some(source), _) => {
            let tree = FolderTree::new(&arguments.folder);
            match Closure::of(&tree, &source.path) {
                Err(error) => Err(error.to_string()),
                Ok(closure) => {
                    let request = BuildRequest {
                        fleet: "local".to_owned(),
                        application: name.clone(),
                        trust: Trust::Branch,
                        closure,
                        target: match source.target.unwrap_or_default() {
                            BuildTarget::Unknown => Target::Wasm32UnknownUnknown,
                            BuildTarget::Wasip1 => Target::Wasm32Wasip1,
                        },
                        profile: match source.profile.unwrap_or_default() {
                            Profile::Release => wasmbed_builder::Profile::Release,
                            Profile::Dev => wasmbed_builder::Profile::Dev,
                        },
                        limits,
                    };
                    match client.build(&request, |news| print::progress(&format!("{name}: {news}"))).await? {
                        BuildOutcome::Built(built) => Ok(built.module),
                        BuildOutcome::Failed(failure) => Err(failure.to_string()),
                    }
                }
            }
        }
        (None, Some(bytes)) => Module::check(bytes.0.clone(), &limits).map_err(|error| error.to_string()),
        (None, None) => Err("it has neither spec.source nor spec.wasmBytes".to_owned()),
    })
}

/// Says what became of an application, and writes its module where it was asked for; whether there is one.
fn tell(arguments: &Build, name: &str, made: Result<Module, String>, output: Output) -> Result<bool> {
    let module = match made {
        Ok(module) => module,
        Err(error) => {
            match output {
                Output::Json => print::json(&json!({ "application": name, "error": error }))?,
                Output::Text => print::line(format_args!("{name}: does not build\n{}", error.trim_end()))?,
            }
            return Ok(false);
        }
    };
    let file = match &arguments.to {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let file = folder.join(format!("{name}.wasm"));
            std::fs::write(&file, module.bytes()).with_context(|| format!("cannot write {}", file.display()))?;
            Some(file)
        }
        None => None,
    };
    let (digest, size) = (module.digest().to_string(), module.bytes().len());
    match output {
        Output::Json => print::json(&json!({ "application": name, "digest": digest, "bytes": size, "file": file }))?,
        Output::Text => print::line(format_args!("{name}: {size} bytes, sha256 {digest}"))?,
    }
    Ok(true)
}

fn declared(folder: &Path, wanted: Option<&str>) -> Result<(Vec<Application>, Vec<Device>)> {
    let (mut applications, mut devices) = (Vec::new(), Vec::new());
    for (file, bytes) in declaration_files::read(folder)? {
        let parsed = parse(&bytes);
        if let Some(finding) = parsed.findings.iter().find(|finding| finding.severity == Severity::Error) {
            bail!("{file}:{}: {}; `wasmbed validate` says all", finding.position.line, finding.message);
        }
        for declaration in parsed.declarations {
            match declaration.object {
                Object::Application(application) => applications.push(*application),
                Object::Device(device) => devices.push(*device),
                _ => {}
            }
        }
    }
    if let Some(wanted) = wanted {
        applications.retain(|application| application.metadata.name.as_deref() == Some(wanted));
        if applications.is_empty() {
            bail!("no file below {} declares an Application {wanted}", folder.display());
        }
    }
    Ok((applications, devices))
}
