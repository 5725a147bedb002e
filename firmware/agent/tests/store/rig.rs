//! A store on a NOR model whose power can be cut.

use wasmbed_agent::store::nor::Nor;
use wasmbed_agent::store::{
    Action, Digest, Event, FlashError, Geometry, Key, Module, Outcome, Report, Store, StoreError,
};

use crate::model::{Model, Op, content, digest};

/// A small flash: a log of two halves of two units each, eight units for modules.
pub(crate) fn geometry(word: u32) -> Geometry {
    Geometry::uniform(word, 512, 4, 8)
}

pub(crate) struct Rig {
    pub(crate) flash: Nor<Vec<u8>>,
    pub(crate) store: Store,
    pub(crate) report: Report,
}

/// Where the power is cut: after so many steps (a step is one word programmed, or one unit erased), the step itself
/// being left as `tear` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) steps: u32,
    pub(crate) tear: Tear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tear {
    /// The step did not begin.
    Clean,
    /// Half of its bits changed.
    Half,
    /// Few of its bits changed.
    Little,
    /// All of them changed, but nobody heard of it.
    Silent,
}

pub(crate) const TEARS: [Tear; 4] = [Tear::Clean, Tear::Half, Tear::Little, Tear::Silent];

impl Tear {
    fn mask(self) -> u8 {
        match self {
            Tear::Clean => 0x00,
            Tear::Half => 0x5A,
            Tear::Little => 0x10,
            Tear::Silent => 0xFF,
        }
    }
}

/// The power is gone.
#[derive(Debug)]
pub(crate) struct PowerLost;

impl Rig {
    /// A new device.
    pub(crate) fn new(geometry: Geometry) -> Rig {
        Rig::boot(vec![0xFF; geometry.end() as usize], geometry)
    }

    pub(crate) fn boot(bytes: Vec<u8>, geometry: Geometry) -> Rig {
        Rig::boot_with(bytes, geometry, &mut None).expect("the power stays on")
    }

    /// Boots with a cut to come; on a cut the bytes are handed back.
    pub(crate) fn boot_with(bytes: Vec<u8>, geometry: Geometry, cut: &mut Option<Cut>) -> Result<Rig, Vec<u8>> {
        let mut rig =
            Rig { flash: Nor::new(bytes, geometry), store: Store::new(geometry).unwrap(), report: Report::default() };
        match rig.drive(cut) {
            Ok(events) => {
                let [Event::Mounted(report)] = &events[..] else { panic!("{events:?}") };
                rig.report = report.clone();
                Ok(rig)
            }
            Err(PowerLost) => Err(rig.flash.medium().clone()),
        }
    }

    pub(crate) fn reboot(self) -> Rig {
        let geometry = *self.store.geometry();
        Rig::boot(self.flash.medium().clone(), geometry)
    }

    /// Carries out flash actions until the store wants none.
    pub(crate) fn drive(&mut self, cut: &mut Option<Cut>) -> Result<Vec<Event>, PowerLost> {
        let word = self.store.geometry().word;
        while let Some(action) = self.store.next_action() {
            if let Some(cut) = cut {
                match &action {
                    Action::Read { .. } => {}
                    Action::Program { address, bytes, .. } => {
                        let words = bytes.len() as u32 / word;
                        if cut.steps < words {
                            self.flash.program_cut(*address, bytes, cut.steps, cut.tear.mask()).unwrap();
                            return Err(PowerLost);
                        }
                        cut.steps -= words;
                    }
                    Action::Erase { address, length, .. } => {
                        if cut.steps == 0 {
                            let mut bits = 0x9E37_79B9_u32;
                            let chance = || {
                                bits = bits.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
                                match cut.tear {
                                    Tear::Half => (bits >> 24) as u8,
                                    other => other.mask(),
                                }
                            };
                            self.flash.erase_cut(*address, *length, chance).unwrap();
                            return Err(PowerLost);
                        }
                        cut.steps -= 1;
                    }
                }
            }
            let read = self.flash.perform(&action).expect("the store keeps to the rules of flash");
            self.store.complete(action.id(), Ok(read));
        }
        Ok(std::iter::from_fn(|| self.store.next_event()).collect())
    }

    /// Asks for one operation, without waiting for it.
    pub(crate) fn submit(&mut self, op: &Op) -> Result<(), StoreError> {
        let ticket = match op {
            Op::Put(key, value) => self.store.put(key.clone(), value.clone()),
            Op::Remove(key) => self.store.remove(key),
            Op::KeySet(epoch, bytes) => self.store.put_keyset(*epoch, bytes),
            Op::Reserve(size) => self.store.reserve(digest(*size), *size),
            Op::Append(size, length) => {
                let Some(Module::Filling { next, .. }) = self.store.module(&digest(*size)) else {
                    return Err(StoreError::Unknown);
                };
                let end = (next + length).min(*size);
                self.store.append(digest(*size), next, &content(*size)[next as usize..end as usize])
            }
            Op::Check(size) => self.store.verify(digest(*size)),
            Op::Discard(size) => self.store.discard(digest(*size)),
        };
        ticket.map(|_| ())
    }

    /// Asks for one operation and waits for its end.
    pub(crate) fn run(&mut self, op: &Op, cut: &mut Option<Cut>) -> Result<Result<Outcome, StoreError>, PowerLost> {
        if let Err(error) = self.submit(op) {
            return Ok(Err(error));
        }
        let events = self.drive(cut)?;
        let [Event::Done { outcome, .. }] = events[..] else { panic!("{op:?}: {events:?}") };
        Ok(Ok(outcome))
    }

    /// One operation with the power on.
    pub(crate) fn op(&mut self, op: &Op) -> Result<Outcome, StoreError> {
        self.run(op, &mut None).expect("the power stays on")
    }

    /// What the store holds, as the model would have it.
    pub(crate) fn observed(&self) -> Model {
        let mut model = Model::new(*self.store.geometry());
        for key in keys() {
            if let Some(value) = self.store.value(&key) {
                model.values.insert(key, value.to_vec());
            }
        }
        model.keyset = self.store.keyset().map(|(epoch, bytes)| (epoch, bytes.to_vec()));
        for (digest, module) in self.store.modules() {
            model.modules.insert(digest, module.into());
        }
        model
    }

    /// The bytes of a module that may be run.
    pub(crate) fn module_bytes(&mut self, digest: &Digest) -> Option<Vec<u8>> {
        let location = self.store.locate(digest)?;
        Some(self.flash.read(location.address, location.size).unwrap())
    }

    /// Answers the next action with an error instead of carrying it out.
    pub(crate) fn fail_next(&mut self, error: FlashError) {
        let action = self.store.next_action().unwrap();
        self.store.complete(action.id(), Err(error));
    }
}

/// All keys that the tests use.
pub(crate) fn keys() -> Vec<Key> {
    let mut keys = vec![Key::Assignment, Key::Panic, Key::Release([1; 32]), Key::Release([2; 32])];
    keys.extend(["led-blinker", "a"].map(|name| Key::Application(name.into())));
    keys.extend([Key::Other(0), Key::Other(200)]);
    keys
}
