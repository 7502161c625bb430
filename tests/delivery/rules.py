"""The rules of the house for what runs in a cluster: each takes manifests and says what is wrong."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from tests.delivery.manifests import (
    Document,
    Manifest,
    containers,
    labels_of,
    leaves,
    pod_template,
    selects,
    workloads,
)

Manifests = tuple[Manifest, ...]
Rule = Callable[[Manifests], Iterator[str]]

# What a Pod may mount under Pod Security *restricted*.
_VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")
_GIVEN_AWAY: Final = {
    ("privileged", True),
    ("allowPrivilegeEscalation", True),
    ("readOnlyRootFilesystem", False),
    ("runAsNonRoot", False),
    ("runAsUser", 0),
    ("hostNetwork", True),
    ("hostPID", True),
    ("hostIPC", True),
    ("automountServiceAccountToken", True),
    ("enableServiceLinks", True),
    ("imagePullPolicy", "Always"),
}
_SECRET_NAME: Final = re.compile(r"PASSWORD|SECRET|PRIVATE|TOKEN_KEY|ENCRYPTION_KEY|ACCESS_KEY|CREDENTIAL")
_PASSWORD_IN_URL: Final = re.compile(r"://[^/\s:@]*:(?!\$\()[^/\s@]+@")
_TAG: Final = re.compile(r"^[\w./-]+:(?!latest$)[\w][\w.-]*$")


def pods_are_restricted(manifests: Manifests) -> Iterator[str]:
    """Pod Security *restricted*, said by each Pod itself."""
    for one, template in _templates(manifests):
        spec = template.get("spec", {})
        context = spec.get("securityContext", {})
        yield from (f"{one}: {name}" for name in _HOST if spec.get(name))
        if context.get("runAsNonRoot") is not True:
            yield f"{one}: may run as root"
        if not isinstance(context.get("runAsUser"), int) or context["runAsUser"] < 1:
            yield f"{one}: its user has no number above 0"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{one}: no seccomp profile"
        for volume in spec.get("volumes", []):
            yield from (f"{one}: volume of kind {kind}" for kind in set(volume) - {"name"} - _VOLUMES)
        for container in containers(template):
            yield from (f"{one}: {container.get('name')}: {wrong}" for wrong in _rights(container))


def _rights(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("privileged"):
        yield "privileged"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "keeps capabilities"
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "runs as root"


def roots_are_read_only(manifests: Manifests) -> Iterator[str]:
    """A process can write to its volumes and to nothing else."""
    for one, container in _containers(manifests):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{one}: {container.get('name')}: its root can be written to"


def resources_are_said(manifests: Manifests) -> Iterator[str]:
    """What each container asks for, and the memory that it may not exceed."""
    for one, container in _containers(manifests):
        resources = container.get("resources", {})
        for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if name not in resources.get(kind, {}):
                yield f"{one}: {container.get('name')}: no {name} in {kind}"


def servers_have_probes(manifests: Manifests) -> Iterator[str]:
    """What serves is asked whether it has started, lives and is ready."""
    for one, container in _containers(manifests):
        if one.kind != "Job":
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"{one}: {container.get('name')}: no {probe}"
            if container.get("livenessProbe", {}).get("httpGet", {}).get("path") == "/readyz":
                yield f"{one}: {container.get('name')}: is restarted when a server it needs is away"


def images_are_fixed(manifests: Manifests) -> Iterator[str]:
    """A tag that says which one, and no pull where it is there."""
    for one, container in _containers(manifests):
        if not _TAG.match(str(container.get("image"))):
            yield f"{one}: {container.get('name')}: image {container.get('image')}"
        if container.get("imagePullPolicy") != "IfNotPresent":
            yield f"{one}: {container.get('name')}: imagePullPolicy {container.get('imagePullPolicy')}"


def pods_know_nothing_of_the_cluster(manifests: Manifests) -> Iterator[str]:
    """No token of the API, and no variables named after Services."""
    for one, template in _templates(manifests):
        spec = template.get("spec", {})
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{one}: gets a token of the API"
        if spec.get("enableServiceLinks") is not False:
            yield f"{one}: gets variables of Services"


def no_secret_is_written_down(manifests: Manifests) -> Iterator[str]:
    """Secrets are named here and nowhere spelled out."""
    for one in manifests:
        if one.kind == "Secret" and (one.document.get("data") or one.document.get("stringData")):
            yield f"{one}: a Secret with its values"
        yield from (
            f"{one}: {path} holds a password"
            for path, value in leaves(one.document)
            if isinstance(value, str) and _PASSWORD_IN_URL.search(value)
        )
        settings = [*one.document.get("data", {}).items()] if one.kind == "ConfigMap" else []
        settings += [
            (variable["name"], variable.get("value"))
            for container in containers(pod_template(one) or {})
            for variable in container.get("env", [])
        ]
        yield from (
            f"{one}: {name} is spelled out" for name, value in settings if value and _SECRET_NAME.search(name)
        )


def replicas_have_budgets(manifests: Manifests) -> Iterator[str]:
    """A drain takes one of several at a time; a budget that takes none would stop every drain."""
    budgets = [one for one in manifests if one.kind == "PodDisruptionBudget"]
    for one, template in _templates(manifests):
        mine = [budget for budget in budgets if selects(budget.spec.get("selector", {}), labels_of(template))]
        if one.kind != "Job" and one.spec.get("replicas", 1) > 1 and len(mine) != 1:
            yield f"{one}: {len(mine)} PodDisruptionBudgets"
        yield from (
            f"{budget}: not maxUnavailable 1" for budget in mine if budget.spec.get("maxUnavailable") != 1
        )
    served = [labels_of(template) for _, template in _templates(manifests)]
    for budget in budgets:
        if not any(selects(budget.spec.get("selector"), labels) for labels in served):
            yield f"{budget}: protects nothing"


def network_is_closed(manifests: Manifests) -> Iterator[str]:
    """Nothing in or out for anybody, and then each is given what it needs by a policy that names it."""
    policies = [one for one in manifests if one.kind == "NetworkPolicy"]
    closed = [
        one
        for one in policies
        if one.spec.get("podSelector") == {}
        and set(one.spec.get("policyTypes", [])) == {"Ingress", "Egress"}
        and not one.spec.get("ingress")
        and not one.spec.get("egress")
    ]
    if len(closed) != 1:
        yield f"{len(closed)} policies that deny everything"
    for one, template in _templates(manifests):
        named = [
            policy
            for policy in policies
            if policy.spec.get("podSelector") and selects(policy.spec["podSelector"], labels_of(template))
        ]
        if not named:
            yield f"{one}: no NetworkPolicy names it"
        # A Job is asked by nobody.
        if one.kind != "Job" and not any("Ingress" in policy.spec.get("policyTypes", []) for policy in named):
            yield f"{one}: no NetworkPolicy says who may come in"


def labels_are_sane(manifests: Manifests) -> Iterator[str]:
    """One name, part of one thing; a selector takes the Pods of its own workload and of no other."""
    for one, template in _templates(manifests):
        labels = labels_of(template)
        if labels.get("app.kubernetes.io/name") != one.name:
            yield f"{one}: its Pods are named {labels.get('app.kubernetes.io/name')}"
        if labels.get("app.kubernetes.io/part-of") != "deskline":
            yield f"{one}: its Pods are part of {labels.get('app.kubernetes.io/part-of')}"
        selector = one.spec.get("selector")
        if one.kind != "Job":
            taken = [other for other, its in _templates(manifests) if selects(selector, labels_of(its))]
            if taken != [one]:
                yield f"{one}: its selector takes {[str(other) for other in taken]}"
    for one in manifests:
        if one.kind != "Namespace" and one.document["metadata"].get("namespace") != "deskline":
            yield f"{one}: in another namespace"
        if one.document["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") != "deskline":
            yield f"{one}: part of nothing"


def gives_away(path: str, value: object) -> bool:
    """Whether a value is a right that no Pod of ours has, wherever it stands."""
    field = path.rpartition(".")[2]
    return (field, value) in _GIVEN_AWAY or ".capabilities.add" in path or ".hostPath" in path


OF_EVERY_POD: Final[tuple[Rule, ...]] = (
    pods_are_restricted,
    roots_are_read_only,
    resources_are_said,
    servers_have_probes,
    images_are_fixed,
    pods_know_nothing_of_the_cluster,
)
OF_AN_OVERLAY: Final[tuple[Rule, ...]] = (
    *OF_EVERY_POD,
    no_secret_is_written_down,
    replicas_have_budgets,
    network_is_closed,
    labels_are_sane,
)


def _templates(manifests: Manifests) -> Iterator[tuple[Manifest, Document]]:
    for one in workloads(manifests):
        yield one, pod_template(one) or {}


def _containers(manifests: Manifests) -> Iterator[tuple[Manifest, Document]]:
    for one, template in _templates(manifests):
        for container in containers(template):
            yield one, container
