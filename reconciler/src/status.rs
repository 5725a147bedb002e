//! What people see: statuses, computed whole from what is, so that one that was deleted comes back.

use k8s_openapi::jiff::Timestamp;
use wasmbed_api::{
    ApplicationPhase, ApplicationSpec, ApplicationStatus, Condition, FleetCounts, FleetStatus, Held, McuType,
    RolloutSpec, Time, Truth, condition_types, set_condition,
};
use wasmbed_builder::Failure;

use crate::build::BuildState;
use crate::rollout::Counts;

/// Bytes of one message in a status.
const MESSAGE: usize = 4096;
/// Entries of `Fleet.status.held`.
const HELD: usize = 100;
/// How old `lastFetch` may be before it alone is written again, in seconds.
const FETCH_LAG: i64 = 600;

/// The condition that says whether the repository answers.
pub(crate) const FETCHED: &str = "Fetched";

/// What an Application's status is made from.
pub(crate) struct ApplicationFacts<'a> {
    pub(crate) spec: &'a ApplicationSpec,
    pub(crate) before: &'a ApplicationStatus,
    pub(crate) generation: Option<i64>,
    /// The build of the newest revision; `None` for an application that was applied by hand.
    pub(crate) build: Option<&'a BuildState>,
    /// Why the release could not be made though there is a module.
    pub(crate) refused: Option<&'a str>,
    pub(crate) rollout: Option<&'a RolloutSpec>,
    pub(crate) counts: Counts,
    pub(crate) running_on: Vec<wasmbed_api::Name>,
    pub(crate) error: Option<String>,
    /// The revision of the newest Release.
    pub(crate) revision: Option<&'a str>,
    /// The revision that is being applied.
    pub(crate) head: &'a str,
    /// What to write instead of old forms.
    pub(crate) deprecated: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// The status of an Application.
pub(crate) fn application(facts: &ApplicationFacts<'_>) -> ApplicationStatus {
    let release = facts.rollout.and_then(|rollout| rollout.candidate.or(rollout.stable));
    let mut conditions = Conditions::new(&facts.before.conditions, facts.generation, facts.now);
    let in_git = facts.build.is_some();
    let phase = application_phase(facts, release.is_some());
    if in_git {
        build_conditions(facts, &mut conditions);
        ready_condition(facts, phase, &mut conditions);
    } else {
        conditions.not_in_git(
            "this Application was applied by hand and reaches no device; declare it in the fleet's repository",
        );
    }
    conditions.deprecated(facts.deprecated);
    let counts = facts.counts;
    ApplicationStatus {
        phase: Some(phase),
        release,
        revision: facts.revision.map(ToOwned::to_owned),
        targets: Some(counts.targets),
        connected: Some(counts.connected),
        updated: Some(counts.updated),
        running: Some(counts.running),
        failed: Some(counts.failed),
        deployed_devices: facts.running_on.clone(),
        observed_generation: facts.generation,
        conditions: conditions.finish(),
    }
}

fn application_phase(facts: &ApplicationFacts<'_>, has_release: bool) -> ApplicationPhase {
    let Counts { connected, updated, running, failed, .. } = facts.counts;
    if !has_release {
        let cannot = facts.refused.is_some() || matches!(facts.build, Some(BuildState::Failed(_)));
        return if cannot { ApplicationPhase::Failed } else { ApplicationPhase::Creating };
    }
    if facts.spec.is_suspended() {
        return if running == 0 { ApplicationPhase::Stopped } else { ApplicationPhase::Stopping };
    }
    if connected > 0 && updated == connected {
        ApplicationPhase::Running
    } else if connected > 0 && failed == connected {
        ApplicationPhase::Failed
    } else if failed > 0 && updated > 0 {
        ApplicationPhase::PartiallyRunning
    } else {
        ApplicationPhase::Deploying
    }
}

fn build_conditions(facts: &ApplicationFacts<'_>, conditions: &mut Conditions) {
    let head = short(facts.head);
    let old = if facts.rollout.is_some() { "; what was built last runs on" } else { "" };
    match (facts.build, facts.refused) {
        (_, Some(refused)) => {
            let message = format!("revision {head}: {refused}{old}");
            conditions.set(condition_types::BUILT, Truth::False, "ReleaseRefused", message);
        }
        (Some(BuildState::Failed(failure)), _) => {
            let message = format!("revision {head}{old}: {failure}");
            conditions.set(condition_types::BUILT, Truth::False, &failure.reason.to_string(), message);
        }
        (Some(BuildState::Building), _) => {
            conditions.set(
                condition_types::BUILT,
                Truth::Unknown,
                "Building",
                format!("revision {head} is being built"),
            );
        }
        (Some(BuildState::Built(module)), _) => {
            let message = format!("a module of {} bytes, {}", module.size, module.digest);
            conditions.set(condition_types::BUILT, Truth::True, "Built", message);
        }
        (None, None) => {}
    }
}

