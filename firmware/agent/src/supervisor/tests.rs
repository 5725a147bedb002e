//! Any sequence of events keeps the supervisor's promises. The platform, the store and the installer around it are a
//! model that does what it is asked, fails when the sequence says so, and loses power when the sequence says so.

#![allow(clippy::unwrap_used)]

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;
use wasmbed_protocol::ReleaseDigest;
use wasmbed_protocol::message::Phase;
use wasmbed_protocol::signed::{Entry, RestartPolicy, RunState};

use super::{Effect, HEALTHY_MS, Ready, RunEvent, Supervisor};
use crate::event::Instance;
use crate::store::{ApplicationRecord, Digest, Slot};

const APPLICATIONS: [&str; 3] = ["a", "b", "c"];
const RELEASES: u8 = 4;

/// One thing that happens to the supervisor.
#[derive(Debug, Clone)]
enum Step {
    /// An Assignment: per application nothing, or a release, whether it runs, and a restart counter.
    Assign([Option<(u8, bool, u64)>; 3]),
    /// The installer is done with what is wanted first.
    Install,
    /// The oldest save or removal that is under way is done, or failed.
    Saved(bool),
    /// The oldest run, or the oldest but one, and so on, does this.
    Run(usize, Outcome),
    /// Runs that were told to stop end.
    Stopped,
    /// Time passes.
    Wait(u64),
    /// Power goes and comes back.
    PowerCut,
    /// The store wants room.
    Room,
}

#[derive(Debug, Clone)]
enum Outcome {
    Started,
    Finished,
    Failed,
    Refused,
}

fn step() -> impl Strategy<Value = Step> {
    let entry = prop::option::weighted(0.8, (0..RELEASES, prop::bool::weighted(0.8), 0..2_u64));
    let outcome = prop_oneof![
        4 => Just(Outcome::Started),
        1 => Just(Outcome::Finished),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Refused),
    ];
    prop_oneof![
        2 => [entry.clone(), entry.clone(), entry].prop_map(Step::Assign),
        4 => Just(Step::Install),
        8 => prop::bool::weighted(0.9).prop_map(Step::Saved),
        6 => (0..3_usize, outcome).prop_map(|(run, outcome)| Step::Run(run, outcome)),
        4 => Just(Step::Stopped),
        4 => prop_oneof![Just(100), Just(HEALTHY_MS), Just(70_000)].prop_map(Step::Wait),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Room),
    ]
}

#[derive(Debug)]
enum Pending {
    Save(String, Box<ApplicationRecord>),
    Remove(String),
}

/// What surrounds a supervisor.
struct Model {
    supervisor: Supervisor,
    /// How many applications the device keeps.
    most: usize,
    now: u64,
    entries: Vec<Entry>,
    /// What is on flash.
    records: BTreeMap<String, ApplicationRecord>,
    installed: BTreeSet<Digest>,
    pending: Vec<Pending>,
    /// Runs that were started and did not end, in order, with whether they were told to stop.
    runs: Vec<(Instance, String, Slot, bool)>,
    /// Whether a save failed since the last boot, so that what runs may be ahead of flash.
    failed_save: bool,
    /// Releases that were fallen back from, with the counter they were tried for, while the Assignment stays.
    given_up: BTreeSet<(String, Digest, u64)>,
}

impl Default for Model {
    fn default() -> Self {
        Self::keeping(APPLICATIONS.len())
    }
}

impl Model {
    fn keeping(most: usize) -> Self {
        Self {
            supervisor: Supervisor::default(),
            most,
            now: 0,
            entries: Vec::new(),
            records: BTreeMap::new(),
            installed: BTreeSet::new(),
            pending: Vec::new(),
            runs: Vec::new(),
            failed_save: false,
            given_up: BTreeSet::new(),
        }
    }

    fn release(application: &str, number: u8) -> Digest {
        let mut digest = [number; 32];
        digest[0] = application.as_bytes()[0];
        digest
    }

