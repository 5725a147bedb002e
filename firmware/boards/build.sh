#!/bin/sh
# Builds boards' firmware into target/firmware/<board>.elf of the repository.
# Usage: firmware/boards/build.sh            every board
#        firmware/boards/build.sh BOARD...   these
#        FEATURES=... firmware/boards/build.sh BOARD...   these, with features of theirs
set -eu
cd "$(dirname "$0")"

# board:target
boards="mps2-an385:thumbv7m-none-eabi mps2-an386:thumbv7em-none-eabihf mps2-an500:thumbv7em-none-eabihf
netduinoplus2:thumbv7em-none-eabihf stm32f746g-disco:thumbv7em-none-eabihf stm32f4-disco:thumbv7em-none-eabihf
nrf52840-dk:thumbv7em-none-eabihf frdm-k64f:thumbv7em-none-eabihf"

fail() { printf 'build.sh: error: %s\n' "$*" >&2; exit 1; }

wanted="${*:-$(for pair in $boards; do echo "${pair%%:*}"; done)}"
out="$(cd ../.. && pwd)/target/firmware"
mkdir -p "$out"
# No path of this machine gets into an image: it would make it larger, and another on another machine.
cargo_home="${CARGO_HOME:-$HOME/.cargo}"
sysroot="$(rustc --print sysroot)"
flags="--remap-path-prefix=$(cd ../.. && pwd)=."
for registry in "$cargo_home"/registry/src/*; do
    flags="$flags --remap-path-prefix=$registry="
done
flags="$flags --remap-path-prefix=$sysroot/lib/rustlib/src/rust/library="
# `Debug` writes nothing: it takes 25 KB, and nothing that a person reads may depend on it. What a panic says, and its file and line,
# stay; its column is not reported.
flags="$flags -Zfmt-debug=none -Zlocation-detail=file,line"
# `core` and `alloc` as small as the rest. Neither is stable; the toolchain is pinned, and builds the modules in the same way.
library="-Zbuild-std=core,alloc -Zbuild-std-features=optimize_for_size"
for board in $wanted; do
    if [ -t 2 ]; then printf 'building %s\n' "$board" >&2; fi
    target=""
    for pair in $boards; do
        if [ "${pair%%:*}" = "$board" ]; then target="${pair##*:}"; fi
    done
    [ -n "$target" ] || fail "there is no board $board; there are: $boards"
    # shellcheck disable=SC2086 # several arguments
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" \
        "${CARGO:-cargo}" build --quiet --locked --release $library -p "$board" --target "$target" \
        --features "${FEATURES:-}"
    cp "target/$target/release/$board" "$out/$board.elf"
done
