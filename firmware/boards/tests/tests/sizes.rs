//! Every board's image fits its budget.

use std::collections::BTreeSet;

use wasmbed_board_tests::budgets::Budgets;
use wasmbed_board_tests::sizes::{Sizes, build_firmware};

#[test]
fn every_image_is_within_its_budget() {
    let folder = build_firmware().unwrap_or_else(|said| panic!("the firmware does not build:\n{said}"));
    let mut over = Vec::new();
    for (board, budget) in Budgets::get().boards {
        let sizes =
            Sizes::read(&folder.join(format!("{board}.elf")), &budget).unwrap_or_else(|error| panic!("{error}"));
        println!("{board}: {sizes:?}");
        let mut check = |figure: &str, is: u64, limit: u64, is_within: bool| {
            if !is_within {
                over.push(format!("{board}: {figure} is {is} bytes, its budget {limit} ({})", budget.why));
            }
        };
        check("flash", sizes.flash, budget.flash, sizes.flash <= budget.flash);
        check("static RAM", sizes.fixed, budget.fixed, sizes.fixed <= budget.fixed);
        check("what is left to the stack", sizes.stack, budget.stack, sizes.stack >= budget.stack);
    }
    assert!(
        over.is_empty(),
        "{}\nFind what made it grow (docs/benchmarks.md says how), or change firmware/boards/budgets.toml and say why.",
        over.join("\n")
    );
}

#[test]
fn every_board_has_a_budget() {
    let script = include_str!("../../build.sh");
    let boards: BTreeSet<&str> = script
        .split(|c: char| c.is_whitespace() || c == '"')
        .filter_map(|word| word.split_once(":thumb").map(|(board, _)| board.rsplit('=').next().unwrap_or(board)))
        .map(|board| board.trim_start_matches('"'))
        .collect();
    assert!(boards.len() > 7, "{boards:?}");
    let budgets = Budgets::get();
    assert_eq!(budgets.boards.keys().map(String::as_str).collect::<BTreeSet<_>>(), boards);
}
