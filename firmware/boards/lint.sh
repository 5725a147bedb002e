#!/bin/sh
# Runs clippy on what the boards run, for their targets, and on what of it is tested on the host; warnings are errors.
set -eu
cd "$(dirname "$0")"
cargo="${CARGO:-cargo}"

"$cargo" clippy --quiet --locked --all-targets -- -D warnings
# One at a time: the boards ask the same crates for other features. The other two MPS2 images are the first one's code.
for pair in mps2-an385:thumbv7m-none-eabi wasmbed-bench:thumbv7em-none-eabihf netduinoplus2:thumbv7em-none-eabihf \
    nrf52840-dk:thumbv7em-none-eabihf frdm-k64f:thumbv7em-none-eabihf stm32f4-disco:thumbv7em-none-eabihf \
    stm32f746g-disco:thumbv7em-none-eabihf; do
    "$cargo" clippy --quiet --locked --target "${pair##*:}" -p "${pair%%:*}" -- -D warnings
done
