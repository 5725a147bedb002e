//! The region on a chip whose flash is made of memory, with the rules of NOR flash.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Mutex;

use embassy_futures::block_on;
use wasmbed_agent::store::{Area, FlashError, Geometry};
use wasmbed_board::flash::Flash;
use wasmbed_chip_flash::map::{self, SectorErase};
use wasmbed_chip_flash::{Chip, ChipFlash, Layout, Piece};

/// Two pieces far from each other, as a chip of uneven sectors has them.
const LAYOUT: Layout = Layout {
    unit: 1_024,
    geometry: Geometry {
        word: 8,
        log: Area { address: 0, unit: 1_024, units: 2 },
        modules: Area { address: 2_048, unit: 4_096, units: 2 },
    },
    pieces: &[Piece { address: 0x1000, unit: 1_024, units: 5 }, Piece { address: 0x8000, unit: 4_096, units: 2 }],
};

/// Bits that read 0 whatever was done: a worn chip.
#[derive(Clone, Copy, Default)]
struct Worn(Option<u32>);

struct Model {
    memory: Mutex<Vec<u8>>,
    worn: Worn,
}

impl Model {
    fn new() -> Self {
        Self { memory: Mutex::new(vec![0xFF; 0x10000]), worn: Worn::default() }
    }
}

impl Chip for &Model {
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        let memory = self.memory.lock().unwrap();
        let mut bytes = memory.get(address as usize..(address + length) as usize)?.to_vec();
        if let Some(at) = self.worn.0.and_then(|at| at.checked_sub(address)).filter(|at| *at < length) {
            bytes[at as usize] = 0;
        }
        Some(bytes.leak())
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        assert!(address.is_multiple_of(8) && bytes.len().is_multiple_of(8), "whole words");
        let mut memory = self.memory.lock().unwrap();
        let place = &mut memory[address as usize..][..bytes.len()];
        assert!(place.iter().all(|byte| *byte == 0xFF), "only what is erased is programmed");
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        self.memory.lock().unwrap()[address as usize..][..length as usize].fill(0xFF);
        Ok(())
    }
}

fn flash(model: &Model) -> ChipFlash<&Model> {
    ChipFlash::new(model, LAYOUT)
}

#[test]
fn what_the_store_asks_for_lies_in_the_pieces() {
    assert!(LAYOUT.is_consistent());
    assert_eq!(LAYOUT.locate(0, 1), Some(0x1000));
    assert_eq!(LAYOUT.locate(5 * 1_024 - 8, 8), Some(0x1000 + 5 * 1_024 - 8));
    assert_eq!(LAYOUT.locate(5 * 1_024, 8_192), Some(0x8000));
    assert_eq!(LAYOUT.locate(5 * 1_024 - 8, 16), None, "nothing reaches from one piece into another");
    assert_eq!(LAYOUT.locate(5 * 1_024 + 8_192, 1), None);
    assert_eq!(LAYOUT.locate(0, u32::MAX), None);
}

#[test]
fn a_layout_that_does_not_fit_its_geometry_is_known() {
    let geometry = |address| Geometry { modules: Area { address, unit: 4_096, units: 2 }, ..LAYOUT.geometry };
    assert!(!Layout { geometry: geometry(4_096), ..LAYOUT }.is_consistent());
    assert!(!Layout { unit: 512, ..LAYOUT }.is_consistent());
    assert!(!Layout { pieces: &LAYOUT.pieces[..1], ..LAYOUT }.is_consistent());
}

#[test]
fn bytes_that_are_programmed_are_read_back_and_mapped() {
    let model = Model::new();
    let mut flash = flash(&model);
    block_on(flash.program(5 * 1_024 + 8, b"ABCDEFGH")).unwrap();
    let mut bytes = [0; 8];
    flash.read(5 * 1_024 + 8, &mut bytes).unwrap();
    assert_eq!(&bytes, b"ABCDEFGH");
    assert_eq!(flash.mapped(5 * 1_024 + 8, 8).unwrap(), b"ABCDEFGH");
    block_on(flash.erase(5 * 1_024, 4_096)).unwrap();
    flash.read(5 * 1_024 + 8, &mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 8]);
}

#[test]
fn only_whole_units_are_erased() {
    let model = Model::new();
    let mut flash = flash(&model);
    for (address, length) in [(512, 1_024), (0, 512), (0, 2_048), (5 * 1_024, 1_024), (64_000, 1_024)] {
        assert_eq!(block_on(flash.erase(address, length)), Err(FlashError::WriteFailed));
    }
}

#[test]
fn worn_flash_is_noticed_when_it_is_written_and_when_it_is_erased() {
    let model = Model { worn: Worn(Some(0x1404)), ..Model::new() };
    let mut flash = flash(&model);
    assert_eq!(block_on(flash.program(1_024, b"ABCDEFGH")), Err(FlashError::WriteFailed));
    assert_eq!(block_on(flash.erase(1_024, 1_024)), Err(FlashError::WriteFailed));
    assert_eq!(block_on(flash.erase(2_048, 1_024)), Ok(()));
}

#[test]
fn a_panic_replaces_its_record_whatever_its_length() {
    let model = Model::new();
    let mut flash = flash(&model);
    for length in [0, 1, 7, 8, 9, 524] {
        let record = vec![0x5A; length];
        flash.keep(2_048, &record);
        assert_eq!(&flash.mapped(2_048, length as u32).unwrap(), &record);
        assert_eq!(flash.mapped(2_048 + length as u32, 8).unwrap(), [0xFF; 8]);
    }
}

#[test]
fn the_maps_of_all_boards_are_consistent() {
    for map in [map::NRF52840, map::MK64F, map::STM32F407, map::STM32F746G_DISCO] {
        assert!(map.is_consistent(), "{map:?}");
    }
}

#[test]
fn an_erase_on_the_stm32f4_is_of_whole_sectors_and_touches_no_other_unit_than_it_keeps() {
    // RM0090, table 5.
    let sectors: Vec<(u32, u32)> = [16, 16, 16, 16, 64, 128, 128, 128, 128, 128, 128, 128]
        .iter()
        .scan(0x0800_0000, |begin, kib| {
            let sector = (*begin, *begin + kib * 1_024);
            *begin = sector.1;
            Some(sector)
        })
        .collect();
    let units = || {
        map::STM32F407.pieces.iter().flat_map(|piece| (0..piece.units).map(|index| piece.address + index * piece.unit))
    };
    for unit in units() {
        let erase = SectorErase::of(unit);
        assert!(sectors.contains(&(erase.begin, erase.end)), "{unit:#x}: {erase:?}");
        assert!((erase.begin..erase.end).contains(&unit));
        for other in units().filter(|other| *other != unit && (erase.begin..erase.end).contains(other)) {
            assert_eq!(erase.keep, Some(other), "{unit:#x} takes {other:#x} with it");
        }
    }
    let program = 0x0802_0000..0x080C_0000;
    assert!(units().all(|unit| !program.contains(&unit) && unit >= 0x0800_4000));
}
