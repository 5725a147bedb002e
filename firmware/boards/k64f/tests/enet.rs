//! The Ethernet driver against a model of the controller that follows the reference manual.
#![allow(clippy::unwrap_used, missing_docs, unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net_driver::{Driver, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time::{Duration, MockDriver};
use wasmbed_k64f::enet::{BUFFER, Bus, Enet, Memory, RECEIVE, StartError, TRANSMIT};

const OF_CONTROLLER: u32 = 1 << 31;
const WRAP: u32 = 1 << 29;
const LAST: u32 = 1 << 27;
const CHECKSUM: u32 = 1 << 26;

/// The controller. Memory is known to it by the lower half of its addresses; the rest is that of the rings.
struct Model {
    registers: BTreeMap<u32, u32>,
    base: usize,
    receive: usize,
    transmit: usize,
    sent: Vec<Vec<u8>>,
    /// The transmitter is busy: descriptors stay its own.
    holds: bool,
    phy: [u16; 32],
    has_phy: bool,
}

#[derive(Clone)]
struct Controller(Rc<RefCell<Model>>);

impl Model {
    fn address(&self, low: u32) -> *mut u32 {
        let distance = low.wrapping_sub(self.base as u32).cast_signed() as isize;
        self.base.wrapping_add_signed(distance) as *mut u32
    }

    fn word(&self, low: u32) -> u32 {
        // SAFETY: the driver put the address there; it is of the memory that the test lent it.
        unsafe { self.address(low).read_volatile() }
    }

    fn set_word(&self, low: u32, value: u32) {
        // SAFETY: as above.
        unsafe { self.address(low).write_volatile(value) }
    }

    fn is_on(&self) -> bool {
        self.registers.get(&0x24).is_some_and(|control| control & 2 != 0)
    }

    fn transmit(&mut self) {
        while self.is_on() && !self.holds {
            let descriptor = self.registers[&0x184] + 8 * self.transmit as u32;
            let state = self.word(descriptor);
            if state & OF_CONTROLLER == 0 {
                return;
            }
            assert_eq!(state & (LAST | CHECKSUM), LAST | CHECKSUM);
            let begin = self.address(self.word(descriptor + 4)).cast::<u8>();
            let length = (state & 0xFFFF) as usize;
            // SAFETY: as above.
            self.sent.push(unsafe { std::slice::from_raw_parts(begin, length) }.to_vec());
            self.set_word(descriptor, state & !OF_CONTROLLER);
            self.transmit = if state & WRAP == 0 { self.transmit + 1 } else { 0 };
        }
    }

    /// A frame from the cable, with what the controller has to say about it.
    fn arrive(&mut self, frame: &[u8], status: u32) -> bool {
        assert!(self.is_on());
        assert_eq!(self.registers[&0x188], BUFFER as u32);
        let descriptor = self.registers[&0x180] + 8 * self.receive as u32;
        let state = self.word(descriptor);
        if state & OF_CONTROLLER == 0 {
            return false;
        }
        let buffer = self.word(descriptor + 4);
        assert!(buffer.is_multiple_of(16) && descriptor.is_multiple_of(8));
        // SAFETY: as above; a buffer has more bytes than a frame.
        unsafe { self.address(buffer).cast::<u8>().copy_from(frame.as_ptr(), frame.len().min(BUFFER)) };
        self.set_word(descriptor, state & WRAP | LAST | status | frame.len() as u32);
        self.receive = if state & WRAP == 0 { self.receive + 1 } else { 0 };
        true
    }
}

impl Bus for Controller {
    fn read(&self, offset: u32) -> u32 {
        let model = self.0.borrow();
        model.registers.get(&offset).copied().unwrap_or(0)
    }

    fn write(&self, offset: u32, value: u32) {
        let model = &mut *self.0.borrow_mut();
        match offset {
            // Interrupts are cleared by ones.
            0x04 => {
                let now = model.registers.entry(4).or_default();
                *now &= !value;
            }
            0x40 => {
                assert_eq!(value >> 28, 0b0110, "a reading");
                assert_eq!(model.registers.get(&0x44), Some(&22), "60 MHz by 24");
                if model.has_phy {
                    let answer = model.phy[(value >> 18 & 31) as usize];
                    model.registers.insert(0x40, answer.into());
                    *model.registers.entry(4).or_default() |= 1 << 23;
                }
            }
            0x24 => {
                let was_on = model.is_on();
                // The reset is over at once.
                model.registers.insert(0x24, value & !1);
                if !model.is_on() || !was_on {
                    (model.receive, model.transmit) = (0, 0);
                }
            }
            0x84 | 0xC4 | 0x180 | 0x184 | 0x188 => {
                assert!(!model.is_on(), "{offset:#x} is set while the controller is off");
                model.registers.insert(offset, value);
            }
            0x14 => model.transmit(),
            _ => {
                model.registers.insert(offset, value);
            }
        }
    }
}

fn controller() -> Controller {
    let mut phy = [0; 32];
    (phy[1], phy[2], phy[4], phy[5]) = (0x7809, 0x0022, 0x01E1, 0x01E1);
    Controller(Rc::new(RefCell::new(Model {
        registers: BTreeMap::new(),
        base: 0,
        receive: 0,
        transmit: 0,
        sent: Vec::new(),
        holds: false,
        phy,
        has_phy: true,
    })))
}

static WAKER: AtomicWaker = AtomicWaker::new();

fn start(controller: &Controller) -> Result<Enet<Controller>, StartError> {
    let memory: &'static mut Memory = Box::leak(Box::new(Memory::new()));
    controller.0.borrow_mut().base = std::ptr::from_mut(memory).addr();
    Enet::start(controller.clone(), memory, [2, 0xA, 0xB, 0xC, 0xD, 0xE], &WAKER)
}

