//! Builds every board's firmware and prints how large each is, a figure a line, for `make bench`.

use std::error::Error;

use wasmbed_board_tests::budgets::Budgets;
use wasmbed_board_tests::figures::Figure;
use wasmbed_board_tests::sizes::{Sizes, build_firmware};

/// What is wanted, of any board.
const FLASH: f64 = 400_000.0;
/// What is wanted of RAM beside the applications.
const RAM: f64 = 98_304.0;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = build_firmware()?;
    for (board, budget) in Budgets::get().boards {
        let Sizes { flash, heap, applications, fixed, stack } =
            Sizes::read(&folder.join(format!("{board}.elf")), &budget)?;
        let figure = |name: String, value: u64, goal, how: &str| Figure {
            name,
            value: value as f64,
            unit: "B",
            goal,
            how: format!("{how}; from the ELF file of the release build"),
        };
        let figures = [
            figure(
                format!("flash_bytes/{board}"),
                flash,
                Some(FLASH),
                "code, constants and the initial values of memory",
            ),
            figure(
                format!("ram_bytes/{board}"),
                heap + fixed,
                Some(RAM),
                "the agent's heap and everything static, without applications and stack",
            ),
            figure(format!("ram_bytes/{board}/heap"), heap, None, "the agent's heap, with all of TLS"),
            figure(format!("ram_bytes/{board}/static"), fixed, None, "everything static but heap and applications"),
            figure(
                format!("ram_bytes/{board}/applications"),
                applications,
                None,
                "set aside for applications in the image (0: they have memory outside of it)",
            ),
            figure(format!("ram_bytes/{board}/stack"), stack, None, "what is left to the stack, which no one has cut"),
        ];
        for figure in figures {
            println!("{}", serde_json::to_string(&figure)?);
        }
    }
    Ok(())
}
