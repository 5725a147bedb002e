//! One device played by an emulator: its folder made ready, the emulator kept running.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmbed_agent::{Provisioning, StaticAddress};
use wasmbed_api::Endpoint;

use crate::flash::{self, FlashFile, FlashFileError, MPS2};
use crate::guard::guarded;
use crate::link;
use crate::machine::{Machine, QemuMachine, Region, RenodeMachine};
use crate::namespace;
use crate::plan::Emulated;
use crate::process::{Process, ProcessSpec, ProcessState, open_output};
use crate::qemu::{self, Guest};
use crate::renode::{self, Network};
use crate::sockets::{listen, to_gateway};
use crate::tail::Tail;

/// What failed beside an emulator is tried again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// A device that an emulator is to play.
#[derive(Clone, Debug)]
pub struct EmulatedDevice {
    /// For messages, for example `device sensor-1`.
    pub name: String,
    /// The machine, the emulator and the firmware.
    pub emulated: Emulated,
    /// Its identity. The addresses in it are replaced by those at which the guest sees `gateways`.
    pub provisioning: Provisioning,
    /// Where its gateways listen; at least one.
    pub gateways: Vec<Endpoint>,
    /// Its folder, which holds its flash; made if it is not there.
    pub folder: PathBuf,
    /// Where its UART's log goes, appended.
    pub output: PathBuf,
    /// The program `wasmbed`.
    pub program: PathBuf,
}

