//! A look at a module's sections before WAMR's loader sees it: what it would run at once, or take very long for.

const HEADER: usize = 8;
const TYPE: u8 = 1;
const EXPORT: u8 = 7;
const START: u8 = 8;

/// WAMR compares each type and each export with every other; at this many that takes milliseconds, and linked programs have a
/// hundredth.
const MOST: usize = 4096;

/// Why not to load the module, if so. What is malformed passes here, and the loader refuses it.
pub(crate) fn refusal(module: &[u8]) -> Option<&'static str> {
    let mut rest = module.get(HEADER..).unwrap_or_default();
    while let [id, after_id @ ..] = rest {
        let (size, content) = leb128(after_id)?;
        let entries = leb128(content).map_or(0, |(entries, _)| entries);
        match *id {
            START => {
                return Some("it has a start section, which would run outside of its limits: export `_start` instead");
            }
            TYPE if entries > MOST => return Some("it has more than 4096 types"),
            EXPORT if entries > MOST => return Some("it has more than 4096 exports"),
            _ => {}
        }
        rest = content.get(size..)?;
    }
    None
}

/// An unsigned 32-bit LEB128 number and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}
