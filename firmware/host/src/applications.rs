use std::collections::BTreeMap;
use std::time::Instant;

use wasmbed_agent::{ApplicationEvent, HeldBack, Instance, Level, StartApplication};
use wasmbed_runtime::{Application, Grants, Limits, Outcome, Running, StartError, Stats};

use crate::pins::Pins;
use crate::platform::Platform;
use crate::post::{Letter, Post};

/// Milliseconds between two accounts of what applications use.
const STATS_MS: u64 = 1000;

/// The applications that run on a device, each on a thread of its own.
pub(crate) struct Applications {
    device: String,
    pins: Pins,
    started: Instant,
    runs: BTreeMap<Instance, Run>,
    next_stats: u64,
}

struct Run {
    application: String,
    running: Running,
}

impl Applications {
    pub(crate) fn new(device: String, pins: Pins, started: Instant) -> Applications {
        Applications { device, pins, started, runs: BTreeMap::new(), next_stats: 0 }
    }

    /// Starts an application; its events come as letters, unless it is refused at once.
    ///
    /// # Errors
    /// Why it is refused, for a person.
    pub(crate) fn start(
        &mut self,
        start: StartApplication,
        module: &[u8],
        post: &Post,
        now: u64,
    ) -> Result<(), StartError> {
        let StartApplication { instance, application: name, arguments, environment, limits, capabilities, .. } = start;
        let application = Application {
            module,
            limits: Limits {
                memory: u64::from(limits.memory),
                cpu_ms_per_s: limits.cpu_ms_per_s,
                log_bytes_per_s: limits.io.log_bytes_per_s,
                publish_per_s: limits.io.publish_per_s,
                publish_bytes_per_s: limits.io.publish_bytes_per_s,
                ..Limits::default()
            },
            grants: Grants {
                publish: capabilities.publish,
                gpio: capabilities.gpio,
                adc: capabilities.adc,
                network: capabilities.network,
            },
            args: arguments,
            env: environment,
        };
        let platform = Platform::new(instance, post.clone(), self.pins.clone(), self.started);
        let post = post.clone();
        let ended = move |outcome: Outcome, stats: Stats| {
            post.send(Letter::Application { instance, event: account(&stats) });
            post.send(Letter::Application { instance, event: last_event(outcome) });
        };
        let running = wasmbed_runtime::start(&application, Box::new(platform), ended)?;
        if self.runs.is_empty() {
            self.next_stats = now + STATS_MS;
        }
        self.runs.insert(instance, Run { application: name, running });
        Ok(())
    }

    /// Asks a run to end; its last event tells when it did.
    pub(crate) fn stop(&mut self, instance: Instance) {
        if let Some(run) = self.runs.get(&instance) {
            run.running.stop();
        }
    }

    /// Shows a person what a run does, and forgets it after its last event.
    pub(crate) fn tell(&mut self, instance: Instance, event: &ApplicationEvent) {
        let Some(run) = self.runs.get(&instance) else { return };
        let (device, application) = (self.device.as_str(), run.application.as_str());
        match event {
            ApplicationEvent::Log { level: Level::Error, text } => tracing::error!(device, application, "{text}"),
            ApplicationEvent::Log { level: Level::Warn, text } => tracing::warn!(device, application, "{text}"),
            ApplicationEvent::Log { level: Level::Debug, text } => tracing::debug!(device, application, "{text}"),
            ApplicationEvent::Log { text, .. } => tracing::info!(device, application, "{text}"),
            ApplicationEvent::Published { topic, payload } => {
                tracing::debug!(device, application, topic, "published {} bytes", payload.len());
            }
            ApplicationEvent::Exited { .. }
            | ApplicationEvent::Trapped { .. }
            | ApplicationEvent::Refused { .. }
            | ApplicationEvent::Stopped => drop(self.runs.remove(&instance)),
            ApplicationEvent::Started | ApplicationEvent::Stats { .. } => {}
        }
    }

    /// What the runs use, if it is time to say so.
    pub(crate) fn stats(&mut self, now: u64) -> Vec<(Instance, ApplicationEvent)> {
        if self.runs.is_empty() || now < self.next_stats {
            return Vec::new();
        }
        self.next_stats = now + STATS_MS;
        self.runs.iter().map(|(instance, run)| (*instance, account(&run.running.stats()))).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        (!self.runs.is_empty()).then_some(self.next_stats)
    }

    /// Stops all of them, and waits until they ended.
    pub(crate) fn end(&mut self) {
        for run in self.runs.values() {
            run.running.stop();
        }
        self.runs.clear();
    }
}

fn account(stats: &Stats) -> ApplicationEvent {
    ApplicationEvent::Stats {
        cpu_ms: u64::try_from(stats.cpu.as_millis()).unwrap_or(u64::MAX),
        memory: u32::try_from(stats.memory).unwrap_or(u32::MAX),
        held_back: HeldBack { cpu_time: stats.held_back, log: stats.log_lines_dropped, output: stats.publish_refused },
    }
}

fn last_event(outcome: Outcome) -> ApplicationEvent {
    match outcome {
        Outcome::Returned => ApplicationEvent::Exited { code: 0 },
        Outcome::Exited { code } => ApplicationEvent::Exited { code: code.cast_signed() },
        Outcome::Stopped => ApplicationEvent::Stopped,
        // What a panic comes to; a person would take the word for a device that is not there.
        Outcome::Trapped { reason } if reason == "unreachable" => ApplicationEvent::Trapped {
            reason: "it panicked (the module ran into `unreachable`); with `source.profile: dev` it says why"
                .to_owned(),
        },
        Outcome::Trapped { reason } => ApplicationEvent::Trapped { reason },
        Outcome::Refused(error) => ApplicationEvent::Refused { reason: error.to_string() },
        limit @ (Outcome::MemoryLimit { .. } | Outcome::StackOverflow { .. }) => {
            ApplicationEvent::Trapped { reason: limit.to_string() }
        }
    }
}
