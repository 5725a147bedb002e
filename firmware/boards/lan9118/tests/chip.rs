//! The driver against a model of the chip: frames go both ways whole, and what is bad or stuck stays out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

use embassy_net_driver::{Driver, HardwareAddress, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use wasmbed_lan9118::{Bus, Lan9118, StartError};

const ADDRESS: [u8; 6] = [0x02, 1, 2, 3, 4, 5];

/// The chip, as far as the driver looks at it.
#[derive(Default)]
struct Chip {
    absent: bool,
    stuck: bool,
    mac: [u32; 4],
    mac_data: u32,
    configured: u32,
    enabled: u32,
    statuses: VecDeque<u32>,
    received: VecDeque<u32>,
    /// Words of the frame that is being sent.
    sending: Vec<u32>,
    sent: Vec<Vec<u8>>,
    /// Statuses of sent frames that nobody fetched.
    untold: u32,
    full: bool,
    listening: u32,
    /// A frame that arrives just when the interrupt is cleared.
    late: Option<Vec<u8>>,
}

impl Chip {
    /// A frame comes in; its checksum is appended.
    fn receive(&mut self, frame: &[u8], error: bool) {
        let length = frame.len() + 4;
        self.statuses.push_back((length as u32) << 16 | u32::from(error) << 15);
        let mut bytes = [frame, &[0xC5; 4]].concat();
        bytes.resize(length.next_multiple_of(4), 0);
        self.received.extend(bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())));
    }
}

#[derive(Clone, Default)]
struct Model(Rc<RefCell<Chip>>);

impl Bus for Model {
    fn read(&mut self, offset: u32) -> u32 {
        let mut chip = self.0.borrow_mut();
        match offset {
            0x64 => {
                if chip.absent {
                    0xFFFF_FFFF
                } else {
                    0x8765_4321
                }
            }
            0x84 => u32::from(!chip.stuck),
            0x74 | 0xA4 => 0,
            0x7C => (chip.statuses.len() as u32) << 16,
            0x40 => chip.statuses.pop_front().unwrap(),
            0x00 => chip.received.pop_front().unwrap(),
            0x80 => chip.untold << 16 | if chip.full { 100 } else { 4_608 },
            0x48 => {
                chip.untold -= 1;
                0
            }
            other => panic!("the driver reads {other:#x}"),
        }
    }

    fn write(&mut self, offset: u32, value: u32) {
        let mut chip = self.0.borrow_mut();
        match offset {
            0x20 => {
                chip.sending.push(value);
                let length = (chip.sending[0] & 0x7FF) as usize;
                if chip.sending.len() == 2 + length.div_ceil(4) {
                    assert_eq!(chip.sending[0], 0x3000 | length as u32, "first and last piece in one");
                    assert_eq!(chip.sending[1] & 0x7FF, length as u32);
                    let bytes = chip.sending[2..].iter().flat_map(|word| word.to_le_bytes()).take(length).collect();
                    chip.sent.push(bytes);
                    chip.sending.clear();
                    chip.untold += 1;
                }
            }
            0xA8 => chip.mac_data = value,
            0xA4 => {
                let data = chip.mac_data;
                chip.mac[(value & 3) as usize] = data;
            }
            0x54 => chip.configured = value,
            0x58 => {
                if let Some(frame) = chip.late.take() {
                    chip.receive(&frame, false);
                }
            }
            0x5C => {
                assert!(
                    value == 0 || chip.configured == 0x111,
                    "interrupts before the line's polarity is set never end"
                );
                chip.enabled = value;
            }
            0x68 | 0x6C | 0x70 | 0x74 | 0xAC => {}
            other => panic!("the driver writes {other:#x}"),
        }
    }

    fn listen(&mut self) {
        self.0.borrow_mut().listening += 1;
    }
}

fn started() -> (Model, Lan9118<Model>) {
    let model = Model::default();
    let driver = Lan9118::start(model.clone(), ADDRESS, Box::leak(Box::new(AtomicWaker::new()))).unwrap();
    (model, driver)
}

fn next(driver: &mut Lan9118<Model>) -> Option<Vec<u8>> {
    let (received, _) = driver.receive(&mut Context::from_waker(Waker::noop()))?;
    Some(received.consume(|frame| frame.to_vec()))
}

fn send(driver: &mut Lan9118<Model>, frame: &[u8]) {
    let token = driver.transmit(&mut Context::from_waker(Waker::noop())).unwrap();
    token.consume(frame.len(), |room| room.copy_from_slice(frame));
}

fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|index| index as u8).collect()
}

#[test]
fn a_chip_that_is_not_there_or_not_ready_is_told() {
    let start = |chip: Chip| {
        let model = Model(Rc::new(RefCell::new(chip)));
        Lan9118::start(model, ADDRESS, Box::leak(Box::new(AtomicWaker::new()))).err()
    };
    assert_eq!(start(Chip { absent: true, ..Chip::default() }), Some(StartError::Absent));
    assert_eq!(start(Chip { stuck: true, ..Chip::default() }), Some(StartError::Stuck));
}

#[test]
fn a_started_chip_has_its_address_and_interrupts_for_frames_alone() {
    let (model, driver) = started();
    let chip = model.0.borrow();
    assert_eq!(chip.mac[2..], [0x0504, 0x0302_0102], "ADDRH, ADDRL");
    assert_eq!(chip.enabled, 1 << 3);
    assert_eq!(driver.hardware_address(), HardwareAddress::Ethernet(ADDRESS));
}

#[test]
fn frames_of_every_length_go_both_ways_whole() {
    let (model, mut driver) = started();
    for length in (14..=64).chain(1_500..=1_514) {
        model.0.borrow_mut().receive(&frame(length), false);
        assert_eq!(next(&mut driver), Some(frame(length)), "{length} bytes received");
        send(&mut driver, &frame(length));
        assert_eq!(model.0.borrow_mut().sent.pop(), Some(frame(length)), "{length} bytes sent");
    }
    assert_eq!(next(&mut driver), None);
    assert_eq!(model.0.borrow().untold, 0, "statuses of sent frames do not pile up");
}

#[test]
fn bad_and_oversized_frames_are_taken_off_the_chip_and_dropped() {
    let (model, mut driver) = started();
    model.0.borrow_mut().receive(&frame(100), true);
    model.0.borrow_mut().receive(&frame(9_000), false);
    model.0.borrow_mut().receive(&[], true);
    model.0.borrow_mut().receive(&frame(60), false);
    assert_eq!(next(&mut driver), Some(frame(60)));
    assert_eq!(next(&mut driver), None);
    assert!(model.0.borrow().received.is_empty());
}

#[test]
fn a_frame_that_comes_while_the_interrupt_is_cleared_is_not_left_lying() {
    let (model, mut driver) = started();
    model.0.borrow_mut().late = Some(frame(60));
    assert_eq!(next(&mut driver), Some(frame(60)));
    assert_eq!(model.0.borrow().listening, 0, "there may be more");
    assert_eq!(next(&mut driver), None);
    assert_eq!(model.0.borrow().listening, 1, "now it waits for the interrupt");
}

#[test]
fn a_full_chip_takes_no_frame_and_is_asked_again() {
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (model, mut driver) = started();
    model.0.borrow_mut().full = true;
    model.0.borrow_mut().receive(&frame(60), false);
    let count = Arc::new(Count(AtomicU32::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    assert!(driver.transmit(&mut context).is_none());
    assert!(driver.receive(&mut context).is_none(), "there would be no room for an answer");
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    model.0.borrow_mut().full = false;
    assert_eq!(next(&mut driver), Some(frame(60)));
}
