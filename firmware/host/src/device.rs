use std::path::Path;
use std::time::Instant;

use mio::{Registry, Token};
use rand_core::{OsRng, RngCore};
use wasmbed_agent::{Action, Agent, ApplicationEvent, Board, EntropyFailed, Event, Level, StartApplication};

use crate::applications::Applications;
use crate::connection::{Connection, News};
use crate::error::DeviceError;
use crate::flash::{self, FlashFile};
use crate::folder::Folder;
use crate::pins::Pins;
use crate::post::{Letter, Post};

/// Bytes of memory for applications, as the device says to its gateway. What each of them may use stands in its
/// Release.
const MEMORY: u32 = 64 * 1024 * 1024;
/// Pieces read from the connection before other devices of the process have their turn.
const PIECES: usize = 16;

/// One device: the agent, and what it needs to have done.
pub(crate) struct Device {
    name: String,
    agent: Agent,
    flash: FlashFile,
    connection: Connection,
    applications: Applications,
    post: Post,
    token: Token,
    _folder: Folder,
}

impl Device {
    pub(crate) fn open(dir: &Path, post: Post, token: Token, now: u64) -> Result<Device, DeviceError> {
        let folder = Folder::open(dir)?;
        let name = folder.name();
        let provisioning = folder.provisioning()?;
        let geometry = flash::geometry();
        let flash = FlashFile::open(&folder.flash(), geometry)?;
        let pins = Pins::new(folder.pins(), name.clone());
        let agent = Agent::new(
            wasmbed_agent::Options {
                provisioning,
                board: Board {
                    name: "Host".into(),
                    memory: MEMORY,
                    features: ["wasm32", "gpio-simulated", "adc-simulated", "network"].map(String::from).to_vec(),
                },
                geometry,
                memory_for_applications: usize::MAX,
                entropy,
            },
            now,
        )?;
        let applications = Applications::new(name.clone(), pins, Instant::now());
        tracing::info!(device = name, "started in {}", dir.display());
        Ok(Device { name, agent, flash, connection: Connection::None, applications, post, token, _folder: folder })
    }

    /// Does everything that can be done now.
    pub(crate) fn advance(&mut self, now: u64) {
        if self.agent.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.agent.handle(Event::Tick, now);
        }
        for (instance, event) in self.applications.stats(now) {
            self.agent.handle(Event::Application { instance, event }, now);
        }
        self.act(now);
        for _ in 0..PIECES {
            let Some(number) = self.connection.number() else { break };
            let Some(news) = self.connection.read() else { break };
            self.hear(number, news, now);
            self.act(now);
        }
    }

    /// When to call [`advance`](Device::advance) again even if nothing happens.
    pub(crate) fn next_deadline(&self, now: u64) -> Option<u64> {
        let readable = self.connection.is_readable().then_some(now);
        [readable, self.agent.next_deadline(), self.applications.next_deadline()].into_iter().flatten().min()
    }

    /// The connection can be read or written.
    pub(crate) fn ready(&mut self, now: u64) {
        if let Some(number) = self.connection.number()
            && let Some(news) = self.connection.ready()
        {
            self.hear(number, news, now);
        }
    }

    /// Takes what another thread has to tell.
    pub(crate) fn take(&mut self, letter: Letter, registry: &Registry, now: u64) {
        match letter {
            Letter::Connection { connection, result } => {
                match self.connection.connected(connection, result, registry, self.token) {
                    Some(Ok(())) => self.agent.handle(Event::Connected { connection }, now),
                    Some(Err(error)) => self.hear(connection, News::Ended(error.to_string()), now),
                    None => {}
                }
            }
            Letter::Application { instance, event } => {
                self.applications.tell(instance, &event);
                self.agent.handle(Event::Application { instance, event }, now);
            }
            Letter::Stop => {}
        }
        // At once, so that what applications say does not pile up here.
        self.act(now);
    }

    /// Stops what runs. Nothing has to be saved: the flash is right at every moment.
    pub(crate) fn end(&mut self, why: &str) {
        tracing::info!(device = self.name, "ends: {why}");
        self.applications.end();
    }

    fn hear(&mut self, connection: wasmbed_agent::Connection, news: News, now: u64) {
        let event = match news {
            News::Received(bytes) => Event::Received { connection, bytes },
            News::Sent => Event::Sent { connection },
            News::Ended(reason) => Event::Disconnected { connection, reason },
        };
        self.agent.handle(event, now);
    }

    /// Carries out what the agent asks for, until it asks for nothing more.
    fn act(&mut self, now: u64) {
        while let Some(action) = self.agent.next_action() {
            match action {
                Action::Connect { connection, address } => {
                    self.connection.open(connection, address, self.post.clone());
                }
                Action::Send { connection, bytes } => {
                    if let Some(news) = self.connection.send(connection, &bytes) {
                        self.hear(connection, news, now);
                    }
                }
                Action::Close { connection } => self.connection.close(connection),
                Action::Flash(action) => {
                    let event = Event::Flash { id: action.id(), result: self.flash.perform(&action) };
                    self.agent.handle(event, now);
                }
                Action::Start(start) => {
                    let instance = start.instance;
                    if let Err(reason) = self.start(start, now) {
                        let event = ApplicationEvent::Refused { reason };
                        self.agent.handle(Event::Application { instance, event }, now);
                    }
                }
                Action::Stop { instance } => self.applications.stop(instance),
                Action::Log { level, text } => say(&self.name, level, &text),
            }
        }
    }

    fn start(&mut self, start: StartApplication, now: u64) -> Result<(), String> {
        let unreadable = |error| format!("its module cannot be read from the flash file: {error}");
        let module = self.flash.module(start.module).map_err(unreadable)?;
        self.applications.start(start, &module, &self.post, now).map_err(|error| error.to_string())
    }
}

/// A line of the device itself, for a person who looks at the process.
fn say(device: &str, level: Level, text: &str) {
    match level {
        Level::Error => tracing::error!(device, "{text}"),
        Level::Warn => tracing::warn!(device, "{text}"),
        Level::Debug => tracing::debug!(device, "{text}"),
        _ => tracing::info!(device, "{text}"),
    }
}

fn entropy(bytes: &mut [u8]) -> Result<(), EntropyFailed> {
    OsRng.try_fill_bytes(bytes).map_err(|_| EntropyFailed)
}
