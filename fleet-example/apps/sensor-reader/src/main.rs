use std::time::Duration;

use wasmbed::adc::Input;

/// The mean is taken over so many readings.
const WINDOW: usize = 8;

pub fn main() -> Result<(), wasmbed::Error> {
    let interval = Duration::from_millis(wasmbed::config_or("INTERVAL_MS", 5000));
    let sensor = Input::open("adc0")?;
    let mut readings = [sensor.millivolts()?; WINDOW];
    let mut next = 0;
    loop {
        let millivolts = sensor.millivolts()?;
        readings[next % WINDOW] = millivolts;
        next += 1;
        let mean = readings.iter().sum::<u32>() / WINDOW as u32;
        println!("{millivolts} mV, mean {mean} mV");
        let reading = wasmbed::map! { "millivolts": millivolts, "mean": mean };
        if let Err(error) = wasmbed::publish("sensors/voltage", &reading) {
            wasmbed::warn!("not sent: {error}");
        }
        wasmbed::sleep(interval);
    }
}
