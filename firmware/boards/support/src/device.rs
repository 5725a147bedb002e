//! A device: the agent, and what it needs to have done. The counterpart of the host device's loop.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::pin::pin;

use embassy_futures::select::{Either3, select3};
use embassy_time::{Duration, Instant, Timer};
use wasmbed_agent::region::{self, HEADER, MAX_PANIC, RegionError, SEED_RECORD, Seed, Unit};
use wasmbed_agent::{
    Action, Agent, ApplicationEvent, Event, Instance as Run, Level, MAX_PROVISIONING, Options, Provisioning,
    StartApplication,
};

use crate::applications::Applications;
use crate::flash::{self, Flash};
use crate::network::{Network, Setup};
use crate::port::{News, Order, Port, What};
use crate::probe::Probes;
use crate::{clock, console, entropy, heap, together};

/// Longest time between two feedings of the watchdog.
const FEED: Duration = Duration::from_secs(2);
/// Between two accounts of what applications use.
const ACCOUNT: Duration = Duration::from_secs(1);
/// Between two lines of what memory was used.
const MEMORY: Duration = Duration::from_secs(60);
/// The first of them comes when a session has usually begun.
const FIRST_MEMORY: Duration = Duration::from_secs(5);
/// Between two lines that say why the device does nothing.
const REMIND: Duration = Duration::from_secs(30);

/// What a board brings.
pub struct Board<F, N, A> {
    /// The `mcuType` this program was built for.
    pub name: &'static str,
    /// What it can run and do.
    pub features: &'static [&'static str],
    /// Memory for applications, in bytes.
    pub memory: u32,
    /// Its persistent flash.
    pub flash: F,
    /// Its way to gateways.
    pub network: N,
    /// What runs its applications.
    pub applications: A,
    /// Bytes of its random number generator, or none: what it has no such generator for follows from the seed in flash.
    pub random: Option<[u8; 32]>,
    /// Keeps the watchdog from resetting the device.
    pub feed: fn(),
}

/// Runs a device for ever: reads who it is, connects, and does what its agent asks for.
pub async fn run<F: Flash, N: Network, A: Applications>(board: Board<F, N, A>, probes: &Probes) -> Infallible {
    let Board { name, features, memory, mut flash, network, applications, random, feed } = board;
    feed();
    let (provisioning, last_panic) = match start(&mut flash, random).await {
        Ok(started) => started,
        Err(problem) => idle(&problem, feed).await,
    };
    let address = provisioning.address;
    let agent = Agent::new(
        Options {
            provisioning,
            board: wasmbed_agent::Board {
                name: name.into(),
                memory,
                features: features.iter().map(ToString::to_string).collect(),
            },
            geometry: flash.geometry(),
            memory_for_applications: heap::for_applications(),
            entropy: entropy::fill,
        },
        now(),
    );
    let agent = match agent {
        Ok(agent) => agent,
        Err(error) => idle(&format!("the board's flash is declared wrongly: {error}"), feed).await,
    };
    let mut random = [0; 8];
    if let Err(error) = entropy::fill(&mut random) {
        idle(&error.to_string(), feed).await;
    }
    let [a, b, c, d, e, ..] = agent.public_key().thumbprint().0;
    // Locally administered, one station.
    let setup = Setup { hardware_address: [0x02, a, b, c, d, e], address, random: u64::from_le_bytes(random) };
    let port = Port::new();
    let mut device = Device {
        agent,
        flash,
        applications,
        names: Vec::new(),
        port: &port,
        feed,
        next_account: Instant::now(),
        next_memory: Instant::now() + FIRST_MEMORY,
    };
    console::line(Level::Info, None, &format!("started: {name}, key {}", Hex(&device.agent.public_key().0)));
    if let Some(text) = last_panic {
        device.agent.handle(Event::Say { level: Level::Error, text }, now());
    }
    let (network, device) = (pin!(network.serve(setup, &port, probes)), pin!(device.serve()));
    together::forever([network, device]).await
}

/// Reads the records of the region, and begins the device's randomness.
async fn start(flash: &mut impl Flash, random: Option<[u8; 32]>) -> Result<(Provisioning, Option<String>), String> {
    let unreadable = |error| format!("the flash region cannot be read: {error}");
    let record = flash::read_record(flash, Unit::Provisioning, HEADER + MAX_PROVISIONING).map_err(unreadable)?;
    let provisioning = region::provisioning(&record).map_err(|error| format!("no identity: {error}"))?;

    let record = flash::read_record(flash, Unit::Seed, SEED_RECORD).map_err(unreadable)?;
    let seed = match (Seed::decode(&record), random) {
        (Ok(seed), _) => seed,
        // The generator alone is enough; from here on the seed adds to it.
        (Err(_), Some(random)) => Seed::new(random),
        (Err(error), None) => return Err(format!("no seed for random numbers: {error}")),
    };
    let ratchet = seed.ratchet(random.as_ref().map_or(&[], |bytes| bytes.as_slice()));
    // Durable before anything that follows from this start's key leaves the device.
    flash::replace_record(flash, Unit::Seed, &ratchet.next.encode())
        .await
        .map_err(|error| format!("the seed for random numbers cannot be replaced: {error}"))?;
    entropy::start(&ratchet.key);

    let record = flash::read_record(flash, Unit::Panic, HEADER + MAX_PANIC).map_err(unreadable)?;
    let last_panic = match region::panic_text(&record) {
        Err(RegionError::Missing) => None,
        Err(_) => Some("the device was reset while it wrote down why".to_string()),
        Ok(text) => Some(format!("before its last reset the device said: {text}")),
    };
    if last_panic.is_some() {
        flash::replace_record(flash, Unit::Panic, &[])
            .await
            .map_err(|error| format!("the panic's record cannot be erased: {error}"))?;
    }
    Ok((provisioning, last_panic))
}

