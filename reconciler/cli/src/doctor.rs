//! `wasmbed doctor`.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

use anyhow::Result;
use serde::Serialize;
use wasmbed_emulator::backends::{Backends, firmware_folders};
use wasmbed_emulator::machine::Machine;

use crate::arguments::{FirmwareArguments, Output};
use crate::print;

/// Something this machine has or lacks.
struct Check {
    name: &'static str,
    /// The command that shows it is there and works; its first line of output is shown.
    command: &'static [&'static str],
    /// What its output must hold, beyond success.
    holds: &'static [&'static str],
    /// What is lost without it; nothing works without it if `needed`.
    without: &'static str,
    install: &'static str,
    needed: bool,
}

const TOOLCHAIN: &str = "1.95.0";

/// Compiles a line, because a compiler may be there without what it needs; then says what it is.
const C_COMPILER: &str = "printf '#include <stdio.h>\\nint main(void) { return puts(\"\") < 0; }\\n' | cc -x c -o /dev/null - && cc --version";

const CHECKS: [Check; 12] = [
    Check {
        name: "git",
        command: &["git", "--version"],
        holds: &[],
        without: "no example fleet, no `wasmbed enroll`, no repository over ssh",
        install: "apt-get install git",
        needed: true,
    },
    Check {
        name: "C compiler",
        command: &["sh", "-c", C_COMPILER],
        holds: &[],
        without: "Wasmbed itself cannot be built, nor an application with a build script or a procedural macro",
        install: "apt-get install gcc libc6-dev",
        needed: false,
    },
    Check {
        name: "Rust toolchain",
        command: &["rustup", "run", TOOLCHAIN, "rustc", "--version"],
        holds: &[],
        without: "no application is built from source; modules that are there run on",
        install: "rustup toolchain install 1.95.0",
        needed: true,
    },
    Check {
        name: "Rust library sources",
        command: &["rustup", "component", "list", "--installed", "--toolchain", TOOLCHAIN],
        holds: &["rust-src"],
        without: "no application and no firmware is built from source",
        install: "rustup component add rust-src --toolchain 1.95.0",
        needed: true,
    },
    Check {
        name: "target wasm32-wasip1",
        command: &["rustup", "target", "list", "--installed", "--toolchain", TOOLCHAIN],
        holds: &["wasm32-wasip1"],
        without: "no application with `target: wasm32-wasip1` is built",
        install: "rustup target add wasm32-wasip1 --toolchain 1.95.0",
        needed: false,
    },
    Check {
        name: "bubblewrap",
        command: &[
            "bwrap",
            "--unshare-all",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "/usr/bin/env",
            "echo",
            "a sandbox starts",
        ],
        holds: &[],
        without: "no application is built from source: builds run only in a sandbox",
        install: "apt-get install bubblewrap; where it is there and does not work, this user may make no user namespaces: \
                  see docs/getting-started.md, \"If no sandbox starts\"",
        needed: true,
    },
    Check {
        name: "wasm-opt",
        command: &["wasm-opt", "--version"],
        holds: &[],
        without: "no application is built from source: modules are optimised for size by it",
        install: "apt-get install binaryen",
        needed: true,
    },
    Check {
        name: "kubectl",
        command: &["kubectl", "version", "--client"],
        holds: &[],
        without: "no `kubectl get`; `wasmbed status` shows the same",
        install: "see https://kubernetes.io/docs/tasks/tools/",
        needed: false,
    },
    Check {
        name: "QEMU",
        command: &["qemu-system-arm", "--version"],
        holds: &[],
        without: "no devices of backend qemu (Mps2An385, Mps2An386, Mps2An500, Stm32F4Disco); those of backend host run",
        install: "apt-get install qemu-system-arm",
        needed: false,
    },
    Check {
        name: "gcc-arm-none-eabi",
        // A compiler without the C library's parts compiles no firmware.
        command: &[
            "sh",
            "-c",
            "test \"$(arm-none-eabi-gcc -print-file-name=libc.a)\" != libc.a && arm-none-eabi-gcc --version",
        ],
        holds: &[],
        without: "no firmware is built: the WebAssembly runtime in it is C; images that are there run",
        install: "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        needed: false,
    },
    Check {
        name: "targets thumbv7*",
        command: &["rustup", "target", "list", "--installed", "--toolchain", TOOLCHAIN],
        holds: &["thumbv7m-none-eabi", "thumbv7em-none-eabihf"],
        without: "no firmware is built; images that are there run",
        install: "rustup target add thumbv7m-none-eabi thumbv7em-none-eabihf --toolchain 1.95.0",
        needed: false,
    },
    Check {
        name: "Renode",
        command: &["renode", "--version"],
        holds: &[],
        without: "no devices of backend renode (Stm32F746gDisco, FrdmK64f, Nrf52840DK and others); those of backend host run",
        install: "see https://renode.io",
        needed: false,
    },
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    name: &'static str,
    present: bool,
    needed: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<&'static str>,
}

