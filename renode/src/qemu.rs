//! How QEMU is called. Pure.
//!
//! Nothing of this computer is in a guest's reach but its gateways: there is no semihosting and no shared folder, its network
//! has no way out (`restrict=on`), and each gateway is one address in it behind which QEMU starts `wasmbed connect`.
//!
//! Memory is bounded: a guest has what its board has (24 MiB on MPS2), QEMU keeps at most [`TRANSLATED_MIB`] MiB of translated
//! code, and the kernel gives the process no more than [`MEMORY`] bytes of address space.

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use wasmbed_api::Endpoint;

use crate::machine::{QemuMachine, Region};

/// The most address space one QEMU has, in bytes.
pub const MEMORY: u64 = 1 << 30;
/// The most translated code one QEMU keeps, in MiB.
pub const TRANSLATED_MIB: u32 = 32;
/// Where a guest with a network finds its first gateway; the others follow.
pub const FIRST_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The port of every gateway, as guests with a network see it.
pub const GATEWAY_PORT: u16 = 4433;

/// The flash of a machine whose store lasts, in the device's folder.
pub const FLASH: &str = "flash.bin";
/// The records that are loaded into a machine whose store is volatile, in the device's folder.
pub const RECORDS: &str = "records.bin";
/// The socket of a UART link, in the device's folder.
pub const LINK: &str = "link.sock";

/// What QEMU is to run.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    /// The machine.
    pub machine: QemuMachine,
    /// The firmware, an ELF file.
    pub image: &'a Path,
    /// Where its gateways listen, for a machine with a network.
    pub gateways: &'a [Endpoint],
    /// The program `wasmbed`.
    pub program: &'a Path,
    /// Where records are loaded, for a machine whose store is volatile.
    pub region: Region,
}

/// The address by which a guest with a network reaches its gateway number `index`, from 0.
#[must_use]
pub fn gateway_address(index: u8) -> String {
    let [a, b, c, d] = FIRST_GATEWAY.octets();
    format!("{}:{GATEWAY_PORT}", Ipv4Addr::new(a, b, c, d + index))
}

/// The arguments of `qemu-system-arm`, which is to run in the device's folder. The log is on its standard output.
#[must_use]
pub fn arguments(guest: &Guest<'_>) -> Vec<OsString> {
    let name = guest.machine.name();
    let mut words: Vec<OsString> = [
        // Neither the configuration of this computer nor devices that nobody asked for.
        "-no-user-config",
        "-nodefaults",
        "-display",
        "none",
        "-monitor",
        "none",
        "-accel",
    ]
    .map(OsString::from)
    .into();
    words.push(format!("tcg,tb-size={TRANSLATED_MIB}").into());
    match guest.machine {
        QemuMachine::Mps2An385 | QemuMachine::Mps2An386 | QemuMachine::Mps2An500 => {
            words.extend(["-M".into(), format!("{name},memory-backend=psram").into()]);
            // Shared, so that what the guest writes is in the file.
            words.extend([
                "-object".into(),
                format!("memory-backend-file,id=psram,size=16M,mem-path={FLASH},share=on").into(),
            ]);
            words.extend(["-serial".into(), "stdio".into(), "-nic".into(), network(guest)]);
        }
        QemuMachine::NetduinoPlus2 => {
            words.extend(["-M".into(), name.into(), "-nic".into(), "none".into()]);
            words.extend(["-serial".into(), "stdio".into()]);
            // QEMU connects: whoever started it listens already, so that there is nothing to wait for.
            words.extend(["-chardev".into(), format!("socket,id=link,path={LINK},server=off").into()]);
            words.extend(["-serial".into(), "chardev:link".into()]);
            let records = format!("loader,file={RECORDS},addr={:#x},force-raw=on", guest.region.address);
            words.extend(["-device".into(), records.into()]);
            // Its RAM would keep the used seed over a reset; so a reset ends it, and the next start brings a fresh one.
            words.push("-no-reboot".into());
        }
    }
    words.extend(["-kernel".into(), guest.image.into()]);
    words
}

fn network(guest: &Guest<'_>) -> OsString {
    let mut option = b"user,model=lan9118,restrict=on".to_vec();
    for (index, gateway) in (0..).zip(guest.gateways) {
        option.extend(format!(",guestfwd=tcp:{}-cmd:", gateway_address(index)).bytes());
        let mut command = shell_word(guest.program.as_os_str());
        command.extend(b" connect ");
        command.extend(shell_word(OsStr::new(&gateway.to_string())));
        option.extend(doubled_commas(&command));
    }
    OsString::from_vec(option)
}

