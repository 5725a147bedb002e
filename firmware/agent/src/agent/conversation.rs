//! Between the session and the rest: what is heard leads to something, and what is to be said is said.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use wasmbed_protocol::message::{Heartbeat, Hello, Level, Pairing};
use wasmbed_protocol::pairing::Proof;
use wasmbed_protocol::{DeviceMessage, Nonce, ReleaseDigest, VERSION};

use super::Agent;
use super::durable::Purpose;
use crate::action::Action;
use crate::event::Connection;
use crate::link::LinkEvent;
use crate::session::{Ended, Heard, Session};

/// Frames are gathered to about this much, so that small ones share a TLS record.
const GATHER: usize = 1_400;

impl Agent {
    pub(super) fn connected(&mut self, connection: Connection) {
        if !self.link.connected(connection, self.now, &mut self.actions) {
            return;
        }
        let mut nonce = [0; 16];
        match (self.entropy)(&mut nonce) {
            Ok(()) => self.session = Some(Session::new(Nonce(nonce), self.now)),
            Err(error) => self.link.close(&error.to_string(), None, self.now, &mut self.actions),
        }
    }

    /// Takes what the link brought; whether there was anything.
    pub(super) fn take_link_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.link.next_event() {
            any = true;
            match event {
                LinkEvent::Frame(frame) => self.frame(&frame),
                LinkEvent::Down { reason } => {
                    self.session = None;
                    self.urgent.clear();
                    self.installer.disconnected();
                    self.changed = true;
                    self.tell_down(reason);
                }
            }
        }
        any
    }

    /// Says what there is to say, as fast as it is taken.
    pub(super) fn converse(&mut self) {
        let Some(session) = &mut self.session else { return self.link.flush(&mut self.actions) };
        if let Some(ended) = session.expired(self.now) {
            self.end(ended);
            self.take_link_events();
            return;
        }
        if session.heartbeat_due(self.now) {
            self.heartbeat();
        }
        if self.link.is_clear() {
            let mut frames = core::mem::take(&mut self.urgent);
            let welcomed = self.session.as_ref().is_some_and(Session::is_welcomed);
            while welcomed && frames.len() < GATHER {
                let Some(message) = self.outbox.next(self.now) else { break };
                // Lines and reports are bounded before they get here; one that is too long all the same is not said.
                if let Ok(frame) = message.to_frame() {
                    frames.extend_from_slice(&frame);
                }
            }
            if !frames.is_empty() {
                self.link.send(&frames, self.now, &mut self.actions);
            }
        }
        self.link.flush(&mut self.actions);
    }

    /// Puts a message before everything that waits; whether it can be said at all.
    pub(super) fn urgently(&mut self, message: &DeviceMessage) -> bool {
        let frame = message.to_frame();
        if let Ok(frame) = &frame {
            self.urgent.extend_from_slice(frame);
        }
        frame.is_ok()
    }

    fn frame(&mut self, frame: &[u8]) {
        let server_key = self.link.server_key();
        let Some(session) = &mut self.session else { return };
        let known = |digest: &ReleaseDigest| self.library.release(&digest.0).is_some();
        match session.receive(frame, server_key, &self.trust, known, self.now) {
            Ok(heard) => self.heard(heard),
            Err(ended) => self.end(ended),
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Introduced { epoch, keyset } => {
                self.believe(epoch, &keyset);
                self.hello();
            }
            Heard::Welcomed { name, time_ms } => {
                self.clock = Some((time_ms, self.now));
                self.down = None;
                self.changed = true;
                let gateway = self.session.as_ref().map(|session| session.gateway().to_owned()).unwrap_or_default();
                self.say(Level::Info, format!("in session as {name} at gateway {gateway}"));
            }
            Heard::Pending { reason } => {
                self.say(Level::Warn, format!("waiting to be enrolled: {reason}"));
            }
            Heard::Release { digest, release, cose } => self.library.arrived(digest.0, &release, cose),
            Heard::Assigned { assignment, cose, first } => self.remember(assignment.entries, cose, first),
            Heard::NotBelieved { what, refusal } => self.say(Level::Error, format!("refused {what}: {refusal}")),
            Heard::Chunk(chunk) => {
                if let Err(lie) = self.chunk(chunk) {
                    self.end(Ended::because(lie));
                }
            }
            Heard::Alive { time_ms } => {
                // Not before: a gateway that welcomes and closes at once must not be called without pause.
                self.link.succeeded();
                self.clock = Some((time_ms, self.now));
            }
            Heard::Nothing => {}
        }
    }

    /// The same reason again and again is told to a gateway once.
    fn tell_down(&mut self, reason: String) {
        let text = format!("no session: {reason}");
        if self.down.as_ref() == Some(&reason) {
            self.actions.push_back(Action::Log { level: Level::Warn, text });
        } else {
            self.down = Some(reason);
            self.say(Level::Warn, text);
        }
    }

    pub(super) fn end(&mut self, ended: Ended) {
        self.link.close(&ended.reason, ended.retry_ms, self.now, &mut self.actions);
    }

    /// Remembers a KeySet that was just verified, if it is not the one remembered already.
    fn believe(&mut self, epoch: u64, keyset: &[u8]) {
        self.trust.epoch = epoch;
        if self.store.keyset() == Some((epoch, keyset)) {
            return;
        }
        match self.store.put_keyset(epoch, keyset) {
            Ok(ticket) => self.purposes.insert(ticket, Purpose::KeySet),
            Err(error) => self.say(Level::Error, format!("the KeySet cannot be kept over a reset: {error}")),
        }
    }

    fn hello(&mut self) {
        let Some(nonce) = self.session.as_ref().map(Session::nonce) else { return };
        let running = self.supervisor.reports();
        self.outbox.forget_reports();
        self.library.forget_unassigned();
        let message = DeviceMessage::from(Hello {
            versions: vec![VERSION],
            board: self.board.name.clone(),
            memory: self.board.memory,
            features: self.board.features.clone(),
            nonce,
            running,
            pairing: self.proof(),
        });
        if self.urgently(&message) {
            return;
        }
        // Many applications with long reasons do not fit one frame: the reasons follow on their own.
        let DeviceMessage::Hello(mut hello) = message else { return };
        for report in &mut hello.running {
            if report.error.is_some() {
                self.outbox.report(report.clone());
                report.error = None;
            }
        }
        self.urgently(&hello.into());
    }

    fn proof(&self) -> Option<Pairing> {
        let pairing = self.pairing.as_ref()?;
        let exporter = self.link.pairing_exporter()?;
        let proof = Proof::new(&pairing.code, &exporter, &pairing.device, &self.trust.key);
        Some(Pairing { device: pairing.device.clone(), proof })
    }

    fn heartbeat(&mut self) {
        // A gateway that does not know the device learns no more than that it lives.
        let welcomed = self.session.as_ref().is_some_and(Session::is_welcomed);
        let used = u32::try_from(self.supervisor.memory_used()).unwrap_or(u32::MAX);
        let heartbeat = Heartbeat {
            uptime_ms: self.now - self.started,
            memory_free: self.board.memory.saturating_sub(used),
            applications: if welcomed { self.supervisor.pulses() } else { Vec::new() },
        };
        self.urgently(&heartbeat.into());
    }
}