/// Why a device cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its flash cannot be used.
    #[error(transparent)]
    Flash(#[from] FlashFileError),
    /// Its folder cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder, or what lies in it.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// A device that an emulator plays, until it is stopped.
#[derive(Debug)]
pub struct Playing {
    process: Process,
    tasks: Tasks,
}

/// What goes on beside the emulator; ends with this.
#[derive(Debug, Default)]
struct Tasks(JoinSet<()>);

impl EmulatedDevice {
    /// Makes the folder ready and starts the emulator, which is started again whenever it ends.
    ///
    /// # Errors
    /// The folder or the flash in it cannot be used.
    pub fn start(self) -> Result<Playing, StartError> {
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(&self.folder).map_err(|source| StartError::Folder { path: self.folder.clone(), source })?;
        let region = self.emulated.machine.region();
        match self.emulated.machine {
            Machine::Qemu(QemuMachine::NetduinoPlus2) => self.start_netduino(region),
            Machine::Qemu(machine) => self.start_mps2(machine, region),
            Machine::Renode(machine) => self.start_renode(machine, region),
        }
    }

    fn start_mps2(self, machine: QemuMachine, region: Region) -> Result<Playing, StartError> {
        let mut flash = FlashFile::open(&self.folder.join(qemu::FLASH), MPS2)?;
        flash.provision(&self.guest_provisioning())?;
        let spec = self.qemu(machine, region);
        let process = Process::start_after(spec, move || flash.reseed().map_err(io::Error::other));
        Ok(Playing { process, tasks: Tasks::default() })
    }

    fn start_renode(self, machine: RenodeMachine, region: Region) -> Result<Playing, StartError> {
        let mut arguments = vec!["in-network".into(), "--parent".into(), std::process::id().to_string().into()];
        let mut tasks = Tasks::default();
        match machine.network() {
            Network::Ethernet(_) => {
                for (index, gateway) in self.gateways.iter().enumerate() {
                    let name = format!("gateway-{index}.sock");
                    let listener = listen(&self.folder, &name)
                        .map_err(|source| StartError::Folder { path: self.folder.join(&name), source })?;
                    tasks.0.spawn(to_gateway(listener, gateway.to_string()));
                    arguments.extend(["--gateway".into(), name.into()]);
                }
            }
            Network::Link(_) => {
                let options = link::options(&self.name, &self.gateways, Some(self.output.clone()));
                tasks.0.spawn(link::serve_terminal(self.folder.join(renode::LINK), options));
            }
        }
        arguments.extend(["--".into(), self.emulated.emulator.clone().into()]);
        arguments.extend(renode::arguments());
        let spec = ProcessSpec {
            name: self.name.clone(),
            program: self.program.clone(),
            arguments,
            environment: renode::environment(),
            folder: Some(self.folder.clone()),
            output: self.folder.join("renode.log"),
        };
        if machine.log().is_some() {
            tasks.0.spawn(keep_uart(self.folder.join(renode::UART), self.output.clone()));
        }
        let mut provisioning = self.guest_provisioning();
        if matches!(machine.network(), Network::Ethernet(_)) {
            // Nobody in its network gives it an address.
            let address = namespace::GUEST.octets();
            let prefix = namespace::PREFIX;
            provisioning.address = Some(StaticAddress { address, prefix, router: None, dns: None });
        }
        let (folder, image) = (self.folder, self.emulated.image.path);
        let prepare = move || {
            for name in [renode::UART, renode::LINK, renode::IMAGE] {
                match std::fs::remove_file(folder.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            std::os::unix::fs::symlink(&image, folder.join(renode::IMAGE))?;
            write_private(&folder.join(renode::PLATFORM), machine.platform().as_bytes())?;
            write_private(&folder.join(renode::SCRIPT), renode::script(machine).as_bytes())?;
            // Renode's flash is memory, made anew with every start: a fresh seed each time.
            let records = flash::records(&provisioning, region.unit).map_err(io::Error::other)?;
            write_private(&folder.join(renode::RECORDS), &records)
        };
        Ok(Playing { process: Process::start_after(spec, prepare), tasks })
    }

    fn start_netduino(self, region: Region) -> Result<Playing, StartError> {
        let mut tasks = Tasks::default();
        // Before QEMU starts, which connects at once.
        let listener = listen(&self.folder, qemu::LINK)
            .map_err(|source| StartError::Folder { path: self.folder.join(qemu::LINK), source })?;
        tasks.0.spawn(link::serve_socket(listener, link::options(&self.name, &self.gateways, None)));
        let path = self.folder.join(qemu::RECORDS);
        let provisioning = self.guest_provisioning();
        let load = move || {
            let records = flash::records(&provisioning, region.unit).map_err(io::Error::other)?;
            write_private(&path, &records)
        };
        let process = Process::start_after(self.qemu(QemuMachine::NetduinoPlus2, region), load);
        Ok(Playing { process, tasks })
    }

    /// The provisioning with the gateways' addresses as the guest sees them.
    fn guest_provisioning(&self) -> Provisioning {
        let mut provisioning = self.provisioning.clone();
        provisioning.gateways = (0..).zip(&self.gateways).map(|(index, _)| qemu::gateway_address(index)).collect();
        provisioning
    }

    fn qemu(&self, machine: QemuMachine, region: Region) -> ProcessSpec {
        let guest = Guest {
            machine,
            image: &self.emulated.image.path,
            gateways: &self.gateways,
            program: &self.program,
            region,
        };
        self.guarded(qemu::arguments(&guest), Some(qemu::MEMORY))
    }

    fn guarded(&self, arguments: Vec<OsString>, memory: Option<u64>) -> ProcessSpec {
        ProcessSpec {
            name: self.name.clone(),
            program: self.program.clone(),
            arguments: guarded(&self.emulated.emulator, arguments, memory),
            environment: Vec::new(),
            folder: Some(self.folder.clone()),
            output: self.output.clone(),
        }
    }
}

impl Playing {
    /// What the emulator is doing, and a way to wait for a change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ProcessState> {
        self.process.state()
    }

    /// The file that what the emulator prints goes to: the device's log, too, where the emulator prints that.
    #[must_use]
    pub fn output(&self) -> &Path {
        self.process.output()
    }

    /// Ends the emulator. Returns once it is gone.
    pub async fn stop(self) {
        self.process.stop().await;
        drop(self.tasks);
    }
}

/// Moves what Renode writes of a UART to the device's log, line by line, and bounds both files.
async fn keep_uart(from: PathBuf, to: PathBuf) {
    let mut tail = Tail::from_start(&from);
    loop {
        let kept = async {
            let lines = tail.next_lines().await?;
            let mut log = open_output(&to)?;
            lines.iter().try_for_each(|line| writeln!(log, "{line}"))?;
            tail.forget()
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, from = %from.display(), to = %to.display(), "what a UART printed cannot be kept");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Writes a file of mode 0600, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
