//! Between the supervisor and the platform's runtime.

use alloc::format;
use alloc::string::{String, ToString};

use wasmbed_protocol::Release;
use wasmbed_protocol::limits::{MAX_LOG, MAX_OUTPUT, MAX_TOPIC};
use wasmbed_protocol::message::{Level, Log, Output};

use super::Agent;
use super::durable::Purpose;
use crate::action::{Action, ModuleLocation, StartApplication};
use crate::event::{ApplicationEvent, Instance};
use crate::outbox::bounded;
use crate::store::{ApplicationRecord, Digest, Key, Slot, StoreError, Ticket};
use crate::supervisor::{Effect, Ready, RunEvent};

impl Agent {
    /// Carries out what the supervisor wants; whether there was anything.
    pub(super) fn take_effects(&mut self) -> bool {
        let mut any = false;
        while let Some(effect) = self.supervisor.next_effect() {
            any = true;
            self.changed = true;
            match effect {
                Effect::Save { application, record } => self.save(application, &record),
                Effect::Remove { application } => {
                    let accepted = self.store.remove(&Key::Application(application.clone()));
                    self.record_accepted(application, accepted, Purpose::Removal);
                }
                Effect::Start { application, instance, slot } => self.start(application, instance, slot),
                Effect::Stop { instance } => self.actions.push_back(Action::Stop { instance }),
                Effect::Report(report) => self.outbox.report(report),
            }
        }
        any
    }

    /// Takes in what a run did.
    pub(super) fn application(&mut self, instance: Instance, event: ApplicationEvent) {
        let Some(application) = self.supervisor.application_of(instance).map(ToString::to_string) else { return };
        let event = match event {
            ApplicationEvent::Log { level, text } => {
                let text = bounded(text, MAX_LOG);
                return self.outbox.log(Log { application: Some(application), level, text, dropped: None });
            }
            ApplicationEvent::Published { topic, payload } => {
                if topic.len() <= MAX_TOPIC && payload.len() <= MAX_OUTPUT {
                    self.outbox.output(Output { application, topic, payload, dropped: None });
                }
                return;
            }
            ApplicationEvent::Stats { cpu_ms, memory, held_back } => RunEvent::Stats { cpu_ms, memory, held_back },
            ApplicationEvent::Started => RunEvent::Started,
            ApplicationEvent::Exited { code } => RunEvent::Exited { code },
            ApplicationEvent::Trapped { reason } => RunEvent::Trapped { reason },
            ApplicationEvent::Refused { reason } => RunEvent::Refused { reason },
            ApplicationEvent::Stopped => RunEvent::Stopped,
        };
        self.changed = true;
        self.supervisor.run_event(instance, event, self.now);
    }

    /// Tells the supervisor that a Release and its module are here, whole and verified.
    pub(super) fn release_is_ready(&mut self, digest: Digest) {
        let Some(release) = self.library.release(&digest) else { return };
        let Some(program) = release.program else { return };
        let ready = Ready { module: program.digest, restart: release.restart.clone() };
        self.supervisor.ready(digest, ready, self.now);
    }

    fn save(&mut self, application: String, record: &ApplicationRecord) {
        let accepted = self.store.put_application(&application, record);
        self.record_accepted(application, accepted, Purpose::Record);
    }

    fn record_accepted(
        &mut self,
        application: String,
        accepted: Result<Ticket, StoreError>,
        purpose: fn(String) -> Purpose,
    ) {
        match accepted {
            Ok(ticket) => self.purposes.insert(ticket, purpose(application)),
            Err(error) => {
                self.say(Level::Error, format!("the state of {application} cannot be kept over a reset: {error}"));
                match purpose(application) {
                    Purpose::Removal(application) => self.supervisor.removed(&application, false, self.now),
                    Purpose::Record(application) => self.supervisor.saved(&application, false, self.now),
                    _ => {}
                }
            }
        }
    }

    fn start(&mut self, application: String, instance: Instance, slot: Slot) {
        let located = self.store.locate(&slot.module);
        let signed = self.store.release(&slot.release);
        let release = signed.and_then(|signed| Release::read_unverified(signed).ok());
        let (Some(location), Some((_, release))) = (located, release) else {
            // Flash lost it since it was verified: it is fetched again.
            self.supervisor.not_ready(&slot.release, self.now);
            let reason = "its module is not in the store any more".to_string();
            return self.supervisor.run_event(instance, RunEvent::Refused { reason }, self.now);
        };
        let module = ModuleLocation { offset: location.address, size: location.size, digest: slot.module };
        self.actions.push_back(Action::Start(StartApplication {
            instance,
            application,
            module,
            arguments: release.config.args,
            environment: release.config.env.into_iter().collect(),
            limits: release.limits,
            capabilities: release.capabilities,
        }));
    }
}
