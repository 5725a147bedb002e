//! The session of one device, without sockets, clocks or tasks: messages, news and `now` go in, [`Action`]s come out.

mod applications;
mod assignment;
mod flood;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmbed_protocol::message::{
    Chunk, DeviceMessage, Enrollment, EnrollmentState, Fetch, GatewayMessage, Heartbeat, HeartbeatAck, Hello, Pairing,
    Welcome,
};
use wasmbed_protocol::{DecodeError, Nonce, ReleaseDigest, VERSION};
use wasmbed_streams::live::LiveKind;

use self::applications::{Applications, Change};
use self::assignment::Delivery;
use self::flood::Flood;
use crate::closing::Closing;

/// Unknown message kinds a device may send before the session ends: a newer device has a few, a broken one has many.
const UNKNOWN_KINDS: u32 = 64;

/// How long a device that was turned away should wait, if nothing better is known.
const RETRY: Duration = Duration::from_secs(60);

/// The same for one whose approval was not waited for any longer: its next wait costs little.
const KNOCK_AGAIN: Duration = Duration::from_secs(5);

/// The moment something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For deadlines.
    pub(crate) at: Instant,
    /// Milliseconds since 1970, for devices and people.
    pub(crate) unix_ms: u64,
}

/// What a Gateway's declaration says about every session.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) heartbeat: Duration,
    pub(crate) silence: Duration,
    pub(crate) enrollment: Duration,
    pub(crate) hello: Duration,
}

/// What the fleet's declarations say about the key of this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the key of this Device.
    Known(String),
    /// It is nobody's.
    Unknown,
}

/// What became of a knock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key is on the pending list; the reason tells a person how it gets off it.
    Pending(String),
    /// It is not.
    Refused { reason: String, retry: Duration },
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Send a message.
    Send(GatewayMessage),
    /// An unknown key asks to be let in; answered by [`Session::judged`].
    Knock { board: String, pairing: Option<Pairing> },
    /// The device is in session: tell everyone who needs to know; [`Session::turn_away`] if there is no place.
    Open { device: String, nonce: Nonce },
    /// Read a signed Release; answered by [`Session::found_release`].
    FindRelease(ReleaseDigest),
    /// Read bytes of a module; answered by [`Session::found_chunk`].
    FindChunk(Fetch),
    /// The device or an application on it changed: write its status.
    Status,
    /// Tell whoever watches.
    Live { application: Option<String>, kind: LiveKind },
    /// End the connection, after what was sent before.
    Close(Closing),
}

#[derive(Debug)]
enum State {
    /// The gateway has introduced itself and the device has not.
    AwaitingHello { until: Instant },
    /// The key is unknown, and may become known until then.
    Pending { hello: Box<Hello>, until: Instant },
    /// The device is in session.
    Open(Box<Open>),
    /// Nothing is to be done any more.
    Closed,
}

#[derive(Debug)]
struct Open {
    device: String,
    heard: Instant,
    applications: Applications,
    delivery: Delivery,
    flood: Flood,
}

/// The session of one device.
#[derive(Debug)]
pub(crate) struct Session {
    times: Times,
    standing: Standing,
    state: State,
    actions: VecDeque<Action>,
    unknown_kinds: u32,
    lookups: usize,
}

impl Session {
    /// A session after its TLS handshake. The first frame is the gateway's `introduction`.
    pub(crate) fn new(times: Times, standing: Standing, introduction: GatewayMessage, now: Now) -> Self {
        let until = now.at + times.hello;
        Self {
            times,
            standing,
            state: State::AwaitingHello { until },
            actions: [Action::Send(introduction)].into(),
            unknown_kinds: 0,
            lookups: 0,
        }
    }

    /// What is to be done next, if anything.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether everything that was to be done has been taken.
    pub(crate) fn is_idle(&self) -> bool {
        self.actions.is_empty()
    }

    /// Reads of Releases and modules under way.
    pub(crate) fn lookups(&self) -> usize {
        self.lookups
    }

    /// The Device in session, if one is.
    pub(crate) fn device(&self) -> Option<&str> {
        match &self.state {
            State::Open(open) => Some(&open.device),
            _ => None,
        }
    }

    /// The applications on the device, as it reported them.
    pub(crate) fn applications(&self) -> Option<&Applications> {
        match &self.state {
            State::Open(open) => Some(&open.applications),
            _ => None,
        }
    }

