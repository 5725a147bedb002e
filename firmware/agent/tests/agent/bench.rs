//! A device on a bench: the agent, flash that behaves like flash, a runtime that does what module texts say, a
//! network, and a power switch.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest as _, Sha256};
use wasmbed_agent::store::nor::Nor;
use wasmbed_agent::store::{Action as FlashAction, Area, Geometry, Store};
use wasmbed_agent::{
    Action, Agent, ApplicationEvent, Board, Connection, EntropyFailed, Event, Instance, Level, Options,
    StartApplication,
};
use wasmbed_protocol::message::{Phase, Report};
use wasmbed_protocol::{DeviceMessage, GatewayMessage, SigningKey};

use crate::fleet::{Fleet, key};
use crate::gateway::{Gateway, Plan};

thread_local! {
    static RANDOM: Cell<u64> = const { Cell::new(1) };
}

/// Repeatable randomness (splitmix64).
fn entropy(buffer: &mut [u8]) -> Result<(), EntropyFailed> {
    for chunk in buffer.chunks_mut(8) {
        let state = RANDOM.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        RANDOM.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

pub const GEOMETRY: Geometry = Geometry {
    word: 8,
    log: Area { address: 0, unit: 4_096, units: 4 },
    modules: Area { address: 16_384, unit: 1_024, units: 16 },
};

/// Changes bytes on their way.
pub type Change = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

pub struct Bench {
    pub agent: Agent,
    pub options: Options,
    pub flash: Nor<Vec<u8>>,
    pub now: u64,
    pub plan: Plan,
    /// Whether gateways can be reached.
    pub online: bool,
    pub gateway: Option<(Connection, Gateway)>,
    /// Builds the server end of the next connections.
    pub make_gateway: Box<dyn Fn(&Fleet) -> Gateway>,
    pub runs: BTreeMap<Instance, Running>,
    /// Everything that was ever started, in order.
    pub started: Vec<StartApplication>,
    /// Instances that were told to stop.
    pub stopped: Vec<Instance>,
    pub log: Vec<(Level, String)>,
    pub addresses: Vec<String>,
    /// Actions in short, in order.
    pub trace: Vec<String>,
    events: VecDeque<Event>,
    /// Actions carried out so far.
    pub steps: usize,
    /// Power is cut at this step.
    pub cut_at: Option<usize>,
    /// Whether there is no gateway after that.
    pub offline_after_cut: bool,
    pub reboots: usize,
    /// Changes what reaches the device.
    pub before_delivery: Option<Change>,
    /// Whether bytes reach the device one by one.
    pub piecewise: bool,
    pub trap_reason: String,
    /// Whether flash refuses to be written.
    pub flash_full: bool,
}

pub struct Running {
    pub start: StartApplication,
    pub trap_at: Option<u64>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with_fleet(Fleet::default())
    }

    pub fn with_fleet(fleet: Fleet) -> Self {
        Self::with_geometry(fleet, GEOMETRY)
    }

    pub fn with_geometry(fleet: Fleet, geometry: Geometry) -> Self {
        RANDOM.set(1);
        let device = device_key();
        let options = Options {
            provisioning: fleet.provisioning(&device),
            board: Board { name: "Host".into(), memory: 1 << 20, features: vec!["wasm32".into()] },
            geometry,
            memory_for_applications: usize::MAX,
            entropy,
        };
        let flash = Nor::new(vec![0xff; geometry.end() as usize], geometry);
        let agent = Agent::new(options.clone(), 0).expect("a good geometry");
        Self {
            agent,
            options,
            flash,
            now: 0,
            plan: Plan::new(fleet, device.public()),
            online: true,
            gateway: None,
            make_gateway: Box::new(Gateway::new),
            runs: BTreeMap::new(),
            started: Vec::new(),
            stopped: Vec::new(),
            log: Vec::new(),
            addresses: Vec::new(),
            trace: Vec::new(),
            events: VecDeque::new(),
            steps: 0,
            cut_at: None,
            offline_after_cut: false,
            reboots: 0,
            before_delivery: None,
            piecewise: false,
            trap_reason: "unreachable executed".into(),
            flash_full: false,
        }
    }

    /// Carries out everything that can happen without time passing.
    pub fn run(&mut self) {
        loop {
            if let Some(action) = self.agent.next_action() {
                self.steps += 1;
                if self.cut_at == Some(self.steps) {
                    self.cut(action);
                } else {
                    self.perform(action);
                }
            } else if let Some(event) = self.events.pop_front() {
                self.agent.handle(event, self.now);
            } else {
                break;
            }
        }
    }

    /// Lets time pass, waking the agent when it asked for it.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now + ms;
        self.run();
        let mut wakes = 0;
        loop {
            let trap = self.runs.values().filter_map(|run| run.trap_at).min();
            let next = [self.agent.next_deadline(), trap].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now || wakes < 100, "the agent asks to be woken again and again at {next}");
            wakes = if next > self.now { 0 } else { wakes + 1 };
            self.now = self.now.max(next);
            self.trap_due();
            self.agent.handle(Event::Tick, self.now);
            self.run();
        }
        self.now = end;
        self.agent.handle(Event::Tick, self.now);
        self.run();
    }

    pub fn reboot(&mut self) {
        self.reboots += 1;
        self.runs.clear();
        self.events.clear();
        self.gateway = None;
        self.agent = Agent::new(self.options.clone(), self.now).expect("a good geometry");
    }

    pub fn hand(&mut self, event: Event) {
        self.agent.handle(event, self.now);
        self.run();
    }

    /// The gateway says this, now.
    pub fn say(&mut self, message: impl Into<GatewayMessage>) {
        let (_, gateway) = self.gateway.as_mut().expect("a connection");
        gateway.say(&message.into());
        self.deliver();
        self.run();
    }

    /// The gateway sends the Releases and a new Assignment of what the plan says, if the device is in session.
    pub fn reassign(&mut self) {
        let Some(nonce) = self.gateway.as_ref().and_then(|(_, gateway)| gateway.nonce) else { return };
        for message in self.plan.assignment(nonce) {
            if self.gateway.as_ref().is_none_or(|(_, gateway)| gateway.nonce != Some(nonce)) {
                return;
            }
            self.say(message);
        }
    }

    /// Bytes of the gateway reach the agent.
    pub fn deliver(&mut self) {
        if let Some((connection, gateway)) = &mut self.gateway {
            let mut bytes = gateway.output();
            if let Some(change) = &self.before_delivery
                && !bytes.is_empty()
            {
                bytes = change(bytes);
            }
            let piece = if self.piecewise { 1 } else { usize::MAX };
            for bytes in bytes.chunks(piece) {
                self.events.push_back(Event::Received { connection: *connection, bytes: bytes.to_vec() });
            }
        }
    }

    /// The network goes away under the connection.
    pub fn hang_up(&mut self) {
        if let Some((connection, _)) = self.gateway.take() {
            self.hand(Event::Disconnected { connection, reason: "reset by peer".into() });
        }
    }

    /// The releases of an application that run now.
    pub fn running(&self, application: &str) -> Vec<[u8; 32]> {
        let runs = self.runs.values().filter(|run| run.start.application == application);
        runs.map(|run| run.start.module.digest).collect()
    }

    /// The last state the device told of an application.
    pub fn reported(&self, application: &str) -> Option<Report> {
        self.reports().into_iter().rfind(|report| report.application == application)
    }

    pub fn phase(&self, application: &str) -> Option<Phase> {
        self.reported(application).map(|report| report.phase)
    }

    /// Every state the device told, in order.
    pub fn reports(&self) -> Vec<Report> {
        let of = |message: &DeviceMessage| match message {
            DeviceMessage::Report(report) => vec![report.clone()],
            DeviceMessage::Hello(hello) => hello.running.clone(),
            _ => Vec::new(),
        };
        self.plan.heard.iter().flat_map(of).collect()
    }

    /// The modules in the store, by what a fresh mount of it says.
    pub fn stored(&mut self) -> Vec<[u8; 32]> {
        let mut store = Store::new(self.options.geometry).expect("a good geometry");
        while let Some(action) = store.next_action() {
            assert!(matches!(action, FlashAction::Read { .. }), "mounting a good store writes nothing");
            let result = Ok(self.flash.perform(&action).expect("a read"));
            store.complete(action.id(), result);
        }
        store.modules().map(|(digest, _)| digest).collect()
    }

    pub fn hellos(&self) -> usize {
        self.plan.heard.iter().filter(|message| matches!(message, DeviceMessage::Hello(_))).count()
    }

    pub fn said(&self, text: &str) -> bool {
        self.log.iter().any(|(_, line)| line.contains(text))
    }

    fn perform(&mut self, action: Action) {
        self.trace.push(short(&action));
        match action {
            Action::Connect { connection, address } => {
                self.addresses.push(address);
                if self.online {
                    self.gateway = Some((connection, (self.make_gateway)(&self.plan.fleet)));
                    self.events.push_back(Event::Connected { connection });
                } else {
                    let reason = "connection refused".into();
                    self.events.push_back(Event::Disconnected { connection, reason });
                }
            }
            Action::Send { connection, bytes } => {
                assert!(bytes.len() <= wasmbed_agent::MAX_SEND);
                self.events.push_back(Event::Sent { connection });
                if let Some((open, gateway)) = &mut self.gateway {
                    assert_eq!(*open, connection, "bytes for a connection that is not open");
                    gateway.receive(&bytes, &mut self.plan);
                    self.deliver();
                }
            }
            Action::Close { connection } => {
                if self.gateway.as_ref().is_some_and(|(open, _)| *open == connection) {
                    self.gateway = None;
                }
            }
            Action::Flash(action) => {
                let write = !matches!(action, FlashAction::Read { .. });
                let result = if write && self.flash_full {
                    Err(wasmbed_agent::store::FlashError::NoSpace)
                } else {
                    Ok(self.flash.perform(&action).expect("the store keeps to the rules of flash"))
                };
                self.events.push_back(Event::Flash { id: action.id(), result });
            }
            Action::Start(start) => self.start(start),
            Action::Stop { instance } => {
                self.stopped.push(instance);
                if self.runs.remove(&instance).is_some() {
                    self.tell(instance, ApplicationEvent::Stopped);
                }
            }
            Action::Log { level, text } => self.log.push((level, text)),
        }
    }

    /// Runs a module by what its text says: `run`, `exit N`, `trap`, `trap-after MS`, `refuse`, `silent`.
    fn start(&mut self, start: StartApplication) {
        let instance = start.instance;
        let module = self.flash.read(start.module.offset, start.module.size).expect("a module in the flash");
        assert_eq!(Sha256::digest(&module).as_slice(), start.module.digest, "an unverified module was started");
        let alone = self.runs.values().all(|run| run.start.application != start.application);
        assert!(alone, "{} runs twice", start.application);
        self.started.push(start.clone());
        let line = module.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split(' ');
        let (verb, number) = (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse::<u64>().ok()));
        if verb == "refuse" {
            return self.tell(instance, ApplicationEvent::Refused { reason: "no start function".into() });
        }
        if verb != "silent" {
            self.tell(instance, ApplicationEvent::Started);
        }
        match verb {
            "exit" => self.tell(instance, ApplicationEvent::Exited { code: number.unwrap_or(0) as i32 }),
            "trap" => self.tell(instance, ApplicationEvent::Trapped { reason: self.trap_reason.clone() }),
            _ => {
                let trap_at = (verb == "trap-after").then(|| self.now + number.unwrap_or(0));
                self.runs.insert(instance, Running { start, trap_at });
            }
        }
    }

    fn trap_due(&mut self) {
        let due: Vec<Instance> =
            self.runs.iter().filter(|(_, run)| run.trap_at.is_some_and(|at| at <= self.now)).map(|(i, _)| *i).collect();
        for instance in due {
            self.runs.remove(&instance);
            self.tell(instance, ApplicationEvent::Trapped { reason: "out of bounds".into() });
        }
    }

    fn tell(&mut self, instance: Instance, event: ApplicationEvent) {
        self.events.push_back(Event::Application { instance, event });
    }

    /// Power goes away in the middle of this action.
    fn cut(&mut self, action: Action) {
        let seed = self.steps as u32;
        match action {
            Action::Flash(FlashAction::Program { address, bytes, .. }) => {
                let words = seed.wrapping_mul(7) % (bytes.len() as u32 / GEOMETRY.word).max(1);
                let left = (seed.wrapping_mul(0x5bd1) >> 3) as u8;
                self.flash.program_cut(address, &bytes, words, left).expect("the store keeps to the rules of flash");
            }
            Action::Flash(FlashAction::Erase { address, length, .. }) => {
                let mut state = seed;
                let chance = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                };
                self.flash.erase_cut(address, length, chance).expect("the store keeps to the rules of flash");
            }
            _ => {}
        }
        self.online &= !self.offline_after_cut;
        self.reboot();
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Connect { address, .. } => format!("connect {address}"),
        Action::Send { .. } => "send".into(),
        Action::Close { .. } => "close".into(),
        Action::Flash(FlashAction::Read { .. }) => "read".into(),
        Action::Flash(FlashAction::Program { .. }) => "program".into(),
        Action::Flash(FlashAction::Erase { .. }) => "erase".into(),
        Action::Start(start) => format!("start {}", start.application),
        Action::Stop { instance } => format!("stop {instance}"),
        Action::Log { .. } => "log".into(),
    }
}

pub fn device_key() -> SigningKey {
    key(9)
}
