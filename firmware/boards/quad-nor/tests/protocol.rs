//! The protocol against a model of the flash, which follows the data sheet of the N25Q128A.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::rc::Rc;

use wasmbed_agent::store::FlashError;
use wasmbed_chip_flash::Chip;
use wasmbed_quad_nor::{Controller, QuadNor, Unknown};

const BASE: u32 = 0x9000_0000;

struct Model {
    memory: Vec<u8>,
    is_mapped: bool,
    is_enabled: bool,
    is_protected: bool,
    /// How often the status says that it is busy.
    busy: u32,
    longest: u32,
    identification: [u8; 3],
    flags: u8,
    fails: bool,
}

#[derive(Clone)]
struct Flash(Rc<RefCell<Model>>);

fn flash() -> Flash {
    Flash(Rc::new(RefCell::new(Model {
        memory: vec![0xFF; 16 * 4_096],
        is_mapped: true,
        is_enabled: false,
        is_protected: false,
        busy: 0,
        longest: 3,
        identification: [0x20, 0xBA, 0x18],
        flags: 0x80,
        fails: false,
    })))
}

impl Model {
    fn begin(&mut self) -> bool {
        assert!(!self.is_mapped, "a command while it is mapped hangs the controller");
        assert_eq!(self.busy, 0, "a command while it is busy is lost");
        let enabled = core::mem::take(&mut self.is_enabled);
        assert!(enabled, "without being enabled the command is lost");
        self.busy = self.longest;
        if self.fails {
            self.flags |= 1 << 5;
        }
        !self.fails
    }
}

impl Controller for Flash {
    fn command(&mut self, instruction: u8, address: Option<u32>) {
        let model = &mut *self.0.borrow_mut();
        match (instruction, address) {
            (0x06, None) => model.is_enabled = !model.is_protected,
            (0x50, None) => model.flags = 0x80,
            (0x20, Some(address)) => {
                if model.begin() {
                    let begin = address as usize / 4_096 * 4_096;
                    model.memory[begin..begin + 4_096].fill(0xFF);
                }
            }
            _ => panic!("{instruction:#x} {address:?}"),
        }
        assert!(!model.is_mapped, "a command while it is mapped hangs the controller");
    }

    fn read(&mut self, instruction: u8, answer: &mut [u8]) {
        let model = &mut *self.0.borrow_mut();
        assert!(!model.is_mapped, "a command while it is mapped hangs the controller");
        match (instruction, answer) {
            (0x9F, answer) => answer.copy_from_slice(&model.identification),
            (0x05, [status]) => {
                *status = u8::from(model.busy > 0) | u8::from(model.is_enabled) << 1;
                model.busy = model.busy.saturating_sub(1);
            }
            (0x70, [flags]) => *flags = model.flags,
            (other, _) => panic!("{other:#x}"),
        }
    }

    fn write(&mut self, instruction: u8, address: u32, bytes: &[u8]) {
        assert_eq!(instruction, 0x02);
        let model = &mut *self.0.borrow_mut();
        if model.begin() {
            for (at, byte) in bytes.iter().enumerate() {
                // It begins again at the page's start, and no bit becomes 1.
                let place = address as usize / 256 * 256 + (address as usize + at) % 256;
                model.memory[place] &= byte;
            }
        }
    }

    fn unmap(&mut self) {
        self.0.borrow_mut().is_mapped = false;
    }

    fn map(&mut self) {
        let model = &mut *self.0.borrow_mut();
        assert_eq!(model.busy, 0, "it cannot be read while it is busy");
        model.is_mapped = true;
    }

    fn mapped(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        let model = self.0.borrow();
        assert!(model.is_mapped);
        let bytes = model.memory.get(address as usize..(address + length) as usize)?;
        Some(bytes.to_vec().leak())
    }
}

#[test]
fn bytes_across_pages_lie_where_they_belong() {
    let mut nor = QuadNor::start(flash(), BASE).unwrap();
    let bytes: Vec<u8> = (0..1_000).map(|at| (at % 251) as u8).collect();
    nor.program(BASE + 200, &bytes).unwrap();
    assert_eq!(nor.bytes(BASE + 200, 1_000).unwrap(), bytes);
    assert_eq!(nor.bytes(BASE, 200).unwrap(), [0xFF; 200]);
    assert_eq!(nor.bytes(BASE + 1_200, 200).unwrap(), [0xFF; 200]);
}

#[test]
fn an_erase_takes_its_sectors_and_no_more() {
    let mut nor = QuadNor::start(flash(), BASE).unwrap();
    for sector in 0..5 {
        nor.program(BASE + sector * 4_096 + 8, b"before").unwrap();
    }
    nor.erase(BASE + 4_096, 2 * 4_096).unwrap();
    let kept: Vec<bool> = (0..5).map(|sector| nor.bytes(BASE + sector * 4_096 + 8, 6).unwrap() == b"before").collect();
    assert_eq!(kept, [true, false, false, true, true]);
}

#[test]
fn a_flash_that_fails_says_so_and_is_mapped_again() {
    for break_it in [|model: &mut Model| model.fails = true, |model: &mut Model| model.is_protected = true] {
        let flash = flash();
        let mut nor = QuadNor::start(flash.clone(), BASE).unwrap();
        break_it(&mut flash.0.borrow_mut());
        assert_eq!(nor.program(BASE, b"bytes"), Err(FlashError::WriteFailed));
        assert_eq!(nor.erase(BASE, 4_096), Err(FlashError::WriteFailed));
        assert!(flash.0.borrow().is_mapped);
    }
}

#[test]
fn a_failure_is_of_one_command_alone() {
    let flash = flash();
    let mut nor = QuadNor::start(flash.clone(), BASE).unwrap();
    flash.0.borrow_mut().fails = true;
    assert!(nor.erase(BASE, 4_096).is_err());
    flash.0.borrow_mut().fails = false;
    assert_eq!(nor.erase(BASE, 4_096), Ok(()));
}

#[test]
fn a_line_without_anybody_on_it_is_known() {
    for identification in [[0; 3], [0xFF; 3]] {
        let flash = flash();
        flash.0.borrow_mut().identification = identification;
        assert_eq!(QuadNor::start(flash, BASE).err(), Some(Unknown(identification)));
    }
}
