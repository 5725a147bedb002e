//! The incoming half of a stream: bytes in order, and the room for more.

use super::MAX_DATA;
use super::ring::Ring;

#[derive(Debug)]
pub(super) struct Receiver<const N: usize> {
    bytes: Ring<N>,
    /// All bytes before it have come.
    next: u32,
    /// The limit that was told last.
    told: u32,
    due: bool,
    gap: bool,
}

impl<const N: usize> Receiver<N> {
    /// Bytes that a stream's sender may send before it was told anything.
    pub(super) const INITIAL: u32 = {
        assert!(N >= MAX_DATA && N <= 1 << 20, "a link's buffer holds between one packet and 1 MiB");
        N as u32
    };

    pub(super) const fn new() -> Self {
        Self { bytes: Ring::new(), next: 0, told: Self::INITIAL, due: false, gap: false }
    }

    pub(super) fn start(&mut self) {
        self.bytes.clear();
        self.next = 0;
        self.told = Self::INITIAL;
        self.due = false;
        self.gap = false;
    }

    /// Takes what is next of a packet's bytes. Every packet is answered.
    pub(super) fn take(&mut self, offset: u32, bytes: &[u8]) {
        self.due = true;
        let known = self.next.wrapping_sub(offset).cast_signed();
        self.gap = known < 0;
        if let Some(new) = usize::try_from(known).ok().and_then(|known| bytes.get(known..)) {
            let count = self.bytes.push(new);
            self.next = self.next.wrapping_add(u32::try_from(count).expect("a packet is small"));
        }
    }

    pub(super) fn front(&self) -> &[u8] {
        self.bytes.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The user of the stream has taken bytes. The other end is told once that is worth a packet.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        let gained = self.limit().wrapping_sub(self.told) as usize;
        if gained >= MAX_DATA.min(N / 2) {
            self.due = true;
        }
    }

    /// Drops what is there: nobody will take it.
    pub(super) fn discard(&mut self) {
        self.consume(N);
    }

    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    pub(super) fn ask_credit(&mut self) {
        self.due = true;
    }

    /// What to tell the other end now: next, limit, gap.
    pub(super) fn credit(&mut self) -> Option<(u32, u32, bool)> {
        if !core::mem::take(&mut self.due) {
            return None;
        }
        self.told = self.limit();
        Some((self.next, self.told, core::mem::take(&mut self.gap)))
    }

    fn limit(&self) -> u32 {
        self.next.wrapping_add(u32::try_from(self.bytes.free()).expect("INITIAL is checked"))
    }
}

#[cfg(test)]
mod tests {
    use super::Receiver;

    fn receiver() -> Receiver<512> {
        let mut receiver = Receiver::new();
        receiver.start();
        receiver
    }

    #[test]
    fn bytes_are_taken_once_and_in_order() {
        let mut receiver = receiver();
        receiver.take(0, b"abc");
        assert_eq!(receiver.credit(), Some((3, 512, false)));
        receiver.take(4, b"e");
        assert_eq!(receiver.credit(), Some((3, 512, true)), "a gap is told");
        receiver.take(1, b"bcde");
        receiver.take(0, b"abc");
        receiver.take(0, b"");
        assert_eq!(receiver.credit(), Some((5, 512, false)));
        assert_eq!(receiver.front(), b"abcde");
    }

    #[test]
    fn a_sender_that_ignores_the_limit_does_no_harm() {
        let mut receiver = receiver();
        receiver.take(0, &[1; 240]);
        receiver.take(240, &[2; 240]);
        receiver.take(480, &[3; 240]);
        receiver.take(720, &[4; 240]);
        assert_eq!(receiver.credit(), Some((512, 512, true)));
    }

    #[test]
    fn a_slow_reader_asks_for_no_crumbs() {
        let mut receiver = receiver();
        receiver.take(0, &[1; 241]);
        receiver.take(241, &[1; 241]);
        assert_eq!(receiver.credit(), Some((482, 512, false)));
        receiver.consume(100);
        assert_eq!(receiver.credit(), None);
        receiver.consume(200);
        assert_eq!(receiver.credit(), Some((482, 812, false)));
    }
}
