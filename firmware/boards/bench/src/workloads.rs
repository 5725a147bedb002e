//! The three workloads: compiled for the device itself, and as WebAssembly.

/// Side of the square matrices.
const SIDE: usize = 20;

/// A mix of matrices, a list, a state machine and a checksum, in the manner of CoreMark, so many times.
#[allow(dead_code, reason = "each application uses one")]
pub(crate) fn mix(turns: u32) -> u32 {
    let mut left = [[0_i16; SIDE]; SIDE];
    let mut right = [[0_i16; SIDE]; SIDE];
    let mut list = [0_u16; 64];
    let mut crc = 0_u16;
    for turn in 0..turns {
        for (i, (a, b)) in left.iter_mut().flatten().zip(right.iter_mut().flatten()).enumerate() {
            *a = (i as i16).wrapping_mul(3).wrapping_add(turn as i16);
            *b = (i as i16).wrapping_mul(7).wrapping_sub(turn as i16);
        }
        for row in &left {
            for column in 0..SIDE {
                let sum = row
                    .iter()
                    .zip(&right)
                    .fold(0_i32, |sum, (a, b)| sum.wrapping_add(i32::from(*a).wrapping_mul(i32::from(b[column]))));
                crc = checksum(crc, sum as u16);
            }
        }
        for (i, place) in list.iter_mut().enumerate() {
            *place = (i as u16).wrapping_mul(40503).wrapping_add(crc);
        }
        sort(&mut list);
        crc = list.iter().fold(crc, |crc, value| checksum(crc, *value));
        crc = checksum(crc, machine(b"5012,-1.5e+3,0x1f,T0.3e-2,.,+7,-,12.0,1e9,abc,", turn));
    }
    u32::from(crc)
}

fn checksum(mut crc: u16, value: u16) -> u16 {
    crc ^= value;
    for _ in 0..16 {
        crc = if crc & 1 != 0 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
    }
    crc
}

fn sort(list: &mut [u16]) {
    for i in 1..list.len() {
        let value = list[i];
        let mut j = i;
        while j > 0 && list[j - 1] > value {
            list[j] = list[j - 1];
            j -= 1;
        }
        list[j] = value;
    }
}

#[derive(Clone, Copy)]
enum State {
    Start,
    Sign,
    Digits,
    Fraction,
    Exponent,
    Invalid,
}

fn machine(text: &[u8], turn: u32) -> u16 {
    let mut state = State::Start;
    let mut counts = [0_u16; 6];
    for byte in text {
        let byte = byte ^ (turn as u8 & 1);
        state = match (state, byte) {
            (_, b',') => State::Start,
            (State::Start, b'+' | b'-') => State::Sign,
            (State::Start | State::Sign | State::Digits, b'0'..=b'9') => State::Digits,
            (State::Start | State::Sign | State::Digits, b'.') => State::Fraction,
            (State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Digits | State::Fraction, b'e' | b'E') => State::Exponent,
            (State::Exponent, b'+' | b'-' | b'0'..=b'9') => State::Exponent,
            _ => State::Invalid,
        };
        counts[state as usize] += 1;
    }
    counts.iter().fold(0, |sum, count| sum * 7 + count)
}

/// The Fibonacci number, by recursion.
#[allow(dead_code, reason = "each application uses one")]
#[inline(never)]
pub(crate) fn fib(n: u32) -> u32 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Reads a sensor so many times, and keeps a mean and the extremes.
#[allow(dead_code, reason = "each application uses one")]
pub(crate) fn sensor(calls: u32, mut read: impl FnMut() -> i32) -> u32 {
    let (mut mean, mut low, mut high) = (0_i32, i32::MAX, i32::MIN);
    for _ in 0..calls {
        let value = read();
        mean += ((value << 8) - mean) >> 4;
        low = low.min(value);
        high = high.max(value);
    }
    (mean ^ low << 16 ^ high << 20) as u32
}
