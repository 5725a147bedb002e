//! How fast a board gets a module from its gateway.

use serde_json::Value;

use super::figure::Figure;
use super::repository::Repository;
use super::running::Up;

/// Bytes of data in the module.
const DATA: usize = 400_000;
/// Bytes of a page of linear memory.
const PAGE: usize = 65_536;

/// Has `board`, an AN386 that is in session, run a large module.
pub fn measure(up: &Up, repository: &Repository, board: &str) -> Figure {
    let mut lines = up.logs(board);
    let module = module();
    repository.write(
        "large.yaml",
        &format!(
            "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata: {{name: large}}\nspec:\n  wasmBytes: {}\n  \
             targetDevices: [{board}]\n  config: {{memoryLimit: 1Mi}}\n",
            base64(&module)
        ),
    );
    repository.push("A large module");
    let mut at = |phase: &str| {
        lines.out.next(&format!("the module is {phase}"), |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["phase"] == phase).then(|| event["timeMs"].as_f64()).flatten()
        })
    };
    let (begun, done) = (at("Fetching"), at("Starting"));
    let how = format!(
        "a module of {} bytes, from a real gateway over TLS into the flash of an AN386 in QEMU: from its phase Fetching to Starting, \
         {} ms by the gateway's clock",
        module.len(),
        done - begun
    );
    // Larger is better: no goal here, where smaller ones are kept.
    Figure::new("download_bytes_per_s", module.len() as f64 * 1_000.0 / (done - begun), "B/s", None, how)
}

/// A module with much data, which cannot be compressed, and nothing to do.
fn module() -> Vec<u8> {
    let mut random = 1_u32;
    let data = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    });
    let data: Vec<u8> = data.take(DATA).collect();
    let pages = number(DATA.div_ceil(PAGE));
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, parts: &[&[u8]]| {
        module.push(id);
        module.extend(number(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| module.extend_from_slice(part));
    };
    // A function without parameters and results, which is empty; a memory that does not grow; both exported.
    section(1, &[b"\x01\x60\0\0"]);
    section(3, &[b"\x01\0"]);
    section(5, &[b"\x01\x01", &pages, &pages]);
    section(7, &[b"\x02\x06memory\x02\0\x06_start\0\0"]);
    section(10, &[b"\x01\x02\0\x0b"]);
    section(11, &[b"\x01\0\x41\0\x0b", &number(DATA), &data]);
    module
}

/// A number as WebAssembly has it: LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
