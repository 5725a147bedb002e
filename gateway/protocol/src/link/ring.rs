//! Bytes in the order they came, in a fixed place.

#[derive(Debug)]
pub(super) struct Ring<const N: usize> {
    bytes: [u8; N],
    start: usize,
    length: usize,
}

impl<const N: usize> Ring<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], start: 0, length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn free(&self) -> usize {
        N - self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.length = 0;
    }

    /// Appends what fits; gives how much.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.free());
        let (bytes, _) = bytes.split_at(count);
        let at = self.place(self.length);
        let (first, second) = bytes.split_at(count.min(N - at));
        self.bytes[at..at + first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.length += count;
        count
    }

    /// The bytes at the front, as many as stand in one piece: none only if there are none.
    pub(super) fn front(&self) -> &[u8] {
        &self.bytes[self.start..(self.start + self.length).min(N)]
    }

    /// Copies bytes from `offset` behind the front; gives how many.
    pub(super) fn copy(&self, offset: usize, out: &mut [u8]) -> usize {
        let count = out.len().min(self.length.saturating_sub(offset));
        let at = self.place(offset);
        let (first, second) = out[..count].split_at_mut(count.min(N - at));
        first.copy_from_slice(&self.bytes[at..at + first.len()]);
        second.copy_from_slice(&self.bytes[..second.len()]);
        count
    }

    /// Drops so many bytes off the front, or all.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.length);
        self.start = self.place(count);
        self.length -= count;
    }

    /// Where the byte so far behind the front stands. `offset` is at most `N`.
    fn place(&self, offset: usize) -> usize {
        let at = self.start + offset;
        if at >= N { at - N } else { at }
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn bytes_go_round_in_order() {
        let mut ring = Ring::<5>::new();
        let mut next = 0;
        let mut expected = 0;
        for step in 0..100u8 {
            let more: Vec<u8> = (0..step % 7).map(|i| next + i).collect();
            next += ring.push(&more) as u8;
            let mut copied = [0; 5];
            let count = ring.copy(1, &mut copied);
            assert_eq!(count, ring.len().saturating_sub(1));
            assert!(copied[..count].iter().zip(expected + 1..).all(|(&byte, is)| byte == is));
            let front = ring.front().len().min(usize::from(step % 4));
            assert!(ring.front().iter().zip(expected..).all(|(&byte, is)| byte == is));
            ring.consume(front);
            expected += front as u8;
        }
        assert!(expected > 50);
    }
}
