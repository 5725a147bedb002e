//! One connection, one task: the handshake, and then a loop that carries bytes and news to a [`Session`] and does what
//! it says. While something is to be written or read for the device, nothing more is taken from it.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::jiff::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wasmbed_api::DevicePhase;
use wasmbed_protocol::message::{Fetch, GatewayMessage};
use wasmbed_protocol::pairing::{EXPORTER_LABEL, EXPORTER_LENGTH};
use wasmbed_protocol::{KeySet, PublicKey, ReleaseDigest};
use wasmbed_streams::live::LiveKind;

use crate::closing::Closing;
use crate::context::{Context, now};
use crate::identity::Identity;
use crate::link::{Link, Progress};
use crate::pending::Knock;
use crate::places::Place;
use crate::session::{Action, Session, Standing, Times};
use crate::sessions::Registration;
use crate::tls;

/// Plaintext and ciphertext that rustls may hold for one connection, in bytes.
const TLS_BUFFER: usize = 8 << 10;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(crate) async fn serve(context: Arc<Context>, tcp: TcpStream, source: IpAddr, shaking: Place) {
    let closing = match handshake(&context, tcp).await {
        Ok((stream, key, identity)) => {
            drop(shaking);
            Connection::new(&context, stream, key, source, &identity).run().await
        }
        Err(closing) => closing,
    };
    context.count(&closing);
    tracing::debug!(gateway = context.name, %source, reason = %closing, "a connection ended");
}

async fn handshake(
    context: &Context,
    tcp: TcpStream,
) -> Result<(TlsStream<TcpStream>, PublicKey, Arc<Identity>), Closing> {
    let identity = context.identity.borrow().clone().and_then(Result::ok).ok_or(Closing::NoIdentity)?;
    // A failure costs some milliseconds of delay and nothing else.
    let _ = tcp.set_nodelay(true);
    let accepting = TlsAcceptor::from(identity.tls.clone())
        .accept_with(tcp, |connection| connection.set_buffer_limit(Some(TLS_BUFFER)));
    let stream = tokio::select! {
        accepted = tokio::time::timeout(context.limits.handshake_timeout, accepting) => match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Closing::Tls(error.to_string())),
            Err(_) => return Err(Closing::NoHandshake),
        },
        () = context.shutdown.cancelled() => return Err(Closing::Shutdown),
    };
    let key = tls::device_key(stream.get_ref().1).map_err(|error| Closing::Tls(error.to_owned()))?;
    Ok((stream, key, identity))
}

/// What was looked for and what was found.
enum Found {
    Release(ReleaseDigest, Option<Bytes>),
    Chunk(Fetch, Vec<u8>),
}

struct Connection<'a> {
    context: &'a Arc<Context>,
    link: Link<TlsStream<TcpStream>>,
    session: Session,
    registration: Registration,
    lookups: FuturesUnordered<BoxFuture<'static, Found>>,
    key: PublicKey,
    source: IpAddr,
    /// The place of an unknown key among the others.
    stranger: Option<Place>,
    /// The counter of the device's session, once it is open.
    counter: Option<(String, i64)>,
    closing: Option<Closing>,
    /// What the device was shown, and so believes.
    keyset: Arc<KeySet>,
}