fn ready_condition(facts: &ApplicationFacts<'_>, phase: ApplicationPhase, conditions: &mut Conditions) {
    let Counts { targets, connected, updated, running, failed } = facts.counts;
    let (truth, reason, message) = match phase {
        _ if targets == 0 => (
            Truth::False,
            "NoTargets",
            "no device of this fleet is meant by targetDevices or targetSelector".to_owned(),
        ),
        ApplicationPhase::Running => (Truth::True, "Running", format!("runs on {updated} of {targets} devices")),
        ApplicationPhase::Stopped => (Truth::True, "Suspended", "stopped by spec.suspend".to_owned()),
        ApplicationPhase::Stopping => (Truth::False, "Stopping", format!("still runs on {running} devices")),
        ApplicationPhase::Failed | ApplicationPhase::PartiallyRunning if failed > 0 => {
            let error = facts.error.as_deref().unwrap_or("no reason is known");
            (Truth::False, "DevicesFailed", format!("failed on {failed} of {connected} connected devices; {error}"))
        }
        ApplicationPhase::Failed => {
            (Truth::False, "NotBuilt", "there is no module to run; see the condition Built".to_owned())
        }
        ApplicationPhase::Creating => (Truth::False, "Building", "there is no module yet".to_owned()),
        _ if connected == 0 => {
            (Truth::False, "NoDeviceConnected", format!("none of its {targets} devices is connected"))
        }
        _ => (
            Truth::False,
            "Deploying",
            format!("the newest Release runs on {updated} of {connected} connected devices"),
        ),
    };
    conditions.set(condition_types::READY, truth, reason, message);
}

/// What a Fleet's status is made from.
pub(crate) struct FleetFacts<'a> {
    pub(crate) before: &'a FleetStatus,
    pub(crate) generation: Option<i64>,
    pub(crate) suspended: bool,
    pub(crate) observed: Option<String>,
    pub(crate) applied: Option<String>,
    /// The revision being brought about: accepted, not yet applied.
    pub(crate) working_on: Option<&'a str>,
    pub(crate) fetched: Option<Timestamp>,
    /// The source's reason and message, when it fails.
    pub(crate) source_error: Option<(&'static str, String)>,
    pub(crate) held: Vec<Held>,
    pub(crate) counts: FleetCounts,
    /// What could not be written to the cluster.
    pub(crate) failures: &'a [String],
    pub(crate) now: Timestamp,
}

/// The status of a Fleet.
pub(crate) fn fleet(facts: FleetFacts<'_>) -> FleetStatus {
    let mut conditions = Conditions::new(&facts.before.conditions, facts.generation, facts.now);
    match &facts.source_error {
        Some((reason, message)) => conditions.set(FETCHED, Truth::False, reason, message.clone()),
        None if facts.observed.is_some() => {
            conditions.set(FETCHED, Truth::True, "Fetched", "the repository answers".to_owned());
        }
        None => conditions.set(FETCHED, Truth::Unknown, "Fetching", "the repository was not read yet".to_owned()),
    }
    if let Some(first) = facts.held.first() {
        let others = match facts.held.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more, see status.held)"),
        };
        let message = format!("{}{others}", describe(first));
        conditions.set(condition_types::HELD, Truth::True, &first.reason, message);
    }
    let (truth, reason, message) = fleet_readiness(&facts);
    conditions.set(condition_types::READY, truth, reason, message);
    let held_count = u32::try_from(facts.held.len()).unwrap_or(u32::MAX);
    let mut held = facts.held;
    held.truncate(HELD);
    FleetStatus {
        observed_revision: facts.observed,
        applied_revision: facts.applied,
        last_fetch: last_fetch(facts.before.last_fetch.as_ref(), facts.fetched),
        held: held.into_iter().map(|h| Held { message: bounded(h.message), ..h }).collect(),
        counts: Some(FleetCounts { held: held_count, ..facts.counts }),
        observed_generation: facts.generation,
        conditions: conditions.finish(),
    }
}

fn fleet_readiness(facts: &FleetFacts<'_>) -> (Truth, &'static str, String) {
    let applied = facts.applied.as_deref().map_or("nothing".to_owned(), |id| format!("revision {}", short(id)));
    if facts.suspended {
        return (Truth::False, "Suspended", format!("spec.suspend is set; {applied} stays as it is"));
    }
    if !facts.failures.is_empty() {
        let message = format!("{} could not be written: {}", facts.failures.len(), facts.failures.join("; "));
        return (Truth::False, "ApplyFailed", message);
    }
    if facts.held.iter().any(|held| held.application.is_none()) {
        return (Truth::False, "RevisionHeld", format!("the newest revision is held; {applied} is applied"));
    }
    if let Some((reason, message)) = &facts.source_error
        && facts.applied.is_none()
    {
        return (Truth::False, reason, message.clone());
    }
    if let Some(working_on) = facts.working_on {
        return (Truth::Unknown, "Progressing", format!("revision {} is being built and applied", short(working_on)));
    }
    if !facts.held.is_empty() {
        return (
            Truth::False,
            "ApplicationsHeld",
            format!("{applied} is applied, save for {} applications", facts.held.len()),
        );
    }
    match &facts.applied {
        Some(_) => (Truth::True, "Applied", format!("{applied} is applied")),
        None => (Truth::Unknown, "Progressing", "the repository is being read".to_owned()),
    }
}

