//! The simulated pins and analogue inputs of a host device. They are declared as simulated (features `gpio-simulated`
//! and `adc-simulated` of the device), and a person can see and set them: each is a file in the device's folder
//! `pins/`.
//!
//! | name | what it is | its file |
//! |---|---|---|
//! | `led0`, `led1` | outputs | `0` or `1`, written by the device: `watch cat pins/led0` |
//! | `button0`, `button1` | inputs | `0` or `1`, read by the device: `echo 1 > pins/button0` |
//! | `gpio0`, `gpio1` | either, as the application opens them | like the above |
//! | `adc0`, `adc1` | analogue inputs | `simulated` (a slow triangle, 1,300 to 2,000 mV), or the millivolts to read |
//!
//! A file appears when an application opens the pin for the first time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmbed_runtime::{Errno, PinMode};

const LEDS: [&str; 2] = ["led0", "led1"];
const BUTTONS: [&str; 2] = ["button0", "button1"];
const FREE: [&str; 2] = ["gpio0", "gpio1"];
const INPUTS: [&str; 2] = ["adc0", "adc1"];
/// What the file of an analogue input says when nobody set it.
const SIMULATED: &str = "simulated";
/// A period of the simulated voltage.
const PERIOD_MS: u32 = 60_000;
const LOWEST_MV: u32 = 1_300;
const HIGHEST_MV: u32 = 2_000;

/// The pins of one device.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    dir: PathBuf,
    device: String,
}

impl Pins {
    pub(crate) fn new(dir: PathBuf, device: String) -> Pins {
        Pins { dir, device }
    }

    pub(crate) fn open(&self, name: &str, mode: PinMode) -> Result<OpenPin, Errno> {
        let (is_output, is_input) = (LEDS.contains(&name), BUTTONS.contains(&name));
        let fits = match mode {
            PinMode::Output => !is_input,
            PinMode::Input => !is_output,
        };
        if !is_output && !is_input && !FREE.contains(&name) {
            return Err(Errno::NOENT);
        }
        if !fits {
            return Err(Errno::NOTSUP);
        }
        let path = self.dir.join(name);
        let file = self.make(&path, "0\n")?;
        Ok(OpenPin { name: name.to_owned(), device: self.device.clone(), path, file, mode, level: None })
    }

    pub(crate) fn open_input(&self, name: &str) -> Result<Input, Errno> {
        let phase = INPUTS.iter().position(|input| *input == name).ok_or(Errno::NOENT)?;
        let path = self.dir.join(name);
        self.make(&path, &format!("{SIMULATED}\n"))?;
        Ok(Input { path, phase_ms: phase as u32 * PERIOD_MS / 4 })
    }

    /// The file of a pin, with something in it for a person to see.
    fn make(&self, path: &Path, content: &str) -> Result<File, Errno> {
        let made = fs::create_dir_all(&self.dir).and_then(|()| {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            if file.metadata()?.len() == 0 {
                file.write_all_at(content.as_bytes(), 0)?;
            }
            Ok(file)
        });
        made.map_err(|error| failed(&self.device, path, &error))
    }
}

/// A pin that an application opened.
#[derive(Debug)]
pub(crate) struct OpenPin {
    name: String,
    device: String,
    path: PathBuf,
    file: File,
    mode: PinMode,
    /// What this run last wrote.
    level: Option<bool>,
}

impl OpenPin {
    pub(crate) fn write(&mut self, high: bool) -> Result<(), Errno> {
        if self.mode != PinMode::Output {
            return Err(Errno::NOTSUP);
        }
        if self.level != Some(high) {
            let content = if high { b"1\n" } else { b"0\n" };
            self.file.write_all_at(content, 0).map_err(|error| failed(&self.device, &self.path, &error))?;
            self.level = Some(high);
            tracing::debug!(device = self.device, "{} is {} (simulated)", self.name, if high { "on" } else { "off" });
        }
        Ok(())
    }

