#!/bin/sh
# Runs clippy on what the boards run, for their targets, and on what of it is tested on the host; warnings are errors.
set -eu
cd "$(dirname "$0")"
cargo="${CARGO:-cargo}"

"$cargo" clippy --quiet --locked --all-targets -- -D warnings
"$cargo" clippy --quiet --locked --target thumbv7m-none-eabi -p mps2-an385 -- -D warnings
"$cargo" clippy --quiet --locked --target thumbv7em-none-eabihf -p wasmbed-bench -p mps2-an386 -p mps2-an500 \
    -p netduinoplus2 -p nrf52840-dk -p frdm-k64f -- -D warnings
# Two chips of one crate, which takes one at a time.
for board in stm32f4-disco stm32f746g-disco; do
    "$cargo" clippy --quiet --locked --target thumbv7em-none-eabihf -p "$board" -- -D warnings
done