/// A word as GLib's shell parser, by which QEMU splits the command, takes it whole.
fn shell_word(word: &OsStr) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:".contains(byte);
    if !word.is_empty() && word.as_bytes().iter().all(is_plain) {
        return word.as_bytes().to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// A value as QEMU's options take it.
fn doubled_commas(value: &[u8]) -> Vec<u8> {
    value.iter().flat_map(|&byte| std::iter::repeat_n(byte, if byte == b',' { 2 } else { 1 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn words(machine: QemuMachine, gateways: &[&str], program: &str) -> Vec<String> {
        let gateways: Vec<Endpoint> = gateways.iter().map(|it| it.parse().expect("an endpoint")).collect();
        let region = Machine::Qemu(machine).region();
        let guest = Guest {
            machine,
            image: Path::new("/f/image.elf"),
            gateways: &gateways,
            program: Path::new(program),
            region,
        };
        arguments(&guest).into_iter().map(|word| word.into_string().expect("it is text")).collect()
    }

    fn after<'a>(words: &'a [String], option: &str) -> Vec<&'a str> {
        let values = words.windows(2).filter(|pair| pair[0] == option);
        values.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn an_mps2_board_has_its_flash_file_its_log_and_its_gateway_and_nothing_else() {
        let words = words(QemuMachine::Mps2An386, &["127.0.0.1:7443"], "/usr/bin/wasmbed");
        let expected = "-no-user-config -nodefaults -display none -monitor none -accel tcg,tb-size=32 \
            -M mps2-an386,memory-backend=psram \
            -object memory-backend-file,id=psram,size=16M,mem-path=flash.bin,share=on -serial stdio \
            -nic user,model=lan9118,restrict=on,guestfwd=tcp:10.0.2.100:4433-cmd:/usr/bin/wasmbed|connect|127.0.0.1:7443 \
            -kernel /f/image.elf";
        // Blanks inside a word are shown as bars.
        assert_eq!(words.iter().map(|word| word.replace(' ', "|")).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn netduinoplus2_has_its_log_its_link_and_its_records_and_ends_with_a_reset() {
        let words = words(QemuMachine::NetduinoPlus2, &["127.0.0.1:7443"], "/usr/bin/wasmbed");
        assert_eq!(after(&words, "-serial"), ["stdio", "chardev:link"], "USART1 is the log, USART2 the link");
        assert_eq!(after(&words, "-chardev"), ["socket,id=link,path=link.sock,server=off"]);
        assert_eq!(after(&words, "-device"), ["loader,file=records.bin,addr=0x2001f000,force-raw=on"]);
        assert_eq!(after(&words, "-nic"), ["none"]);
        assert!(words.contains(&"-no-reboot".to_owned()));
    }

    #[test]
    fn no_guest_reaches_this_computer_or_its_network() {
        for machine in QemuMachine::ALL {
            let words = words(machine, &["g:1"], "/w");
            assert!(!words.iter().any(|word| word.contains("semihosting") || word.contains("hostfwd")), "{words:?}");
            let networks = after(&words, "-nic");
            assert!(networks.iter().all(|network| *network == "none" || network.contains(",restrict=on")), "{words:?}");
            assert_eq!(networks.len(), 1, "without one, QEMU makes a network of its own");
        }
    }

    #[test]
    fn every_gateway_has_an_address_of_its_own() {
        let words = words(QemuMachine::Mps2An500, &["one:1", "[::1]:2"], "/w");
        assert_eq!(
            after(&words, "-nic"),
            ["user,model=lan9118,restrict=on,guestfwd=tcp:10.0.2.100:4433-cmd:/w connect one:1,\
                guestfwd=tcp:10.0.2.101:4433-cmd:/w connect '[::1]:2'"]
        );
        assert_eq!(gateway_address(1), "10.0.2.101:4433");
    }

    #[test]
    fn a_program_in_a_strange_folder_stays_one_word() {
        let words = words(QemuMachine::Mps2An385, &["g:1"], "/a b/it's, here/wasmbed");
        let network = after(&words, "-nic")[0].to_owned();
        assert!(network.ends_with(r"-cmd:'/a b/it'\''s,, here/wasmbed' connect g:1"), "{network}");
    }
}
