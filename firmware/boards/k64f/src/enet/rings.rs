//! The rings of descriptors, and the frames' memory. The one place where memory is shared with the controller.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{Ordering, fence};

use super::MAX_FRAME;

/// Frames that may wait to be looked at.
pub const RECEIVE: usize = 4;
/// Frames that may wait to be sent.
pub const TRANSMIT: usize = 2;
/// Bytes of a frame's buffer: a multiple of 16, and more than a frame with its checksum.
pub const BUFFER: usize = 1_520;

// Bits of a descriptor's upper half.
/// Received: the controller may write. Sent: the controller is to read.
const OF_CONTROLLER: u32 = 1 << 31;
const WRAP: u32 = 1 << 29;
const LAST: u32 = 1 << 27;
/// The controller adds the checksum.
const ADD_CHECKSUM: u32 = 1 << 26;
/// Too long, not whole bytes, wrong checksum, overrun, cut off.
const RECEIVE_ERRORS: u32 = 0x37 << 16;
const LENGTH: u32 = 0xFFFF;

/// What the controller reads and writes: length and flags, and where the frame lies.
#[repr(C, align(8))]
struct Descriptor {
    state: UnsafeCell<u32>,
    buffer: UnsafeCell<u32>,
}

impl Descriptor {
    const fn new() -> Self {
        Self { state: UnsafeCell::new(0), buffer: UnsafeCell::new(0) }
    }

    fn state(&self) -> u32 {
        // SAFETY: a word of our own memory; the controller changes it as a whole.
        let state = unsafe { self.state.get().read_volatile() };
        // What the controller wrote before it is read after it.
        fence(Ordering::SeqCst);
        state
    }

    fn set_state(&mut self, state: u32) {
        // What was written before it is there when the controller sees it.
        fence(Ordering::SeqCst);
        // SAFETY: as for reading; the descriptor is the processor's, or the controller is off.
        unsafe { self.state.get().write_volatile(state) };
        fence(Ordering::SeqCst);
    }

    fn point_to(&mut self, buffer: &Buffer) {
        let address = buffer.0.get().addr() as u32;
        // SAFETY: as for `set_state`.
        unsafe { self.buffer.get().write_volatile(address) };
    }
}

#[repr(C, align(16))]
struct Buffer(UnsafeCell<[u8; BUFFER]>);

impl Buffer {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; BUFFER]))
    }
}

struct Ring<const N: usize> {
    descriptors: [Descriptor; N],
    buffers: [Buffer; N],
    /// Whose turn it is, at the processor's end.
    next: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self { descriptors: [const { Descriptor::new() }; N], buffers: [const { Buffer::new() }; N], next: 0 }
    }

    /// Begins anew, with this state in every descriptor. The controller is off.
    fn prepare(&mut self, state: u32) {
        self.next = 0;
        for (index, (descriptor, buffer)) in self.descriptors.iter_mut().zip(&self.buffers).enumerate() {
            descriptor.point_to(buffer);
            descriptor.set_state(state | wrap::<N>(index));
        }
    }

    /// The next descriptor's state, if it is the processor's.
    fn front(&self) -> Option<u32> {
        let state = self.descriptors[self.next].state();
        (state & OF_CONTROLLER == 0).then_some(state)
    }

    fn buffer(&mut self, length: usize) -> &mut [u8] {
        // SAFETY: the descriptor is the processor's, as whoever asks has seen, so the controller leaves the buffer alone; and
        // `self` is borrowed for as long.
        let buffer = unsafe { &mut *self.buffers[self.next].0.get() };
        &mut buffer[..length]
    }

    /// Gives the next descriptor to the controller.
    fn give(&mut self, state: u32) {
        let index = self.next;
        self.descriptors[index].set_state(OF_CONTROLLER | state | wrap::<N>(index));
        self.next = (index + 1) % N;
    }

    fn address(&self) -> u32 {
        self.descriptors.as_ptr().addr() as u32
    }
}

const fn wrap<const N: usize>(index: usize) -> u32 {
    if index + 1 == N { WRAP } else { 0 }
}

/// Both rings. The board has one, for good, in memory that the controller reaches.
pub struct Memory {
    pub(super) received: Received,
    pub(super) to_send: ToSend,
}

// SAFETY: it is used through `&mut` alone; the cells are there for the controller.
unsafe impl Send for Memory {}

impl Memory {
    /// Empty rings.
    #[must_use]
    pub const fn new() -> Self {
        Self { received: Received(Ring::new()), to_send: ToSend(Ring::new()) }
    }

    /// Begins both anew. The controller is off.
    pub(super) fn prepare(&mut self) {
        self.received.0.prepare(OF_CONTROLLER);
        self.to_send.0.prepare(0);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Frames that came.
pub(super) struct Received(Ring<RECEIVE>);

impl Received {
    pub(super) fn address(&self) -> u32 {
        self.0.address()
    }

    /// The length of the next frame that came, and whether it is whole.
    pub(super) fn front(&self) -> Option<(usize, bool)> {
        let state = self.0.front()?;
        let length = (state & LENGTH) as usize;
        Some((
            length.min(MAX_FRAME),
            state & RECEIVE_ERRORS == 0 && state & LAST != 0 && (14..=MAX_FRAME).contains(&length),
        ))
    }

    pub(super) fn frame(&mut self, length: usize) -> &mut [u8] {
        self.0.buffer(length)
    }

    /// Gives the buffer back.
    pub(super) fn release(&mut self) {
        self.0.give(0);
    }
}

/// Frames to send.
pub(super) struct ToSend(Ring<TRANSMIT>);

impl ToSend {
    pub(super) fn address(&self) -> u32 {
        self.0.address()
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.front().is_some()
    }

    pub(super) fn frame(&mut self, length: usize) -> &mut [u8] {
        self.0.buffer(length)
    }

    pub(super) fn send(&mut self, length: usize) {
        self.0.give(LAST | ADD_CHECKSUM | length as u32);
    }
}