impl<'a> Connection<'a> {
    fn new(
        context: &'a Arc<Context>,
        stream: TlsStream<TcpStream>,
        key: PublicKey,
        source: IpAddr,
        identity: &Identity,
    ) -> Self {
        let config = context.declared.borrow().as_ref().map(|gateway| gateway.spec.config()).unwrap_or_default();
        let times = Times {
            heartbeat: config.heartbeat_interval(),
            silence: config.connection_timeout(),
            enrollment: config.enrollment_timeout(),
            hello: context.limits.hello_timeout,
        };
        // Registered first: a change of standing from here on finds its way into the box.
        let registration = context.sessions.register(key);
        let standing = context.directory().standing(&key);
        let is_known = standing != Standing::Unknown;
        let mut session = Session::new(times, standing, identity.introduction.clone(), now());
        let stranger = if is_known { None } else { context.strangers.take(source) };
        if !is_known && stranger.is_none() {
            session.close(Closing::Crowded);
        }
        let current = context.identity.borrow().clone().and_then(Result::ok);
        if current.is_some_and(|current| current.introduction != identity.introduction) {
            session.close(Closing::Reintroduced);
        }
        Self {
            context,
            link: Link::new(stream),
            session,
            registration,
            lookups: FuturesUnordered::new(),
            key,
            source,
            stranger,
            counter: None,
            closing: None,
            keyset: identity.keyset.clone(),
        }
    }

