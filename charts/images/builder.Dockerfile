# syntax=docker/dockerfile:1
# The builder: the pinned toolchain with its library sources, bubblewrap, binaryen. From the root of the repository:
#
#   docker buildx build --file charts/images/builder.Dockerfile --platform linux/amd64,linux/arm64 --tag ghcr.io/wasmbed/builder:0.1.0 .
#
# Applications are compiled with what is in here, so that one commit gives one digest: the toolchain is the one of
# rust-toolchain.toml, and binaryen is the one of the named Debian. Another ARG DEBIAN makes other modules.
ARG RUST=1.95.0
ARG DEBIAN=trixie

# The binary is linked with this Debian's own C library. QEMU or a node of that architecture builds for other platforms.
FROM rust:${RUST}-slim-${DEBIAN} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends clang cmake git make perl && rm -rf /var/lib/apt/lists/*
ARG RUST
ENV RUSTUP_TOOLCHAIN=$RUST
ARG TARGETPLATFORM
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=wasmbed-builder-$TARGETPLATFORM,sharing=locked \
    cargo build --release --locked --package wasmbed && \
    mkdir -p /out && cp target/release/wasmbed /out/wasmbed

FROM rust:${RUST}-slim-${DEBIAN} AS toolchain
ARG RUST
RUN rustup toolchain install "$RUST" --profile minimal --component rust-src \
        --target wasm32-unknown-unknown --target wasm32-wasip1 && \
    cp -a "$(dirname "$(dirname "$(rustup which --toolchain "$RUST" rustc)")")" /toolchain && \
    rm -rf /toolchain/share/doc /toolchain/share/man

FROM debian:${DEBIAN}-slim
# What a build may see is an allow-list (/usr/bin, /usr/lib, certificates ...), so all of it comes from packages and lies there.
# gcc links build scripts and procedural macros; util-linux has prlimit.
RUN apt-get update && apt-get install --yes --no-install-recommends \
        binaryen bubblewrap ca-certificates gcc libc6-dev util-linux && \
    rm -rf /var/lib/apt/lists/*
COPY --from=toolchain /toolchain /opt/rust
COPY --from=build /out/wasmbed /usr/bin/wasmbed
ENV PATH=/opt/rust/bin:/usr/bin:/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/wasmbed"]
