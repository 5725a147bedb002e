# What a person types. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup up test e2e firmware kubernetes lint bench soak
CARGO ?= cargo

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

setup: ## install what is missing (Debian packages as root or with sudo, Rust targets)
	@./setup.sh

up: setup ## run everything on this machine: API, reconciler, gateways, emulated devices (UP="--state DIR" for options)
	$(CARGO) build --release --locked -p wasmbed
	@firmware/boards/build.sh mps2-an386 mps2-an500 || \
		echo "up: the firmware of two devices cannot be built; processes stand in for them" >&2
	@exec target/release/wasmbed up $(UP)

test: firmware kubernetes ## every test, the end-to-end ones with real processes and those against a real API server too
	$(CARGO) test --workspace --locked
	$(CARGO) test --locked -p wasmbed --test boards thirty:: -- --ignored --nocapture
	firmware/boards/test.sh
	charts/test.sh

e2e: firmware ## only the end-to-end tests: real processes, a real bare repository, real pushes
	$(CARGO) test --locked -p wasmbed --test '*' -- --nocapture

firmware: setup ## build every board's firmware into target/firmware (BOARDS="mps2-an386 ..." for some)
	firmware/boards/build.sh $(BOARDS)

kubernetes: setup ## build the real Kubernetes API server and etcd that the tests use into ~/.cache (WASMBED_WITHOUT_KUBERNETES=1: leave them out)
	@reconciler/control-plane/tests/kubernetes/build.sh

lint: setup ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) fmt --manifest-path firmware/boards/Cargo.toml --all --check
	firmware/boards/lint.sh
	$(CARGO) fmt --manifest-path builder/sdk/rust/Cargo.toml --check
	rustfmt --check --edition 2024 builder/templates/*/src/main.rs fleet-example/apps/*/src/main.rs

bench: firmware kubernetes ## measure; prints, and writes target/bench.json
	$(CARGO) bench --locked -p wasmbed --bench first_light

soak: setup ## the property tests with many more cases, and the end-to-end tests again and again (SOAK=N rounds, default 10)
	PROPTEST_CASES=20000 $(CARGO) test --workspace --locked --exclude wasmbed
	$(CARGO) test --locked -p wasmbed-builder --test builds -- --ignored
	WASMBED_POWER_CUTS=200 $(CARGO) test --locked -p wasmbed --test boards power:: -- --nocapture
	for round in $$(seq $${SOAK:-10}); do $(CARGO) test --locked -p wasmbed --test '*' || exit 1; done
