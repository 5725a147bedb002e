#!/bin/sh
# Lints and renders the chart with each set of values in wasmbed/ci; any warning fails. Needs no cluster.
# Usage: charts/test.sh            with $HELM, or the helm that `make kubernetes` built
set -eu
cd "$(dirname "$0")/wasmbed"

# The Kubernetes that objects are rendered for, where helm asks no cluster.
kubernetes=1.36.0

fail() { printf 'charts/test.sh: error: %s\n' "$*" >&2; exit 1; }

helm="${HELM:-$(../../reconciler/control-plane/tests/kubernetes/build.sh --folder)/helm}"
if ! command -v "$helm" >/dev/null 2>&1; then
    [ -z "${WASMBED_WITHOUT_KUBERNETES:-}" ] || { echo "SKIPPED: WASMBED_WITHOUT_KUBERNETES is set, and there is no $helm" >&2; exit 0; }
    fail "there is no $helm: \`make kubernetes\` builds one, or put the path of another into \$HELM"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Runs helm with its output in $out/said; what it warns of is an error. Its own word on the mode of a kubeconfig is none of the chart's.
quietly() {
    KUBECONFIG=/dev/null "$helm" "$@" >"$out/said" 2>"$out/warned" || { cat "$out/said" "$out/warned" >&2; fail "helm $*"; }
    if grep -iE 'warn|coalesce|cannot overwrite' "$out/warned" "$out/said" >&2; then fail "helm $* warns"; fi
}

refuses() {
    words=$1
    shift
    if KUBECONFIG=/dev/null "$helm" template wasmbed . --namespace wasmbed-system --kube-version "$kubernetes" "$@" >/dev/null 2>"$out/warned"; then
        fail "these values are taken: $*"
    fi
    grep -q "$words" "$out/warned" || { cat "$out/warned" >&2; fail "the error does not say \"$words\": $*"; }
}

for values in ci/*-values.yaml; do
    quietly lint --strict --kube-version "$kubernetes" --values "$values" .
    quietly template wasmbed . --namespace wasmbed-system --kube-version "$kubernetes" --include-crds --values "$values"
    grep -q '^kind: CustomResourceDefinition$' "$out/said" || fail "$values: no definitions are rendered"
    if grep -n '[^ ]*<no value>\|: *$(' "$out/said" >&2; then fail "$values: a value is missing in what is rendered"; fi
    printf '%-28s %4d objects\n' "${values#ci/}" "$(grep -c '^kind: ' "$out/said")"
done

# Mistakes are told, each in words that help.
ok=ci/default-values.yaml
refuses "additional properties 'replica' not allowed" --values "$ok" --set gateway.replica=3
refuses 'does not match pattern' --values "$ok" --set 'fleets[0].namespace=Plant_A'
refuses 'set advertise' --values "$ok" --set gateway.service.type=LoadBalancer
refuses 'name a runtimeClassName' --values "$ok" --set builder.sandbox.mode=none
refuses 'name the Secret or the ConfigMap' --values "$ok" --set tls.mode=secret
refuses "own namespace" --values "$ok" --set 'fleets[0].namespace=wasmbed-system'
refuses 'the Namespace plant-a would be two things' --values "$ok" --set 'fleets[1].namespace=plant-a,fleets[1].name=b,fleets[1].create=false'
refuses 'the Deployment wasmbed-gateway-plant-a-gateway-1 would be two things' --values "$ok" --set 'fleets[0].gateways[1].name=gateway-1'
refuses 'the Deployment wasmbed-gateway-plant-a-gateway-1 would be two things' --values "$ok" \
    --set 'fleets[1].namespace=plant,fleets[1].name=b,fleets[1].create=false,fleets[1].gateways[0].name=a-gateway-1'
# A gateway's key may not be another tenant's release key, nor a certificate.
refuses 'the Secret wasmbed-plant-a-gateway-release would be two things' --values "$ok" \
    --set 'fleets[0].gateways[0].name=release,fleets[1].namespace=plant-a-gateway,fleets[1].name=b,fleets[1].create=false'
refuses 'the Secret wasmbed-signer-a-gateway-tls would be two things' --values "$ok" \
    --set 'fleets[0].namespace=signer-a,fleets[0].gateways[0].name=tls,fleets[1].namespace=a-gateway,fleets[1].name=b,fleets[1].create=false'
refuses 'the Secret wasmbed-live-a-gateway-tls would be two things' --values "$ok" \
    --set 'fleets[0].namespace=live-a,fleets[0].gateways[0].name=tls,fleets[1].namespace=a-gateway,fleets[1].name=b,fleets[1].create=false'
refuses 'does not match pattern' --values "$ok" --set 'fleets[0].liveReaders[0]=reader'
refuses 'terminationGracePeriodSeconds has to be at least 71' --values "$ok" --set gateway.preStopSeconds=1 --set gateway.drainSeconds=60
refuses 'terminationGracePeriodSeconds has to be at least 35' --values "$ok" --set 'fleets[0].gateways[0].terminationGracePeriodSeconds=34'
refuses 'registry.repository' --values "$ok" --set registry.repository=modules:v1
refuses 'emulator.rootPublicKey' --values "$ok" --set emulator.enabled=true

# One toolchain for the workspace and for the images.
pinned=$(sed -n 's/^channel = "\(.*\)"/\1/p' ../../rust-toolchain.toml)
for file in ../images/*Dockerfile; do
    grep -q "^ARG RUST=$pinned\$" "$file" || fail "$file does not pin Rust $pinned, as rust-toolchain.toml does"
done
