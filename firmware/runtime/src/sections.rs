//! A look at a module's sections before WAMR's loader sees it.

const HEADER: usize = 8;
const START: u8 = 8;

/// Whether the module has a start section. What is malformed has none here; the loader refuses it.
pub(crate) fn has_start(module: &[u8]) -> bool {
    let mut rest = module.get(HEADER..).unwrap_or_default();
    while let [id, after_id @ ..] = rest {
        if *id == START {
            return true;
        }
        let Some((size, content)) = leb128(after_id) else {
            return false;
        };
        let Some(next) = content.get(size..) else {
            return false;
        };
        rest = next;
    }
    false
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