/// Says what is there, what is missing, and what each missing thing costs. Fails if something needed is missing.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn run(firmware: &FirmwareArguments, output: Output) -> Result<ExitCode> {
    let folders = match std::env::current_exe() {
        Ok(program) => firmware_folders(firmware.firmware.as_deref(), &program),
        Err(_) => Vec::new(),
    };
    let images = images(&Backends::find(&folders));
    let findings: Vec<Finding> = CHECKS.iter().map(look).chain([images]).collect();
    match output {
        Output::Json => print::json(&findings)?,
        Output::Text => {
            for finding in &findings {
                let mark = if finding.present { "ok     " } else { "missing" };
                print::line(format_args!("{mark} {:22} {}", finding.name, finding.found))?;
                if let (Some(without), Some(install)) = (finding.without, finding.install) {
                    print::line(format_args!("        without it: {without}"))?;
                    print::line(format_args!("        to install: {install}"))?;
                }
            }
        }
    }
    let lacking = findings.iter().any(|finding| finding.needed && !finding.present);
    Ok(if lacking { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Which boards have a firmware image. Those in the emulators that are here are what counts.
fn images(backends: &Backends) -> Finding {
    let boards: BTreeSet<&str> = Machine::all().map(Machine::image).collect();
    let (there, lacking): (Vec<&str>, Vec<&str>) =
        boards.into_iter().partition(|board| backends.images.contains_key(board));
    let folders: Vec<String> = backends.looked_in.iter().map(|folder| folder.display().to_string()).collect();
    let found = match (there.is_empty(), lacking.is_empty()) {
        (true, _) => format!("none in {}", folders.join(" or ")),
        (false, true) => format!("all: {}", there.join(", ")),
        (false, false) => format!("{}; not {}", there.join(", "), lacking.join(", ")),
    };
    let present = lacking.is_empty();
    Finding {
        name: "firmware images",
        present,
        needed: false,
        found,
        without: (!present).then_some("the boards without an image are not emulated; devices of backend host run"),
        install: (!present).then_some("make firmware"),
    }
}

fn look(check: &Check) -> Finding {
    let found = match Command::new(check.command[0]).args(&check.command[1..]).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let first = text.lines().next().unwrap_or_default().trim();
            let line_of = |wanted: &&str| text.lines().find(|line| line.starts_with(wanted)).map(str::trim);
            let lines: Option<Vec<&str>> = match check.holds {
                [] => Some(vec![first]),
                wanted => wanted.iter().map(line_of).collect(),
            };
            lines.map(|lines| lines.join(", ")).ok_or_else(|| "not installed".to_owned())
        }
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("does not work: {}", error.lines().next().unwrap_or("it says nothing").trim()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("not found".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let present = found.is_ok();
    Finding {
        name: check.name,
        present,
        needed: check.needed,
        found: found.unwrap_or_else(|reason| reason),
        without: (!present).then_some(check.without),
        install: (!present).then_some(check.install),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_what_it_costs_and_how_to_install_it() {
        let check = Check {
            name: "nothing",
            command: &["a-program-that-nobody-has"],
            holds: &[],
            without: "nothing is lost",
            install: "no need to",
            needed: false,
        };
        let finding = look(&check);
        assert!(!finding.present);
        assert_eq!((finding.found.as_str(), finding.without), ("not found", Some("nothing is lost")));
    }

    #[test]
    fn boards_without_an_image_are_named_with_where_it_was_looked_for() {
        let mut backends = Backends { looked_in: vec!["/f".into()], ..Backends::default() };
        let finding = images(&backends);
        assert_eq!((finding.present, finding.found.as_str()), (false, "none in /f"));
        let image = wasmbed_emulator::backends::Image { path: "/f/mps2-an386.elf".into(), written: None };
        backends.images.insert("mps2-an386", image.clone());
        assert!(images(&backends).found.starts_with("mps2-an386; not frdm-k64f, mps2-an385, "));
        backends.images = Machine::all().map(|machine| (machine.image(), image.clone())).collect();
        let finding = images(&backends);
        assert!(finding.present && finding.without.is_none(), "{}", finding.found);
    }

    #[test]
    fn the_toolchain_is_the_pinned_one() {
        let pinned = include_str!("../../../rust-toolchain.toml");
        assert!(pinned.contains(&format!("channel = \"{TOOLCHAIN}\"")));
    }
}
