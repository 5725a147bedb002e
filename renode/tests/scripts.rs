//! Every script that Renode is given, read by a strict reader of the few commands they use. It knows what the platforms hold
//! (as measured with Renode 1.16), so that a peripheral, a file or a terminal that is not there is seen without Renode.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wasmbed_emulator::machine::RenodeMachine;
use wasmbed_emulator::renode::{self, Network};

/// What a platform of Renode holds, of what a script may name.
fn peripherals(platform: &str) -> Option<&'static [&'static str]> {
    Some(match platform {
        "platforms/boards/arduino_nano_33_ble.repl" | "platforms/boards/nrf52840dk_nrf52840.repl" => {
            &["uart0", "uart1"]
        }
        "platforms/boards/stm32f4_discovery.repl" => &["usart1", "usart2", "usart3", "ethernet"],
        "platforms/boards/stm32f7_discovery-bb.repl" => &["usart1", "usart2", "usart3", "usart6", "ethernet"],
        "platforms/cpus/nxp-k6xf.repl" => &["uart0", "eth"],
        _ => return None,
    })
}

/// The names that a description's `using "..."` lines bring. Anything else in it is an error.
fn platform(text: &str) -> Result<BTreeSet<&'static str>, String> {
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with("//")) {
        let path = line.strip_prefix("using \"").and_then(|rest| rest.strip_suffix('"'));
        let path = path.ok_or_else(|| format!("no `using \"...\"`: {line}"))?;
        names.extend(peripherals(path).ok_or_else(|| format!("Renode has no {path}"))?);
    }
    Ok(names)
}

/// What a script has made so far.
#[derive(Default)]
struct Reader {
    is_created: bool,
    peripherals: BTreeSet<&'static str>,
    has_program: bool,
    /// Names made by `emulation Create...`, and of what sort they are.
    externals: BTreeMap<String, &'static str>,
    connected: BTreeSet<String>,
    is_started: bool,
}

/// Reads a script in a folder that holds `files`; the text of the platform is `description`.
fn read(script: &str, files: &[&str], description: &str) -> Result<Reader, String> {
    let mut reader = Reader::default();
    for (number, line) in script.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        reader.command(line, files, description).map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    if reader.is_started { Ok(reader) } else { Err("it never starts".to_owned()) }
}

impl Reader {
    fn command(&mut self, line: &str, files: &[&str], description: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        let file = |word: &str| {
            let name = word.strip_prefix('@').ok_or("a path begins with @")?;
            files.contains(&name).then_some(()).ok_or(format!("there is no file {name}"))
        };
        if self.is_started {
            return Err("nothing follows start".to_owned());
        }
        if !self.is_created && words[0] != "mach" {
            return Err("there is no machine yet".to_owned());
        }
        match words[..] {
            ["mach", "create", name] => {
                text(name)?;
                self.is_created = true;
            }
            ["machine", "LoadPlatformDescription", path] => {
                file(path)?;
                self.peripherals = platform(description)?;
            }
            ["sysbus", "LoadELF", path] => {
                file(path)?;
                self.has_program = true;
            }
            ["sysbus", "LoadBinary", path, address] => {
                file(path)?;
                let digits = address.strip_prefix("0x").ok_or("an address is hexadecimal")?;
                u32::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
            }
            ["emulation", "CreateUartPtyTerminal", name, path, "true"] => {
                text(path)?;
                self.make(name, "terminal")?;
            }
            ["emulation", "CreateSwitch", name] => self.make(name, "switch")?,
            ["emulation", "CreateTap", interface, name] => {
                if text(interface)?.len() > 15 {
                    return Err("an interface's name has at most 15 bytes".to_owned());
                }
                self.make(name, "tap")?;
            }
            ["connector", "Connect", what, to] => self.connect(what, to)?,
            ["host.tap", "Start"] if self.connected.contains("host.tap") => {}
            ["start"] if self.has_program => self.is_started = true,
            [of, "CreateFileBackend", path, "true"] => {
                self.is_uart(of)?;
                path.strip_prefix('@').ok_or("a path begins with @")?;
            }
            _ => return Err("no such command, or not now".to_owned()),
        }
        Ok(())
    }

