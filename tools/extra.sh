#!/bin/sh
# What `make test-extra` needs beyond the locked packages, from Debian's: kubectl, npm, libfaketime, strace, and promtool,
# which is unpacked into .tools so that no daemon is installed.
set -eu
cd "$(dirname "$0")/.."

say() { echo "extra: $*"; }

packages() {
    [ "$(id -u)" = 0 ] || { say "install these Debian packages first, or run this as root: $*" >&2; exit 1; }
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Kustomize 5, which `labels` and `patches` of the overlays need, is in kubectl since 1.27.
kubectl_minor() { kubectl version --client 2>/dev/null | sed -n 's/.*v1\.\([0-9]*\)\..*/\1/p' | head -n 1; }
command -v kubectl >/dev/null || packages kubernetes-client
minor=$(kubectl_minor)
if [ "${minor:-0}" -lt 27 ]; then
    say "kubectl 1.27 or newer is needed, this one is 1.${minor:-?}: install a newer one (Debian 13 has it)" >&2
    exit 1
fi

command -v npm >/dev/null || packages npm

[ -e "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1" ] || packages libfaketime
command -v strace >/dev/null || packages strace

promtool=.tools/prometheus/usr/bin/promtool
if ! [ -x $promtool ]; then
    say "fetching promtool"
    mkdir -p .tools/prometheus
    (cd .tools/prometheus && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; })
    dpkg -x .tools/prometheus/prometheus_*.deb .tools/prometheus
    rm .tools/prometheus/prometheus_*.deb
fi
say "kubectl 1.$minor, npm $(npm --version), $($promtool --version 2>&1 | head -n 1)"