    fn ready(&mut self, digest: Digest) {
        let mut module = digest;
        module[31] = 0xff;
        let ready = Ready { module, restart: RestartPolicy { auto: true, max: 2 } };
        self.installed.insert(digest);
        self.supervisor.ready(digest, ready, self.now);
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Assign(wishes) => self.assign(wishes),
            Step::Install => {
                if let Some((_, release)) = self.supervisor.wanted().first().cloned() {
                    self.ready(release);
                }
            }
            Step::Saved(durable) => self.saved(*durable),
            Step::Run(which, outcome) => self.run(*which, outcome),
            Step::Stopped => {
                let (stopped, rest) = core::mem::take(&mut self.runs).into_iter().partition(|run| run.3);
                self.runs = rest;
                let stopped: Vec<_> = stopped;
                for (instance, ..) in stopped {
                    self.supervisor.run_event(instance, RunEvent::Stopped, self.now);
                }
            }
            Step::Wait(ms) => {
                self.now += ms;
                self.supervisor.tick(self.now);
            }
            Step::PowerCut => self.power_cut(),
            Step::Room => {
                self.supervisor.let_previous_go(self.now);
            }
        }
        self.take_effects();
    }

    fn assign(&mut self, wishes: &[Option<(u8, bool, u64)>; 3]) {
        let wished = APPLICATIONS.iter().zip(wishes);
        self.entries = wished
            .filter_map(|(application, wish)| {
                let (number, run, restart) = (*wish)?;
                Some(Entry {
                    application: application.to_string(),
                    release: ReleaseDigest(Self::release(application, number)),
                    state: if run { RunState::Run } else { RunState::Suspended },
                    restart,
                })
            })
            .collect();
        let entries = &self.entries;
        self.given_up.retain(|(application, release, counter)| {
            entries.iter().any(|e| e.application == *application && e.release.0 == *release && e.restart == *counter)
        });
        self.supervisor.assign(&self.entries, self.most, self.now);
    }

    fn saved(&mut self, durable: bool) {
        if self.pending.is_empty() {
            return;
        }
        self.failed_save |= !durable;
        match self.pending.remove(0) {
            Pending::Save(application, record) => {
                if durable {
                    self.records.insert(application.clone(), *record);
                }
                self.supervisor.saved(&application, durable, self.now);
            }
            Pending::Remove(application) => {
                if durable {
                    self.records.remove(&application);
                }
                self.supervisor.removed(&application, durable, self.now);
            }
        }
    }

    fn run(&mut self, which: usize, outcome: &Outcome) {
        let Some((instance, ..)) = self.runs.get(which).cloned() else { return };
        let event = match outcome {
            Outcome::Started => RunEvent::Started,
            Outcome::Finished => RunEvent::Exited { code: 0 },
            Outcome::Failed => RunEvent::Trapped { reason: "unreachable".into() },
            Outcome::Refused => RunEvent::Refused { reason: "no memory".into() },
        };
        if !matches!(outcome, Outcome::Started) {
            self.runs.remove(which);
        }
        self.supervisor.run_event(instance, event, self.now);
    }

    fn power_cut(&mut self) {
        self.runs.clear();
        self.pending.clear();
        self.failed_save = false;
        // What flash does not say was given up may be tried once more.
        let records = &self.records;
        self.given_up.retain(|(application, release, counter)| {
            let failed = records.get(application).and_then(|record| record.failed.as_ref());
            failed.is_some_and(|failed| failed.release == *release && failed.restart_counter == *counter)
        });
        self.supervisor = Supervisor::default();
        for (application, record) in self.records.clone() {
            self.supervisor.restore(&application, record);
        }
        for release in self.installed.clone() {
            self.ready(release);
        }
        self.supervisor.assign(&self.entries, self.most, self.now);
    }

    fn take_effects(&mut self) {
        while let Some(effect) = self.supervisor.next_effect() {
            match effect {
                Effect::Save { application, record } => {
                    if let Some(failed) = &record.failed {
                        let given_up = (application.clone(), failed.release, failed.restart_counter);
                        self.given_up.insert(given_up);
                    }
                    let other = self.pending.iter().any(|pending| match pending {
                        Pending::Save(name, _) | Pending::Remove(name) => *name == application,
                    });
                    assert!(!other, "two writes of one record at a time");
                    self.pending.push(Pending::Save(application, Box::new(record)));
                }
                Effect::Remove { application } => self.pending.push(Pending::Remove(application)),
                Effect::Start { application, instance, slot } => self.started(application, instance, slot),
                Effect::Stop { instance } => {
                    let run = self.runs.iter_mut().find(|run| run.0 == instance).expect("a run that did not end");
                    assert!(!run.3, "told to stop twice");
                    run.3 = true;
                }
                Effect::Report(_) => {}
            }
        }
    }

    fn started(&mut self, application: String, instance: Instance, slot: Slot) {
        assert!(self.runs.iter().all(|run| run.1 != application), "{application} runs twice");
        assert!(self.installed.contains(&slot.release), "a release that is not installed was started");
        let place = self.entries.iter().position(|entry| entry.application == application);
        let place = place.expect("an application that no Assignment names was started");
        assert!(place < self.most, "{application} was started beyond what the device keeps");
        let entry = &self.entries[place];
        assert_eq!(entry.state, RunState::Run, "a suspended application was started");
        let given_up = (application.clone(), slot.release, entry.restart);
        assert!(
            !(self.given_up.contains(&given_up) && entry.release.0 == slot.release),
            "{application} was tried again without a new release or counter"
        );
        if !self.failed_save {
            let current = self.records.get(&application).and_then(|record| record.current);
            assert_eq!(current, Some(slot), "what is started is on flash before");
        }
        self.runs.push((instance, application, slot, false));
    }

    /// From here on everything works: flash, gateway and applications.
    fn settle(&mut self) {
        for _ in 0..60 {
            while !self.pending.is_empty() {
                self.apply(&Step::Saved(true));
            }
            self.apply(&Step::Stopped);
            while !self.supervisor.wanted().is_empty() {
                self.apply(&Step::Install);
            }
            for which in 0..self.runs.len() {
                self.apply(&Step::Run(which, Outcome::Started));
            }
            self.apply(&Step::Wait(HEALTHY_MS));
        }
    }

    /// What must be true when everything had time and nothing fails any more.
    fn assert_as_assigned(&self) {
        let reports = self.supervisor.reports();
        for application in APPLICATIONS {
            let run = self.runs.iter().find(|run| run.1 == application);
            let report = reports.iter().find(|report| report.application == application);
            let Some(entry) = self.entries.iter().find(|entry| entry.application == application) else {
                assert!(run.is_none(), "{application} still runs");
                assert!(!self.records.contains_key(application), "{application} is still remembered");
                continue;
            };
            let report = report.expect("a report of every assigned application");
            if self.entries.iter().position(|other| other.application == application) >= Some(self.most) {
                assert!(run.is_none(), "{application} runs beyond what the device keeps");
                assert!(!self.records.contains_key(application), "{application} is still remembered");
                let (error, assigned) = (report.error.as_deref().unwrap(), self.entries.len());
                assert_eq!(report.phase, Phase::Failed);
                assert!(error.contains(&format!("{assigned} applications are assigned")), "{error}");
                assert!(error.contains(&format!("memory for {}", self.most)), "{error}");
                continue;
            }
            match report.phase {
                Phase::Running => assert_eq!(run.expect("it says it runs").2.release, entry.release.0),
                Phase::Suspended => assert!(run.is_none() && entry.state == RunState::Suspended),
                Phase::FellBack => {
                    let fallback = report.fallback.expect("it says to what");
                    assert_ne!(fallback, entry.release);
                    // What it fell back to runs, unless it finished or failed for good by itself.
                    assert!(run.is_none_or(|run| run.2.release == fallback.0));
                }
                Phase::Finished | Phase::Failed => assert!(run.is_none()),
                other => panic!("{application} is stuck as {other:?}: {report:?}"),
            }
            assert_eq!(self.supervisor.wanted(), []);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_every_promise(steps in prop::collection::vec(step(), 0..80), most in 0..=3_usize) {
        let mut model = Model::keeping(most);
        for step in &steps {
            model.apply(step);
        }
        model.settle();
        model.assert_as_assigned();
    }

    #[test]
    fn the_same_state_comes_of_an_assignment_told_once_or_often(
        steps in prop::collection::vec(step(), 0..60),
        most in 1..=3_usize,
    ) {
        let mut model = Model::keeping(most);
        for step in &steps {
            model.apply(step);
        }
        model.settle();
        let before = (model.records.clone(), model.runs.clone(), model.supervisor.reports());
        for _ in 0..3 {
            model.supervisor.assign(&model.entries.clone(), model.most, model.now);
            model.take_effects();
        }
        prop_assert!(model.pending.is_empty());
        prop_assert_eq!(before, (model.records.clone(), model.runs.clone(), model.supervisor.reports()));
    }
}

#[test]
fn nothing_runs_and_nothing_is_erased_before_an_assignment_is_known() {
    let mut supervisor = Supervisor::default();
    let release = Model::release("a", 1);
    let slot = Slot { release, module: [1; 32] };
    let record = ApplicationRecord { current: Some(slot), confirmed: true, ..ApplicationRecord::default() };
    supervisor.restore("a", record);
    supervisor.ready(release, Ready { module: [1; 32], restart: RestartPolicy { auto: true, max: 1 } }, 0);
    supervisor.tick(1_000_000);
    assert_eq!(supervisor.next_effect(), None);
    assert!(supervisor.needed().modules.contains(&[1; 32]));
}

#[test]
fn damage_to_the_current_module_is_bridged_by_the_previous_one() {
    let mut model = Model::default();
    model.apply(&Step::Assign([Some((1, true, 0)), None, None]));
    model.settle();
    model.apply(&Step::Assign([Some((2, true, 0)), None, None]));
    model.settle();
    model.installed.remove(&Model::release("a", 2));
    model.power_cut();
    model.take_effects_unchecked();
    assert_eq!(model.supervisor.reports()[0].phase, Phase::Fetching);
    assert_eq!(model.runs[0].2.release, Model::release("a", 1));
    model.settle();
    assert_eq!(model.supervisor.reports()[0].phase, Phase::Running);
    assert_eq!(model.runs[0].2.release, Model::release("a", 2));
}

impl Model {
    /// As [`take_effects`](Self::take_effects) where flash lost a module, so that what starts is not what it names.
    fn take_effects_unchecked(&mut self) {
        self.failed_save = true;
        self.take_effects();
        self.failed_save = false;
    }
}
