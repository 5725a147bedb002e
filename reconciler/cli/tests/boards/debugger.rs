//! As much of GDB's remote protocol as it takes to break a guest of QEMU.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::lines::DEADLINE;

/// A debugger that is attached.
pub struct Debugger(BufReader<UnixStream>);

impl Debugger {
    /// Attaches, which stops the guest.
    pub fn attach(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut debugger = Self(BufReader::new(stream));
        debugger.ask("?");
        debugger
    }

    /// Replaces what the guest executes next, and lets it go on. (At a reset QEMU loads the image again, as it was.)
    pub fn break_next_instruction(&mut self, code: [u8; 4]) {
        let registers = self.ask("g");
        let pc = registers.get(15 * 8..16 * 8).unwrap_or_else(|| panic!("the registers of an ARM core: {registers}"));
        let pc = u32::from_str_radix(pc, 16).unwrap().swap_bytes();
        let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(self.ask(&format!("M{pc:x},4:{code}")), "OK");
        assert_eq!(self.ask("D"), "OK");
    }

    fn ask(&mut self, request: &str) -> String {
        let sum = request.bytes().fold(0_u8, u8::wrapping_add);
        self.0.get_mut().write_all(format!("${request}#{sum:02x}").as_bytes()).unwrap();
        loop {
            let mut packet = Vec::new();
            self.0.read_until(b'#', &mut packet).unwrap();
            let mut sum = [0; 2];
            self.0.read_exact(&mut sum).unwrap();
            self.0.get_mut().write_all(b"+").unwrap();
            let packet = String::from_utf8(packet).unwrap();
            let body = packet.trim_start_matches('+').trim_start_matches('$').trim_end_matches('#');
            // That it stopped is said without being asked, too.
            if request == "?" || !body.starts_with('T') {
                return body.to_owned();
            }
        }
    }
}
