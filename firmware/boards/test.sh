#!/bin/sh
# Tests what of the firmware runs on the host. Its images are tested by the host workspace's package in `tests`.
# One crate at a time: some ask the same crates for other features.
set -eu
cd "$(dirname "$0")"

for crate in wasmbed-chip-flash wasmbed-emulated-entropy wasmbed-k64f wasmbed-lan9118 wasmbed-quad-nor wasmbed-serial \
    wasmbed-slices wasmbed-board; do
    "${CARGO:-cargo}" test --locked -p "$crate"
done