    /// When [`Self::on_time`] must be called, if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitingHello { until } | State::Pending { until, .. } => Some(*until),
            State::Open(open) => {
                let silence = open.heard + self.times.silence;
                Some(open.delivery.retry_at().map_or(silence, |retry| retry.min(silence)))
            }
            State::Closed => None,
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Now) {
        match &mut self.state {
            State::AwaitingHello { until } if now.at >= *until => self.close(Closing::NoHello),
            State::Pending { until, .. } if now.at >= *until => {
                self.refuse("nobody approved this key in time; it stays listed and may connect again", KNOCK_AGAIN);
            }
            State::Open(open) if now.at >= open.heard + self.times.silence => self.close(Closing::Silent),
            State::Open(open) => {
                for release in open.delivery.retries(now.at) {
                    self.lookups += 1;
                    self.actions.push_back(Action::FindRelease(release));
                }
            }
            State::AwaitingHello { .. } | State::Pending { .. } | State::Closed => {}
        }
    }

    /// The body of a frame has come.
    pub(crate) fn on_frame(&mut self, body: &[u8], now: Now) {
        if matches!(self.state, State::Closed) {
            return;
        }
        match DeviceMessage::decode(body) {
            Ok(message) => self.on_message(message, now),
            Err(DecodeError::UnknownKind(_)) if self.unknown_kinds < UNKNOWN_KINDS => self.unknown_kinds += 1,
            Err(error) => self.close(Closing::Garbage(error.to_string())),
        }
    }

    /// A message has come.
    pub(crate) fn on_message(&mut self, message: DeviceMessage, now: Now) {
        match (&mut self.state, message) {
            (State::AwaitingHello { .. }, DeviceMessage::Hello(hello)) => self.on_hello(hello, now),
            (State::Pending { .. }, DeviceMessage::Heartbeat(_)) => self.acknowledge(now),
            (State::Open(open), message) => {
                open.heard = now.at;
                self.on_open_message(message, now);
            }
            (State::Closed, _) => {}
            (State::AwaitingHello { .. }, _) => self.close(Closing::OutOfTurn("something before Hello")),
            (State::Pending { .. }, _) => self.close(Closing::OutOfTurn("more than a heartbeat of an unknown key")),
        }
    }

    /// What the declarations say about this key has changed, or may have.
    pub(crate) fn set_standing(&mut self, standing: Standing, now: Now) {
        if standing == self.standing {
            return;
        }
        self.standing = standing;
        match (&self.state, &self.standing) {
            (State::Pending { hello, .. }, Standing::Known(_)) => self.enter((**hello).clone(), now),
            (State::Open(_), _) => self.close(Closing::Undeclared),
            _ => {}
        }
    }

    /// What became of a knock.
    pub(crate) fn judged(&mut self, verdict: Verdict) {
        if !matches!(self.state, State::Pending { .. }) {
            return;
        }
        match verdict {
            Verdict::Pending(reason) => self.enrollment(EnrollmentState::Pending, &reason, RETRY),
            Verdict::Refused { reason, retry } => self.refuse(&reason, retry),
        }
    }

    /// A known device cannot be served now: it is told so instead of being welcomed.
    pub(crate) fn turn_away(&mut self, reason: &str) {
        if !matches!(self.state, State::Closed) {
            self.actions.clear();
            self.refuse(reason, RETRY);
        }
    }

    /// The signer has pushed an Assignment that names these Releases. It goes out once they all can.
    pub(crate) fn assign(&mut self, cose: Vec<u8>, releases: Vec<ReleaseDigest>) {
        if let State::Open(open) = &mut self.state {
            for release in open.delivery.begin(cose, releases) {
                self.lookups += 1;
                self.actions.push_back(Action::FindRelease(release));
            }
            self.deliver();
        }
    }

    /// A Release was looked for.
    pub(crate) fn found_release(&mut self, release: ReleaseDigest, cose: Option<Bytes>, now: Now) {
        self.lookups = self.lookups.saturating_sub(1);
        if let State::Open(open) = &mut self.state {
            open.delivery.found(release, cose, now.at);
            self.deliver();
        }
    }

    /// Bytes of a module were looked for; none if they cannot be had now.
    pub(crate) fn found_chunk(&mut self, fetch: &Fetch, bytes: Vec<u8>) {
        self.lookups = self.lookups.saturating_sub(1);
        if matches!(self.state, State::Open(_)) {
            let chunk = Chunk { digest: fetch.digest, offset: fetch.offset, bytes };
            self.actions.push_back(Action::Send(chunk.into()));
        }
    }

    /// Ends the session, after what was sent before.
    pub(crate) fn close(&mut self, closing: Closing) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.actions.push_back(Action::Close(closing));
        }
    }

    fn on_hello(&mut self, hello: Hello, now: Now) {
        if !hello.versions.contains(&VERSION) {
            let reason = format!("this gateway speaks version {VERSION} of the protocol, and the device does not");
            return self.refuse(&reason, RETRY);
        }
        match self.standing {
            Standing::Known(_) => self.enter(hello, now),
            Standing::Unknown => {
                self.actions.push_back(Action::Knock { board: hello.board.clone(), pairing: hello.pairing.clone() });
                self.state = State::Pending { hello: Box::new(hello), until: now.at + self.times.enrollment };
            }
        }
    }

    /// The device is known and has said Hello.
    fn enter(&mut self, hello: Hello, now: Now) {
        let Standing::Known(device) = self.standing.clone() else {
            return;
        };
        let welcome = Welcome {
            version: u32::from(VERSION),
            name: device.clone(),
            heartbeat_ms: u32::try_from(self.times.heartbeat.as_millis()).unwrap_or(u32::MAX),
            time_ms: now.unix_ms,
        };
        self.actions.extend([
            Action::Open { device: device.clone(), nonce: hello.nonce },
            Action::Send(welcome.into()),
            Action::Status,
        ]);
        self.state = State::Open(Box::new(Open {
            device,
            heard: now.at,
            applications: Applications::new(hello.running),
            delivery: Delivery::default(),
            flood: Flood::default(),
        }));
    }

    fn on_open_message(&mut self, message: DeviceMessage, now: Now) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        match message {
            DeviceMessage::Hello(_) => self.close(Closing::OutOfTurn("a second Hello")),
            DeviceMessage::Heartbeat(heartbeat) => self.on_heartbeat(&heartbeat, now),
            DeviceMessage::Fetch(fetch) => {
                if fetch.length as usize > wasmbed_protocol::limits::CHUNK {
                    return self.close(Closing::Garbage(format!("a Fetch of {} bytes", fetch.length)));
                }
                self.lookups += 1;
                self.actions.push_back(Action::FindChunk(fetch));
            }
            DeviceMessage::Report(report) => {
                let application = Some(report.application.clone());
                match open.applications.report(report) {
                    Change::Nothing => {}
                    Change::Status => self.actions.push_back(Action::Status),
                    Change::Phase(kind) => self.actions.extend([Action::Status, Action::Live { application, kind }]),
                }
            }
            DeviceMessage::Output(output) => self.actions.extend(open.flood.output(output, now.at)),
            DeviceMessage::Log(log) => self.actions.extend(open.flood.log(log, now.at)),
        }
    }

    fn on_heartbeat(&mut self, heartbeat: &Heartbeat, now: Now) {
        self.acknowledge(now);
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.applications.pulse(&heartbeat.applications);
        let kind =
            LiveKind::Heartbeat { uptime_ms: heartbeat.uptime_ms, memory_free: Some(u64::from(heartbeat.memory_free)) };
        // Always: the status writer decides whether `lastHeartbeat` is old enough to be written.
        self.actions.extend([Action::Status, Action::Live { application: None, kind }]);
    }

    fn acknowledge(&mut self, now: Now) {
        self.actions.push_back(Action::Send(HeartbeatAck { time_ms: now.unix_ms }.into()));
    }

    fn deliver(&mut self) {
        if let State::Open(open) = &mut self.state {
            self.actions.extend(open.delivery.ready().into_iter().map(Action::Send));
        }
    }

    fn refuse(&mut self, reason: &str, retry: Duration) {
        self.enrollment(EnrollmentState::Refused, reason, retry);
        self.close(Closing::Refused(reason.to_owned()));
    }

    fn enrollment(&mut self, state: EnrollmentState, reason: &str, retry: Duration) {
        let reason = shorten(reason, wasmbed_protocol::limits::MAX_REASON);
        let retry_ms = u32::try_from(retry.as_millis()).unwrap_or(u32::MAX);
        self.actions.push_back(Action::Send(Enrollment { state, reason, retry_ms }.into()));
    }
}

/// The first bytes of `text`, at most `most` of them, cut between characters.
fn shorten(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
