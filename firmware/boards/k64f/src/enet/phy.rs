//! The PHY behind the controller, by the registers that every PHY has.

use embassy_time::Instant;

use super::registers as reg;
use super::{Bus, LINK, PATIENCE};

/// The board straps its KSZ8081 to this address.
const ADDRESS: u32 = 0;
const STATUS: u32 = 1;
const IDENTIFIER: u32 = 2;
const OWN_ABILITIES: u32 = 4;
const PARTNER_ABILITIES: u32 = 5;
const LINK_UP: u16 = 1 << 2;
const FULL_100: u16 = 1 << 8;
const HALF_100: u16 = 1 << 7;
const FULL_10: u16 = 1 << 6;
const HALF_10: u16 = 1 << 5;

/// How both ends of a cable agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) is_10_mbit: bool,
    pub(super) is_full_duplex: bool,
}

impl Link {
    /// The best that both can; a partner that did not say is taken for the usual one.
    fn of(own: u16, partner: u16) -> Self {
        let common = own & partner & (FULL_100 | HALF_100 | FULL_10 | HALF_10);
        let best = [FULL_100, HALF_100, FULL_10, HALF_10].into_iter().find(|ability| common & ability != 0);
        match best {
            None | Some(FULL_100) => Self { is_10_mbit: false, is_full_duplex: true },
            Some(HALF_100) => Self { is_10_mbit: false, is_full_duplex: false },
            Some(ability) => Self { is_10_mbit: true, is_full_duplex: ability == FULL_10 },
        }
    }
}

pub(super) struct Phy {
    is_up: bool,
    link: Link,
    next_look: Instant,
}

impl Phy {
    /// Looks for the PHY.
    pub(super) fn start(bus: &impl Bus) -> Option<Self> {
        let identifier = read(bus, IDENTIFIER)?;
        let link = Link { is_10_mbit: false, is_full_duplex: true };
        // All ones are the bus without anybody on it.
        (identifier != u16::MAX).then_some(Self { is_up: false, link, next_look: Instant::MIN })
    }

    pub(super) fn link(&self) -> Link {
        self.link
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Asks, if it is time again. How the ends speak now, if that changed.
    pub(super) fn poll(&mut self, bus: &impl Bus) -> Option<Link> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LINK;
        let was_up = core::mem::replace(&mut self.is_up, read(bus, STATUS)? & LINK_UP != 0);
        if !self.is_up || was_up {
            return None;
        }
        let link = Link::of(read(bus, OWN_ABILITIES)?, read(bus, PARTNER_ABILITIES)?);
        let is_other = link != self.link;
        self.link = link;
        is_other.then_some(link)
    }
}

/// Reads a register of the PHY, in 26 µs.
fn read(bus: &impl Bus, register: u32) -> Option<u16> {
    bus.write(reg::INTERRUPTS, reg::MII_DONE);
    bus.write(reg::MII_FRAME, 0b01 << 30 | 0b10 << 28 | ADDRESS << 23 | register << 18 | 0b10 << 16);
    let done = (0..PATIENCE).any(|_| bus.read(reg::INTERRUPTS) & reg::MII_DONE != 0);
    bus.write(reg::INTERRUPTS, reg::MII_DONE);
    done.then(|| bus.read(reg::MII_FRAME) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_speak_as_fast_as_both_can() {
        let all = FULL_100 | HALF_100 | FULL_10 | HALF_10;
        let link = |is_10_mbit, is_full_duplex| Link { is_10_mbit, is_full_duplex };
        assert_eq!(Link::of(all, all), link(false, true));
        assert_eq!(Link::of(all, HALF_100 | FULL_10), link(false, false));
        assert_eq!(Link::of(FULL_10 | HALF_10, all), link(true, true));
        assert_eq!(Link::of(all, HALF_10), link(true, false));
        assert_eq!(Link::of(all, 1), link(false, true), "a partner that says nothing is taken for the usual one");
    }
}
