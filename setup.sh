#!/bin/sh
# Installs what is missing to build, run and test Wasmbed, and nothing else; it can be run as often as one likes.
# Usage: ./setup.sh            says what it does, a line for each thing it installs, nothing when all is there
set -eu
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# program:package; what each is for stands in `wasmbed doctor`. Go is for `make kubernetes` alone.
missing=""
for pair in cc:gcc git:git make:make bwrap:bubblewrap wasm-opt:binaryen qemu-system-arm:qemu-system-arm docker-registry:docker-registry \
    arm-none-eabi-gcc:gcc-arm-none-eabi go:golang-go; do
    has "${pair%%:*}" || missing="$missing ${pair##*:}"
done
# The C library for firmware is no program: its compiler says whether it is there.
if has arm-none-eabi-gcc && [ "$(arm-none-eabi-gcc -print-file-name=libc.a)" != libc.a ]; then :; else
    missing="$missing libnewlib-arm-none-eabi"
fi
# A compiler without the C library's headers, as on a bare Debian, compiles nothing.
compiles() { printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' | cc -x c -o /dev/null - 2>/dev/null; }
compiles || missing="$missing libc6-dev"
if [ -n "$missing" ]; then
    root=""
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "missing:$missing. Install them, or run this as root"
        root="sudo"
    fi
    has apt-get || fail "missing:$missing. This is not a Debian system: install them with its own package program"
    say "installing Debian packages:$missing"
    $root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

has rustup || fail "rustup is missing: install it as https://rustup.rs says, then run this again"
toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! rustup toolchain list | grep -q "^$toolchain"; then
    say "installing the Rust toolchain $toolchain"
    rustup toolchain install "$toolchain" --profile minimal >/dev/null 2>&1 ||
        fail "rustup cannot install the toolchain $toolchain; it says: $(rustup toolchain install "$toolchain" --profile minimal 2>&1 | tail -n 1)"
fi
components=$(rustup component list --toolchain "$toolchain" --installed)
for component in clippy rustfmt rust-src; do
    if ! printf '%s\n' "$components" | grep -q "^$component"; then
        say "adding the component $component to Rust $toolchain"
        rustup component add --toolchain "$toolchain" "$component" >/dev/null 2>&1 ||
            fail "rustup cannot add $component; try: rustup component add --toolchain $toolchain $component"
    fi
done
targets=$(rustup target list --toolchain "$toolchain" --installed)
for target in wasm32-unknown-unknown wasm32-wasip1 thumbv7m-none-eabi thumbv7em-none-eabihf; do
    if ! printf '%s\n' "$targets" | grep -q "^$target\$"; then
        say "adding the target $target to Rust $toolchain"
        rustup target add --toolchain "$toolchain" "$target" >/dev/null 2>&1 ||
            fail "rustup cannot add $target; try: rustup target add --toolchain $toolchain $target"
    fi
done

# Go builds the real API server that the tests use, and nothing else; Debian's may be too old for that.
modules=reconciler/control-plane/tests/kubernetes
if ! (cd "$modules/apiserver" && go list -m) >/dev/null 2>&1; then
    say "warning: Go is $(go env GOVERSION), and \`make kubernetes\` needs $(sed -n 's/^go //p' "$modules/apiserver/go.mod"): install a newer one as"
    say "warning: https://go.dev/doc/install says, or set WASMBED_WITHOUT_KUBERNETES=1 to leave the tests against the real API server out"
fi

# Whether this user may make sandboxes; `wasmbed doctor` asks the same.
if ! said=$(bwrap --unshare-all --ro-bind / / true 2>&1); then
    say "warning: bubblewrap cannot make a sandbox here, so no application can be built; it says: $said"
    say "warning: docs/getting-started.md, \"If no sandbox starts\", says what to do"
fi