/// Without an identity there is nothing to do but to say so.
async fn idle(problem: &str, feed: fn()) -> ! {
    loop {
        console::line(Level::Error, None, problem);
        let again = Instant::now() + REMIND;
        while Instant::now() < again {
            feed();
            Timer::after(FEED).await;
        }
    }
}

struct Device<'a, F, A> {
    agent: Agent,
    flash: F,
    applications: A,
    /// The applications' names, for the board's own log.
    names: Vec<(Run, String)>,
    port: &'a Port,
    feed: fn(),
    next_account: Instant,
    next_memory: Instant,
}

impl<F: Flash, A: Applications> Device<'_, F, A> {
    async fn serve(&mut self) -> Infallible {
        loop {
            (self.feed)();
            self.act().await;
            let timer = Timer::at(self.deadline());
            match select3(self.port.news(), self.applications.next_event(), timer).await {
                Either3::First(news) => self.hear(news),
                Either3::Second((run, event)) => self.tell(run, event),
                Either3::Third(()) => {}
            }
            let now = now();
            if self.agent.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.agent.handle(Event::Tick, now);
            }
            self.account();
            self.tell_memory();
            clock::set(self.agent.unix_time_ms(now));
        }
    }

    /// When there is something to do even if nothing happens.
    fn deadline(&self) -> Instant {
        let feed = Instant::now() + FEED;
        let agent = self.agent.next_deadline().map(Instant::from_millis);
        let account = (!self.applications.is_empty()).then_some(self.next_account);
        [agent, account].into_iter().flatten().fold(feed, Instant::min)
    }

    fn hear(&mut self, News { connection, what }: News) {
        let event = match what {
            What::Opened => Event::Connected { connection },
            What::Received(bytes) => Event::Received { connection, bytes },
            What::Sent => Event::Sent { connection },
            What::Ended(reason) => Event::Disconnected { connection, reason },
        };
        self.agent.handle(event, now());
    }

    /// Carries out what the agent asks for, until it asks for nothing more.
    async fn act(&mut self) {
        while let Some(action) = self.agent.next_action() {
            match action {
                Action::Connect { connection, address } => self.port.order(Order::Open { connection, address }).await,
                Action::Send { connection, bytes } => self.port.order(Order::Send { connection, bytes }).await,
                Action::Close { connection } => self.port.order(Order::Close { connection }).await,
                Action::Flash(action) => {
                    let result = flash::perform(&mut self.flash, &action).await;
                    self.agent.handle(Event::Flash { id: action.id(), result }, now());
                    // One erase follows another where a module is replaced: neither the watchdog nor the network waits for all.
                    (self.feed)();
                    embassy_futures::yield_now().await;
                }
                Action::Start(start) => {
                    let run = start.instance;
                    self.names.push((run, start.application.clone()));
                    if let Err(reason) = self.start(start) {
                        self.tell(run, ApplicationEvent::Refused { reason });
                    }
                }
                Action::Stop { instance } => self.applications.stop(instance),
                Action::Log { level, text } => console::line(level, None, &text),
            }
        }
    }

    fn start(&mut self, start: StartApplication) -> Result<(), String> {
        let begin = region::store_address(self.flash.unit());
        let module = self
            .flash
            .mapped(begin + start.module.offset, start.module.size)
            .map_err(|error| format!("its module cannot be read: {error}"))?;
        self.applications.start(start, module)
    }

    /// Takes what a run did: to the board's log, and to the agent.
    fn tell(&mut self, run: Run, event: ApplicationEvent) {
        match &event {
            ApplicationEvent::Log { level, text } => {
                let name = self.names.iter().find(|(other, _)| *other == run).map(|(_, name)| name.as_str());
                console::line(*level, name, text);
            }
            ApplicationEvent::Exited { .. }
            | ApplicationEvent::Trapped { .. }
            | ApplicationEvent::Refused { .. }
            | ApplicationEvent::Stopped => {
                self.names.retain(|(other, _)| *other != run);
            }
            ApplicationEvent::Started | ApplicationEvent::Published { .. } | ApplicationEvent::Stats { .. } => {}
        }
        self.agent.handle(Event::Application { instance: run, event }, now());
    }

    /// Tells whoever reads the UART what memory is and was in use, if it is time.
    fn tell_memory(&mut self) {
        if Instant::now() < self.next_memory {
            return;
        }
        self.next_memory = Instant::now() + MEMORY;
        let heap::Use { used, peak, free } = heap::usage();
        let text = format!(
            "memory: heap {used} bytes and at most {peak} of {}; stack at most {} bytes",
            used + free,
            stack_used()
        );
        console::line(Level::Debug, None, &text);
    }

    /// Tells what the runs use, if it is time.
    fn account(&mut self) {
        if self.applications.is_empty() || Instant::now() < self.next_account {
            return;
        }
        self.next_account = Instant::now() + ACCOUNT;
        let mut accounts = Vec::new();
        self.applications.account(&mut |run, event| accounts.push((run, event)));
        for (run, event) in accounts {
            self.tell(run, event);
        }
    }
}

/// Milliseconds since the board started.
fn now() -> u64 {
    Instant::now().as_millis()
}

#[cfg(target_os = "none")]
fn stack_used() -> usize {
    crate::stack::used()
}

/// On a host the system keeps the stack.
#[cfg(not(target_os = "none"))]
fn stack_used() -> usize {
    0
}

struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