fn received(enet: &mut Enet<Controller>) -> Option<Vec<u8>> {
    let (token, _) = enet.receive(&mut Context::from_waker(Waker::noop()))?;
    Some(token.consume(|frame| frame.to_vec()))
}

fn send(enet: &mut Enet<Controller>, frame: &[u8]) -> bool {
    let Some(token) = enet.transmit(&mut Context::from_waker(Waker::noop())) else { return false };
    token.consume(frame.len(), |place| place.copy_from_slice(frame));
    true
}

fn frame(number: u32, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u32 * 7 + number) as u8).collect()
}

#[test]
fn frames_come_in_their_order_however_often_the_ring_goes_round() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    for round in 0..5 {
        for number in 0..RECEIVE as u32 {
            assert!(controller.0.borrow_mut().arrive(&frame(round + number, 60 + 300 * number as usize), 0));
        }
        for number in 0..RECEIVE as u32 {
            assert_eq!(received(&mut enet).unwrap(), frame(round + number, 60 + 300 * number as usize));
        }
        assert_eq!(received(&mut enet), None);
    }
}

#[test]
fn a_full_ring_drops_what_comes_and_goes_on_afterwards() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    for number in 0..RECEIVE as u32 {
        assert!(controller.0.borrow_mut().arrive(&frame(number, 100), 0));
    }
    assert!(!controller.0.borrow_mut().arrive(&frame(9, 100), 0));
    controller.write(0x10, 0);
    assert_eq!(received(&mut enet).unwrap(), frame(0, 100));
    assert_eq!(controller.read(0x10), 1 << 24, "the controller is told that there is room");
    assert!(controller.0.borrow_mut().arrive(&frame(5, 100), 0));
    let rest: Vec<_> = std::iter::from_fn(|| received(&mut enet)).collect();
    assert_eq!(rest, [frame(1, 100), frame(2, 100), frame(3, 100), frame(5, 100)]);
}

#[test]
fn damaged_frames_are_passed_over() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    for (length, status) in [(100, 1 << 18), (100, 1 << 17), (100, 1 << 20), (1_515, 0)] {
        assert!(controller.0.borrow_mut().arrive(&frame(1, length), status));
    }
    assert_eq!(received(&mut enet), None);
    for (length, status) in [(13, 0), (100, 1 << 21), (100, 1 << 16)] {
        assert!(controller.0.borrow_mut().arrive(&frame(1, length), status));
    }
    assert!(controller.0.borrow_mut().arrive(&frame(2, 1_514), 0));
    assert_eq!(received(&mut enet).unwrap(), frame(2, 1_514));
}

#[test]
fn frames_are_sent_whole_and_in_their_order() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    let frames: Vec<_> = (0..7).map(|number| frame(number, 14 + 250 * number as usize)).collect();
    for frame in &frames {
        assert!(send(&mut enet, frame));
    }
    assert_eq!(controller.0.borrow().sent, frames);
}

#[test]
fn a_busy_controller_is_not_given_more_than_it_has_room_for() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    controller.0.borrow_mut().holds = true;
    for number in 0..TRANSMIT as u32 {
        assert!(send(&mut enet, &frame(number, 60)));
    }
    assert!(!send(&mut enet, &frame(9, 60)));
    // Without room for an answer nothing is received either: it waits in its ring.
    assert!(controller.0.borrow_mut().arrive(&frame(7, 60), 0));
    assert_eq!(received(&mut enet), None);
    controller.0.borrow_mut().holds = false;
    controller.0.borrow_mut().transmit();
    assert_eq!(received(&mut enet).unwrap(), frame(7, 60));
    assert!(send(&mut enet, &frame(9, 60)));
    assert_eq!(controller.0.borrow().sent, [frame(0, 60), frame(1, 60), frame(9, 60)]);
}

#[test]
fn the_address_stands_in_the_registers_as_the_manual_has_it() {
    let controller = controller();
    start(&controller).unwrap();
    assert_eq!(controller.read(0xE4), 0x020A_0B0C);
    assert_eq!(controller.read(0xE8), 0x0D0E_8808);
}

#[test]
fn a_cable_that_is_plugged_in_sets_how_fast_and_in_which_way_it_goes() {
    let controller = controller();
    let mut enet = start(&controller).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut look = |enet: &mut Enet<Controller>, status: u16, partner: u16| {
        MockDriver::get().advance(Duration::from_secs(1));
        (controller.0.borrow_mut().phy[1], controller.0.borrow_mut().phy[5]) = (status, partner);
        enet.link_state(&mut context)
    };
    let is_10 = || controller.read(0x84) & 1 << 9 != 0;
    let is_full = || controller.read(0xC4) & 1 << 2 != 0;
    assert!(look(&mut enet, 4, 0x01E1) == LinkState::Up);
    assert!(!is_10() && is_full());
    assert!(look(&mut enet, 0, 0) == LinkState::Down);
    assert!(look(&mut enet, 4, 0x0021) == LinkState::Up);
    assert!(is_10() && !is_full());
    // What was in the rings is gone; what comes now is received.
    assert!(controller.0.borrow_mut().arrive(&frame(3, 80), 0));
    assert_eq!(received(&mut enet).unwrap(), frame(3, 80));
}

#[test]
fn without_a_phy_it_says_so() {
    let controller = controller();
    controller.0.borrow_mut().has_phy = false;
    assert_eq!(start(&controller).err(), Some(StartError::NoPhy));
    let controller = self::controller();
    controller.0.borrow_mut().phy = [u16::MAX; 32];
    assert_eq!(start(&controller).err(), Some(StartError::NoPhy));
}
