//! What a board computes from its reset to its session with a real gateway: QEMU counts the instructions, in which waiting has
//! no part.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasmbed_emulator::flash::{FlashFile, MPS2};

use super::figure::{Figure, median};
use super::repository::Repository;
use super::running::Up;
use super::{CannotRun, download, firmware, processes, progress};

/// Boards that QEMU plays with a network, by their `mcuType`.
const BOARDS: [(&str, &str); 3] =
    [("mps2-an385", "Mps2An385"), ("mps2-an386", "Mps2An386"), ("mps2-an500", "Mps2An500")];
/// Downloads a large module; not measured afterwards, as it looks through what it holds at every start.
const DOWNLOADS: (&str, &str) = ("downloader", "Mps2An386");
/// Starts of each that are measured.
const STARTS: usize = 3;
/// Far beyond what anything here takes.
const LONGEST: Duration = Duration::from_secs(120);
/// Where these boards have their RAM, and how much of it.
const RAM: (u64, u64) = (0x2000_0000, 4 << 20);

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    firmware::needs_qemu()?;
    let images = firmware::images()?;
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path());
    declare(&repository, true);
    repository.push("Boards");
    let mut up = Up::start_with(&folder.path().join("state"), |command| {
        command.arg("--repo").arg(&repository.bare).arg("--firmware").arg(&images);
    });
    up.wait_until_ready();
    let boards: Vec<Qemu> = BOARDS.iter().map(|(board, _)| Qemu::of(up.process.id(), board)).collect();
    // Each has its keys and its name from a gateway by then.
    for (board, _) in BOARDS.iter().chain([&DOWNLOADS]) {
        wait(&format!("{board} is in session"), || up.of("devices", board)["status"]["phase"] == "Connected");
    }
    let mut figures = vec![download::measure(&up, &repository, DOWNLOADS.0)];
    // From here on they are started here, with their flash and their gateway as they are.
    declare(&repository, false);
    std::fs::remove_file(repository.copy.join("large.yaml")).unwrap();
    repository.push("Switched off");
    for ((board, _), qemu) in BOARDS.iter().zip(&boards) {
        wait(&format!("{board} is switched off"), || FlashFile::open(&qemu.folder.join("flash.bin"), MPS2).is_ok());
        figures.extend(measured(board, qemu, &images.join(format!("{board}.elf"))));
    }
    assert!(up.process.interrupt(), "`wasmbed up` ends well");
    Ok(figures)
}

fn declare(repository: &Repository, running: bool) {
    let mut text = "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata: {name: gateway-1}\nspec: {}\n".to_owned();
    for (board, kind) in BOARDS.iter().chain([&DOWNLOADS]) {
        text += &format!(
            "---\napiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {board}}}\nspec:\n  mcuType: {kind}\n  \
             gatewayId: gateway-1\n  emulation: {{backend: qemu, running: {running}}}\n"
        );
    }
    repository.write("fleet.yaml", &text);
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONGEST;
    while !is_so() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How `wasmbed up` called QEMU.
struct Qemu {
    words: Vec<OsString>,
    folder: PathBuf,
}

impl Qemu {
    /// That of `board`, once it runs.
    fn of(up: u32, board: &str) -> Self {
        let mut found = None;
        wait(&format!("QEMU plays {board}"), || {
            found = processes::tree(up).into_iter().find_map(|id| Self::read(id, board));
            found.is_some()
        });
        found.unwrap()
    }

    fn read(id: u32, board: &str) -> Option<Self> {
        let folder = std::fs::read_link(format!("/proc/{id}/cwd")).ok()?;
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let words: Vec<OsString> =
            line.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
        let words = words.strip_suffix(&[OsString::new()])?.to_vec();
        let is_qemu = Path::new(words.first()?).file_name() == Some(OsStr::new("qemu-system-arm"));
        (is_qemu && folder.file_name() == Some(OsStr::new(board))).then_some(Self { words, folder })
    }

    /// Starts it anew from its flash, and says how many instructions it took until it was in session, and how much of its
    /// stack had been written to by then.
    fn start(&self, stack: (u64, u64)) -> (u64, u64) {
        FlashFile::open(&self.folder.join("flash.bin"), MPS2).unwrap().reseed().unwrap();
        let control = self.folder.join("control");
        let _ = std::fs::remove_file(&control);
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args(["-icount", "shift=0", "-qmp"]);
        command.arg(format!("unix:{},server=on,wait=off", control.display()));
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut qemu = Killed(command.spawn().unwrap());
        let lines = BufReader::new(qemu.0.stdout.take().unwrap()).lines();
        let said = |line: &std::io::Result<String>| line.as_ref().unwrap().contains("in session as");
        assert!(lines.into_iter().any(|line| said(&line)), "it gets into session");
        let mut control = Control::connect(&control);
        control.ask("stop", &json!({}));
        let instructions = control.ask("query-replay", &json!({}))["icount"].as_u64().unwrap();
        let memory = self.folder.join("memory");
        control.ask("pmemsave", &json!({"val": RAM.0, "size": RAM.1, "filename": memory}));
        let memory = std::fs::read(memory).unwrap();
        // QEMU's memory is zero where nobody wrote.
        let stack = &memory[(stack.0 - RAM.0) as usize..(stack.1 - RAM.0) as usize];
        let unused = stack.iter().take_while(|byte| **byte == 0).count();
        (instructions, (stack.len() - unused) as u64)
    }
}

/// A process that ends with this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// QEMU's socket for orders.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(path: &Path) -> Self {
        let mut this = Self(BufReader::new(UnixStream::connect(path).unwrap()));
        this.0.read_line(&mut String::new()).unwrap();
        this.ask("qmp_capabilities", &json!({}));
        this
    }

    fn ask(&mut self, order: &str, arguments: &Value) -> Value {
        let order = json!({"execute": order, "arguments": arguments});
        self.0.get_mut().write_all(order.to_string().as_bytes()).unwrap();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "QEMU ended at {order}");
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{order}: {answer}");
            if let Some(answer) = answer.get("return") {
                return answer.clone();
            }
        }
    }
}

fn measured(board: &str, qemu: &Qemu, image: &Path) -> Vec<Figure> {
    let stack = firmware::stack(image);
    let mut instructions = Vec::new();
    let mut used = 0;
    for start in 1..=STARTS {
        progress(&format!("{board}: start {start} of {STARTS}"));
        let (count, stack) = qemu.start(stack);
        instructions.push(count as f64 / 1e6);
        used = used.max(stack);
    }
    let each: Vec<String> = instructions.iter().map(|count| format!("{count:.2}")).collect();
    let how = format!(
        "millions of instructions from reset to the line that says it is in session at a real gateway, with DHCP and both \
         signatures of TLS; QEMU's own count (-icount shift=0), in which waiting has no part; median of {}",
        each.join(", ")
    );
    let deep = format!("the deepest byte of the stack that was written to by then, the most of {STARTS} starts");
    vec![
        Figure::new(&format!("reset_to_session_minstr/{board}"), median(&instructions), "M", None, how),
        Figure::new(&format!("ram_bytes/{board}/stack-used"), used as f64, "B", None, deep),
    ]
}
