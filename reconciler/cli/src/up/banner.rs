//! What `wasmbed up` tells the person who typed it.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use wasmbed_api::{Application, ApplicationPhase, Device, DevicePhase, Fleet, Gateway, condition, condition_types};

use crate::api::Reached;
use crate::arguments::{Output, Up};
use crate::print;
use crate::state_folder::StateFolder;
use crate::status::wait_until;

/// Says where everything is. `is_first` says that the builder has nothing compiled yet.
///
/// # Errors
/// When standard output is closed.
pub(super) fn say_where(
    arguments: &Up,
    state: &StateFolder,
    api: &str,
    url: &str,
    output: Output,
    is_first: bool,
) -> Result<()> {
    let example = arguments.repo.is_none().then(|| state.example_copy());
    if output == Output::Json {
        return print::json(&json!({
            "event": "started", "state": state.path(), "api": api, "kubeconfig": state.kubeconfig(),
            "repository": url, "workingCopy": example, "namespace": arguments.fleet,
        }));
    }
    print::line(format_args!("fleet       {}, branch {} of {url}", arguments.fleet, arguments.branch))?;
    if let Some(copy) = &example {
        print::line(format_args!("edit it in  {}", copy.display()))?;
    }
    print::line(format_args!("state       {}", state.path().display()))?;
    print::line(format_args!("API         {api}"))?;
    print::line(format_args!("            export KUBECONFIG={}", state.kubeconfig().display()))?;
    if let Some(folder) = program_folder() {
        print::line(format_args!("            export PATH=\"{}:$PATH\"", folder.display()))?;
    }
    if !is_first {
        return print::line("starting");
    }
    print::line("starting; this first start compiles Rust's library for WebAssembly, which takes about a minute")
}

/// Waits until every device declared as emulated is in session and every application runs or is held, and says what
/// to type next.
///
/// # Errors
/// When the API is gone or standard output is closed.
pub(super) async fn say_ready(
    arguments: &Up,
    state: &StateFolder,
    reached: &Reached,
    output: Output,
    started: Instant,
) -> Result<()> {
    let mut counted = (0, 0, 0, 0);
    let mut held = 0;
    let mut unserved = Vec::new();
    let count = |applications: &[Application], devices: &[Device]| {
        let connected = devices.iter().filter(|device| phase(device) == Some(DevicePhase::Connected)).count();
        let expected = devices.iter().filter(|device| device.spec.is_running()).count();
        (connected, expected, applications.iter().filter(|app| runs(app)).count(), applications.len())
    };
    wait_until(reached, |applications, devices, fleets, gateways| {
        let cannot_listen: Vec<_> = gateways.iter().filter_map(cannot_listen).collect();
        if cannot_listen != unserved {
            cannot_listen.iter().for_each(|why| print::progress(why));
            unserved = cannot_listen;
        }
        let (connected, expected, running, all) = count(applications, devices);
        held = applications.iter().filter(|app| is_held(app)).count();
        let settled = running + held;
        let now = (connected, expected, running, all);
        if now != counted {
            print::progress(&format!(
                "{connected} of {expected} devices connected, {running} of {all} applications running"
            ));
            counted = now;
        }
        is_applied_or_held(fleets) && connected >= expected && settled >= all
    })
    .await?;
    let seconds = started.elapsed().as_secs_f32();
    if output == Output::Json {
        return print::json(&json!({ "event": "ready", "seconds": seconds, "held": held }));
    }
    let but = match held {
        0 => String::new(),
        _ => format!(", but {held} of {} applications are held: the status says why", counted.3),
    };
    print::line(format_args!("ready after {seconds:.1} s{but}. In another terminal:"))?;
    let program = std::env::current_exe()?;
    let program = program.display();
    let flag =
        arguments.state.state.as_ref().map_or_else(String::new, |_| format!(" --state {}", state.path().display()));
    print::line(format_args!("  {program} logs -f{flag}"))?;
    print::line(format_args!("  {program} status{flag}"))?;
    if arguments.repo.is_none() {
        print::line(format_args!("  cd {}", state.example_copy().display()))?;
        print::line("  edit apps/hello-world/src/main.rs, then: git commit -am 'Say something else' && git push")?;
        print::line("  and to take it back: git revert --no-edit HEAD && git push")?;
    }
    print::line("Ctrl-C ends all of it; `wasmbed up` goes on where it was")
}

/// The folder of this program, if a shell would not find it there.
fn program_folder() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_found = std::env::split_paths(&path).any(|it| it == folder);
    (!is_found).then_some(folder)
}

fn phase(device: &Device) -> Option<DevicePhase> {
    device.status.as_ref()?.phase
}

fn runs(application: &Application) -> bool {
    let phase = application.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(ApplicationPhase::Running | ApplicationPhase::Stopped))
}

fn is_held(application: &Application) -> bool {
    let phase = application.status.as_ref().and_then(|status| status.phase);
    let conditions = application.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let says = |kind, status| condition(conditions, kind).is_some_and(|condition| condition.status == status);
    phase == Some(ApplicationPhase::Failed)
        || says(condition_types::HELD, "True")
        || says(condition_types::BUILT, "False")
        || says(condition_types::NOT_IN_GIT, "True")
}

/// Why nobody serves a gateway, if its address is what stands in the way.
fn cannot_listen(gateway: &Gateway) -> Option<String> {
    let ready = condition(&gateway.status.as_ref()?.conditions, condition_types::READY)?;
    (ready.status == "False" && ready.reason == "CannotListen").then(|| ready.message.clone())
}

fn is_applied_or_held(fleets: &[Fleet]) -> bool {
    let decided = |fleet: &Fleet| {
        let status = fleet.status.as_ref()?;
        Some(status.applied_revision.is_some() || !status.held.is_empty())
    };
    fleets.iter().all(|fleet| decided(fleet).unwrap_or(false))
}