/// Written when it is news, and otherwise seldom.
fn last_fetch(before: Option<&Time>, fetched: Option<Timestamp>) -> Option<Time> {
    match (before, fetched) {
        (Some(before), Some(fetched)) if fetched.as_second() - before.0.as_second() < FETCH_LAG => Some(before.clone()),
        (_, Some(fetched)) => Some(Time(fetched)),
        (before, None) => before.cloned(),
    }
}

/// The reconciler's conditions on a Device or Gateway.
pub(crate) struct PlainFacts<'a> {
    pub(crate) before: &'a [Condition],
    pub(crate) generation: Option<i64>,
    pub(crate) in_git: bool,
    pub(crate) deprecated: Option<&'a str>,
    /// Why a device's board cannot run.
    pub(crate) cannot_run: Option<(&'static str, &'static str)>,
    pub(crate) now: Timestamp,
}

/// The reconciler's conditions on a Device or Gateway; `None` when they are so already.
pub(crate) fn plain(facts: &PlainFacts<'_>) -> Option<Vec<Condition>> {
    let ours = |c: &&Condition| {
        [condition_types::NOT_IN_GIT, condition_types::DEPRECATED_FORM, condition_types::CANNOT_RUN]
            .contains(&&*c.type_)
    };
    let before: Vec<Condition> = facts.before.iter().filter(ours).cloned().collect();
    let mut conditions = Conditions::new(&before, facts.generation, facts.now);
    if !facts.in_git {
        conditions
            .not_in_git("this object was applied by hand; declare it in the fleet's repository for it to be used");
    }
    conditions.deprecated(facts.deprecated);
    if let Some((reason, message)) = facts.cannot_run {
        conditions.set(condition_types::CANNOT_RUN, Truth::True, reason, message.to_owned());
    }
    let after = conditions.finish();
    (after != before).then_some(after)
}

/// Why a board that is accepted cannot run anywhere.
pub(crate) fn cannot_run(board: McuType) -> Option<(&'static str, &'static str)> {
    match board {
        McuType::Stm32Vldiscovery => Some((
            "BoardTooSmall",
            "Stm32Vldiscovery has 8 KB of RAM, too little for the device agent; choose a board with 192 KB or more",
        )),
        McuType::Esp32DevkitC => Some((
            "ArchitectureUnsupported",
            "Esp32DevkitC has Xtensa cores, which no firmware is built for; choose a Cortex-M board",
        )),
        _ => None,
    }
}

/// One line for something held.
pub(crate) fn describe(held: &Held) -> String {
    let place = match (&held.file, held.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        _ => String::new(),
    };
    let what = held.application.as_ref().map(|name| format!("Application {name}: ")).unwrap_or_default();
    format!("{what}{place}{}", held.message)
}

/// An application that did not build.
pub(crate) fn held_application(revision: &str, name: &str, failure: &Failure) -> Held {
    let location = failure.location.as_ref();
    Held {
        revision: revision.to_owned(),
        application: name.parse().ok(),
        reason: failure.reason.to_string(),
        message: bounded(failure.message.clone()),
        file: location.map(|l| l.file.clone()),
        line: location.map(|l| l.line).filter(|line| *line > 0),
    }
}

/// The first digits of a commit.
pub(crate) fn short(revision: &str) -> &str {
    revision.get(..10).unwrap_or(revision)
}

/// Cuts a message to what a status takes.
fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE {
        let end = (0..=MESSAGE - 3).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Conditions in the making: those not set are left out.
struct Conditions {
    before: Vec<Condition>,
    kept: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    fn new(before: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { before: before.to_vec(), kept: Vec::new(), generation, now }
    }

    fn set(&mut self, kind: &str, truth: Truth, reason: &str, message: String) {
        self.kept.extend(self.before.iter().find(|c| c.type_ == kind).cloned());
        set_condition(&mut self.kept, kind, truth, reason, bounded(message), self.generation, self.now);
    }

    fn not_in_git(&mut self, message: &str) {
        self.set(condition_types::NOT_IN_GIT, Truth::True, "AppliedByHand", message.to_owned());
    }

    fn deprecated(&mut self, message: Option<&str>) {
        if let Some(message) = message {
            self.set(condition_types::DEPRECATED_FORM, Truth::True, "OldForm", message.to_owned());
        }
    }

    /// In the order of their types, as an API keeps them in no order of its own.
    fn finish(mut self) -> Vec<Condition> {
        self.kept.sort_by(|a, b| a.type_.cmp(&b.type_));
        self.kept
    }
}

#[cfg(test)]
mod tests;
