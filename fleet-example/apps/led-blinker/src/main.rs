use std::time::Duration;

use wasmbed::gpio::Output;

pub fn main() -> Result<(), wasmbed::Error> {
    let period = wasmbed::config_or("PERIOD_MS", 1000);
    let led = Output::open("led0")?;
    println!("blinking led0 every {period} ms");
    loop {
        for high in [true, false] {
            led.set(high)?;
            wasmbed::sleep(Duration::from_millis(period / 2));
        }
    }
}