    pub(crate) fn read(&mut self) -> Result<bool, Errno> {
        // Opened anew each time: `echo 1 > file` truncates it, an editor replaces it.
        let text = read_short(&self.path).map_err(|error| failed(&self.device, &self.path, &error))?;
        Ok(text.trim() == "1")
    }
}

/// An analogue input that an application opened.
#[derive(Debug)]
pub(crate) struct Input {
    path: PathBuf,
    phase_ms: u32,
}

impl Input {
    /// What the person wrote, else the simulated voltage at that time after the device started.
    pub(crate) fn millivolts(&self, time: Duration) -> u32 {
        let written = read_short(&self.path).ok().and_then(|text| text.trim().parse().ok());
        written.unwrap_or_else(|| {
            let time = (time.as_millis() % u128::from(PERIOD_MS)) as u32;
            triangle((time + self.phase_ms) % PERIOD_MS)
        })
    }
}

fn triangle(time_ms: u32) -> u32 {
    let up = if time_ms < PERIOD_MS / 2 { time_ms } else { PERIOD_MS - time_ms };
    LOWEST_MV + (HIGHEST_MV - LOWEST_MV) * up / (PERIOD_MS / 2)
}

/// The beginning of a file that a person wrote.
fn read_short(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(32).read_to_string(&mut text)?;
    Ok(text)
}

fn failed(device: &str, path: &Path, error: &io::Error) -> Errno {
    tracing::warn!(device, "the simulated pin {} cannot be used: {error}", path.display());
    Errno::IO
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins() -> (tempfile::TempDir, Pins) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pins = Pins::new(dir.path().join("pins"), "dev".into());
        (dir, pins)
    }

    #[test]
    fn a_person_sees_the_led_and_presses_the_button() {
        let (dir, pins) = pins();
        let mut led = pins.open("led0", PinMode::Output).expect("there is a led0");
        for (high, shown) in [(true, "1\n"), (false, "0\n")] {
            led.write(high).expect("it can be driven");
            assert_eq!(fs::read_to_string(dir.path().join("pins/led0")).expect("its file"), shown);
        }
        let mut button = pins.open("button0", PinMode::Input).expect("there is a button0");
        assert_eq!(button.read(), Ok(false));
        fs::write(dir.path().join("pins/button0"), "1").expect("a person can write it");
        assert_eq!(button.read(), Ok(true));
    }

    #[test]
    fn a_pin_that_is_not_there_or_the_other_way_round_is_refused() {
        let (_dir, pins) = pins();
        assert_eq!(pins.open("led9", PinMode::Output).err(), Some(Errno::NOENT));
        assert_eq!(pins.open("../led0", PinMode::Output).err(), Some(Errno::NOENT));
        assert_eq!(pins.open("led0", PinMode::Input).err(), Some(Errno::NOTSUP));
        assert_eq!(pins.open("button0", PinMode::Output).err(), Some(Errno::NOTSUP));
        assert_eq!(pins.open("gpio0", PinMode::Input).expect("it can").write(true), Err(Errno::NOTSUP));
        assert_eq!(pins.open_input("led0").err(), Some(Errno::NOENT));
    }

    #[test]
    fn an_analogue_input_is_simulated_until_a_person_sets_it() {
        let (dir, pins) = pins();
        let input = pins.open_input("adc0").expect("there is an adc0");
        let read = |ms| input.millivolts(Duration::from_millis(ms));
        assert_eq!([read(0), read(15_000), read(30_000), read(45_000), read(60_000)], [1300, 1650, 2000, 1650, 1300]);
        fs::write(dir.path().join("pins/adc0"), "3300\n").expect("a person can write it");
        assert_eq!(read(0), 3300);
        fs::write(dir.path().join("pins/adc0"), "nonsense").expect("a person can write it");
        assert_eq!(read(0), 1300);
    }
}