    fn make(&mut self, name: &str, sort: &'static str) -> Result<(), String> {
        let name = text(name)?;
        match self.externals.insert(name.to_owned(), sort) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is there already")),
        }
    }

    fn connect(&mut self, what: &str, to: &str) -> Result<(), String> {
        let end = self.externals.get(to).ok_or_else(|| format!("{to} was not made"))?;
        match (what.strip_prefix("host."), *end) {
            (Some(host), "switch") if self.externals.get(host) == Some(&"tap") => {}
            (None, "switch") => {
                let name = self.peripheral(what)?;
                name.starts_with("eth").then_some(()).ok_or("only Ethernet goes to a switch")?;
            }
            (None, "terminal") => self.is_uart(what)?,
            _ => return Err(format!("{what} cannot be connected to a {end}")),
        }
        self.connected.insert(what.to_owned());
        Ok(())
    }

    fn peripheral<'a>(&self, word: &'a str) -> Result<&'a str, String> {
        let name = word.strip_prefix("sysbus.").ok_or("a peripheral lies on the sysbus")?;
        self.peripherals.contains(name).then_some(name).ok_or_else(|| format!("the platform has no {name}"))
    }

    fn is_uart(&self, word: &str) -> Result<(), String> {
        let name = self.peripheral(word)?;
        name.contains("art").then_some(()).ok_or_else(|| format!("{name} is no UART"))
    }
}

fn text(word: &str) -> Result<&str, String> {
    let inner = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.is_empty() && !inner.contains('"')).ok_or_else(|| format!("{word} is no text"))
}

/// The files that the emulator puts into a device's folder before it starts Renode.
const FILES: [&str; 4] = [renode::PLATFORM, renode::IMAGE, renode::RECORDS, renode::SCRIPT];

#[test]
fn every_script_is_one_that_renode_takes() {
    for machine in RenodeMachine::ALL {
        let reader = read(&renode::script(machine), &FILES, machine.platform())
            .unwrap_or_else(|why| panic!("{}: {why}", machine.name()));
        let (Network::Link(peripheral) | Network::Ethernet(peripheral)) = machine.network();
        assert!(reader.connected.contains(&format!("sysbus.{peripheral}")), "{} reaches nothing", machine.name());
    }
}

#[test]
fn a_board_without_a_network_logs_over_its_link_and_the_others_on_a_uart() {
    for machine in RenodeMachine::ALL {
        let has_link = matches!(machine.network(), Network::Link(_));
        assert_eq!(machine.log().is_none(), has_link, "{}", machine.name());
        assert_eq!(renode::script(machine).contains("CreateFileBackend"), !has_link, "{}", machine.name());
    }
}

#[test]
fn the_scripts_that_people_read_are_those_that_run() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for machine in RenodeMachine::ALL {
        let path = folder.join(format!("{}.resc", machine.name()));
        let script = renode::script(machine);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &script).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, script, "{}: run the test with UPDATE=1 and look at what changed", path.display());
    }
    for (folder, extension) in [("scripts", "resc"), ("platforms", "repl")] {
        let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let names: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let machines = RenodeMachine::ALL.map(|machine| format!("{}.{extension}", machine.name()));
        assert_eq!(names, BTreeSet::from(machines), "{folder} holds each machine's file and nothing else");
    }
}

#[test]
fn the_reader_refuses_what_renode_would() {
    let machine = RenodeMachine::Nrf52840Dk;
    let good = renode::script(machine);
    let bad = [
        (
            "machine LoadPlatformDescription @platform.repl",
            "machine LoadPlatformDescription @other.repl",
            "no file other",
        ),
        ("sysbus.uart0", "sysbus.uart7", "the platform has no uart7"),
        ("sysbus.uart0", "uart0", "a peripheral lies on the sysbus"),
        ("connector Connect sysbus.uart0 link", "connector Connect sysbus.uart0 line", "line was not made"),
        ("mach create \"device\"\n", "", "no machine yet"),
        ("sysbus LoadELF @firmware.elf\n", "", "not now: start"),
        ("\nstart", "\nstart\nstart", "nothing follows start"),
        ("\nstart\n", "\n", "never starts"),
        ("\"link\"", "link", "link is no text"),
        ("0x", "", "an address is hexadecimal"),
        ("LoadELF", "LoadElf", "no such command"),
    ];
    for (from, to, why) in bad {
        assert!(good.contains(from), "{from}");
        let said = read(&good.replace(from, to), &FILES, machine.platform()).err().unwrap_or_default();
        assert!(said.contains(why), "{from} -> {to}: {said}");
    }
    let said = read(&good, &FILES, "using \"platforms/boards/nowhere.repl\"\n").err().unwrap_or_default();
    assert!(said.contains("Renode has no platforms/boards/nowhere.repl"), "{said}");
}