    async fn run(mut self) -> Closing {
        let shutdown = self.context.shutdown.clone();
        let mut shutdown = pin!(shutdown.cancelled());
        let closing = loop {
            self.work();
            if let Some(closing) = self.closing.take() {
                break closing;
            }
            let has_room = self.has_room();
            let stalled_at = self.link.stalled_at(self.context.limits.stall_timeout);
            let deadline = self.session.deadline().into_iter().chain(stalled_at).min();
            let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                progress = self.link.progress(has_room) => match progress {
                    Progress::Read | Progress::Wrote => {}
                    Progress::Ended => self.session.close(Closing::Left),
                    Progress::Garbage(error) => self.session.close(Closing::Garbage(error.to_string())),
                    Progress::Broken(error) => self.session.close(Closing::Broken(error.to_string())),
                },
                Some(found) = self.lookups.next() => match found {
                    Found::Release(digest, cose) => self.session.found_release(digest, cose, now()),
                    Found::Chunk(fetch, bytes) => self.session.found_chunk(&fetch, bytes),
                },
                news = self.registration.inbox().take(has_room) => {
                    if let Some(standing) = news.standing {
                        self.session.set_standing(standing, now());
                    }
                    if let Some((cose, releases)) = news.assignment {
                        self.session.assign(cose, releases);
                    }
                    if let Some(closing) = news.close {
                        self.session.close(closing);
                    }
                },
                () = tokio::time::sleep_until(deadline.into()) => {
                    if stalled_at.is_some_and(|at| at <= Instant::now()) {
                        self.session.close(Closing::Stalled);
                    }
                    self.session.on_time(now());
                },
                () = &mut shutdown => self.session.close(Closing::Shutdown),
            }
        };
        self.leave(&closing);
        self.link.finish(GOODBYE).await;
        closing
    }

    /// Whether the device is to be heard: nothing is left to be done for it, and little to be written.
    fn has_room(&self) -> bool {
        self.session.is_idle()
            && self.link.waiting() < self.context.limits.outgoing
            && self.session.lookups() < self.context.limits.lookups_per_session
    }

    /// Takes frames and does what the session says, as long as there is room.
    fn work(&mut self) {
        while self.closing.is_none() {
            while self.closing.is_none() && self.link.waiting() < self.context.limits.outgoing {
                match self.session.next_action() {
                    Some(action) => self.act(action),
                    None => break,
                }
            }
            if !self.link.has_frame() || !self.has_room() {
                return;
            }
            if let Some(frame) = self.link.next_frame() {
                self.session.on_frame(&frame, now());
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(message) => self.send(&message),
            Action::Knock { board, pairing } => self.knock(board, pairing.as_ref()),
            Action::Open { device, nonce } => self.open(&device, nonce),
            Action::FindRelease(digest) => {
                let (store, keyset) = (self.context.store.clone(), self.keyset.clone());
                self.lookups.push(Box::pin(async move {
                    let found = store.release(digest, keyset).await.inspect_err(|error| {
                        tracing::warn!(release = %digest, %error, "a Release that is assigned cannot be read yet");
                    });
                    Found::Release(digest, found.ok())
                }));
            }
            Action::FindChunk(fetch) => match self.context.store.chunk_at_hand(&fetch) {
                Some(bytes) => self.session.found_chunk(&fetch, bytes),
                None => {
                    let store = self.context.store.clone();
                    self.lookups.push(Box::pin(async move {
                        let found = store.chunk(&fetch).await.inspect_err(|error| {
                            tracing::warn!(module = %fetch.digest, %error, "a module that is asked for cannot be read");
                        });
                        Found::Chunk(fetch, found.unwrap_or_default())
                    }));
                }
            },
            Action::Status => self.tell_board(),
            Action::Live { application, kind } => {
                let device = self.session.device().unwrap_or_default();
                self.context.publish(device, application, kind, now());
            }
            Action::Close(closing) => self.closing = Some(closing),
        }
    }

    fn send(&mut self, message: &GatewayMessage) {
        match message.to_frame() {
            Ok(frame) => self.link.send(&frame),
            // A Release or an Assignment that no device would take: it is not sent, and the log says so.
            Err(error) => tracing::error!(gateway = self.context.name, %error, "a message cannot be sent"),
        }
    }

    fn knock(&mut self, board: String, pairing: Option<&wasmbed_protocol::message::Pairing>) {
        let now = now();
        let exporter =
            match self.link.stream().get_ref().1.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, None) {
                Ok(exporter) => exporter,
                Err(error) => return self.session.close(Closing::Tls(error.to_string())),
            };
        let verdict = {
            let directory = self.context.directory();
            let claimed = pairing.and_then(|pairing| directory.device(&pairing.device));
            let knock = Knock { key: self.key, source: self.source, board, pairing, exporter };
            self.context.pending().knock(knock, claimed, now)
        };
        if matches!(verdict, crate::session::Verdict::Pending(_)) {
            let public_key = wasmbed_api::PublicKey::from_bytes(self.key.0).to_string();
            self.context.publish("", None, LiveKind::Pending { public_key }, now);
            if let Some(pairing) = pairing {
                self.context.board().mark(&pairing.device);
                self.context.board_changed.notify_one();
            }
            self.context.summary_changed.notify_one();
        }
        self.session.judged(verdict);
    }

    fn open(&mut self, device: &str, nonce: wasmbed_protocol::Nonce) {
        let declared = self.context.declared.borrow().clone();
        let most = declared.and_then(|gateway| gateway.spec.max_devices);
        if self.registration.open(&self.context.name, device, nonce, most).is_err() {
            return self.session.turn_away("this gateway serves as many devices as it may (spec.maxDevices)");
        }
        let counter = {
            let directory = self.context.directory();
            self.context.board().open(device, directory.device(device))
        };
        self.counter = Some((device.to_owned(), counter));
        self.stranger = None;
        self.context.pending().remove(&self.key);
        self.context.summary_changed.notify_one();
        let kind = LiveKind::Phase { phase: DevicePhase::Connected.to_string(), reason: None };
        self.context.publish(device, None, kind, now());
    }

    fn tell_board(&self) {
        if let (Some((device, counter)), Some(applications)) = (&self.counter, self.session.applications()) {
            self.context.board().update(device, *counter, applications.to_status(), Timestamp::now());
            self.context.board_changed.notify_one();
        }
    }

    /// Says what is to be said when the connection ends.
    fn leave(&self, closing: &Closing) {
        let Some((device, counter)) = &self.counter else {
            return;
        };
        let phase = if closing.is_silence() { DevicePhase::Unreachable } else { DevicePhase::Disconnected };
        self.context.board().close(device, *counter, phase);
        self.context.board_changed.notify_one();
        self.context.summary_changed.notify_one();
        if *closing != Closing::Superseded {
            let kind = LiveKind::Phase { phase: phase.to_string(), reason: Some(closing.to_string()) };
            self.context.publish(device, None, kind, now());
        }
    }
}
