#!/bin/sh
# Installs or upgrades an overlay in the order that keeps every reader ahead of its writers:
#     deploy/kubernetes/apply.sh deploy/kubernetes/overlays/small
# First settings, policies and servers; then `prepare` of every service (databases, schema, topics); then the steps
# of the label deskline.io/step, against the flow of events, each rolled out before the next begins.
set -eu

overlay=${1:?which overlay: deploy/kubernetes/overlays/small, for example}
patience=${PATIENCE:-600}s
label=deskline.io/step

say() { echo "$(date +%T) $*"; }

# Rendered once: what is applied in several steps is one state of the files.
rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
kubectl kustomize "$overlay" >"$rendered"
apply() { kubectl apply -f "$rendered" -l "$1"; }

say "settings, policies and servers"
apply "!$label"

say "prepare: databases, schema, topics"
# A finished Job can't be changed, and the same one again is what a new release needs.
kubectl -n deskline delete job -l $label=prepare --ignore-not-found --wait
apply $label=prepare
if ! kubectl -n deskline wait job -l $label=prepare --for=condition=complete --timeout="$patience"; then
    kubectl -n deskline logs -l app.kubernetes.io/component=prepare --prefix --tail=5 >&2
    exit 1
fi

for step in readers writers doors; do
    say "$step"
    apply "$label=$step"
    for one in $(kubectl -n deskline get statefulset,deployment -l "$label=$step" -o name); do
        kubectl -n deskline rollout status "$one" --timeout="$patience"
    done
done
say "done"
