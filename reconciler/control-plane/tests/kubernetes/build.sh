#!/bin/sh
# Builds the real Kubernetes API server, its controller manager and etcd, which the tests hold the embedded API against, and
# kubectl and helm where the machine has none. They go into a cache outside the tree, named for the go.mod and go.sum files here.
# Usage: build.sh            builds what is missing; the first time takes some minutes, then a moment
#        build.sh --folder   prints the folder of the programs, and builds nothing
set -eu
cd "$(dirname "$0")"

say() { printf 'kubernetes: %s\n' "$*"; }
fail() { printf 'kubernetes: error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
# The version that a module here requires of another one.
version() { sed -n "s|^\(require \)\{0,1\}[[:space:]]*$2 \(v[^ ]*\).*|\2|p" "$1/go.mod"; }

hash=$(cat */go.mod */go.sum | sha256sum | cut -c 1-16)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/wasmbed/kubernetes/$hash"
if [ "${1:-}" = --folder ]; then
    printf '%s\n' "$folder"
    exit
fi
if [ -n "${WASMBED_WITHOUT_KUBERNETES:-}" ]; then
    say "nothing is built, and the tests leave the real API server out, because WASMBED_WITHOUT_KUBERNETES is set"
    exit
fi

kubernetes=$(version apiserver k8s.io/kubernetes)
minor=${kubernetes#v1.}
stamp=k8s.io/component-base/version
set -- "kube-apiserver apiserver k8s.io/kubernetes/cmd/kube-apiserver $kubernetes" \
    "kube-controller-manager apiserver k8s.io/kubernetes/cmd/kube-controller-manager $kubernetes" \
    "etcd etcd go.etcd.io/etcd/server/v3 $(version etcd go.etcd.io/etcd/server/v3)"
has kubectl || set -- "$@" "kubectl apiserver k8s.io/kubernetes/cmd/kubectl $kubernetes"
has helm || set -- "$@" "helm helm helm.sh/helm/v3/cmd/helm $(version helm helm.sh/helm/v3)"

for line in "$@"; do
    # shellcheck disable=SC2086 # four words
    set -- $line
    [ -x "$folder/$1" ] && continue
    has go || fail "Go is missing: run ./setup.sh"
    # An older Go does not read these files, unless it may fetch a newer one by itself (GOTOOLCHAIN=auto).
    (cd "$2" && go list -m) >/dev/null 2>&1 || fail "$1 needs $(sed -n 's/^go /Go /p' "$2/go.mod") or newer, and this is \
$(go env GOVERSION): install a newer one as https://go.dev/doc/install says"
    say "building $1 $4 into $folder"
    start=$(date +%s)
    mkdir -p "$folder"
    (cd "$2" && CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' nice go build -trimpath -o "$folder/.$1.$$" \
        -ldflags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*}" "$3") ||
        fail "$1 does not build; Go says why above. The modules come from where GOPROXY says ($(go env GOPROXY))"
    # Under its name only once it is whole, so that neither an interruption nor a second build beside this one leaves half a program.
    mv "$folder/.$1.$$" "$folder/$1"
    say "$1 took $(($(date +%s) - start)) s"
done
