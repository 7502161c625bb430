"""What a rendered overlay refers to: each name must be something rendered, made by an operator, or given."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from tests.delivery.manifests import (
    KUBERNETES,
    Document,
    Manifest,
    containers,
    labels_of,
    pod_template,
    selects,
    workloads,
)

# Secrets that nobody can make up: `docs/guides/high-availability.md` says what is in them.
BY_HAND: Final[dict[str, dict[str, dict[str, str]]]] = {
    "small": {},
    "high-availability": {
        "intake-objects": {"access-key-id": "A", "secret-access-key": "s", "region": "eu-central-1"},
        "postgres-backups": {"access-key-id": "A", "secret-access-key": "s", "region": "eu-central-1"},
    },
}
_ADDRESS: Final = re.compile(r"(?:(?:postgresql|http)://(?:[^@/\s]*@)?|^|,)([a-z][a-z0-9.-]*):(\d+)")


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods as the network sees them: of a workload, or of an operator's resource."""

    name: str
    labels: dict[str, str]
    ports: frozenset[int]
    names: dict[str, int] = field(default_factory=dict)

    def port(self, wanted: int | str) -> int | None:
        """The port by its number or name, where these Pods have it."""
        number = self.names.get(wanted) if isinstance(wanted, str) else wanted
        return number if number in self.ports else None


class Overlay:
    """A rendered overlay with all that its operators and its operator's people add."""

    def __init__(self, name: str, manifests: tuple[Manifest, ...]) -> None:
        self.name = name
        self.manifests = manifests

    def of_kind(self, kind: str) -> list[Manifest]:
        """Those of a kind."""
        return [one for one in self.manifests if one.kind == kind]

    def secrets(self, authority: str = "") -> dict[str, dict[str, str]]:
        """Every Secret and its values: made anew by the overlay's script, by operators, by hand.

        `authority` stands for the certificates that operators sign with.
        """
        script = KUBERNETES / "overlays" / self.name / "secrets"
        said = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True).stdout
        made = {one["metadata"]["name"]: one["stringData"] for one in yaml.safe_load_all(said)}
        for kafka in self.of_kind("Kafka"):
            made[f"{kafka.name}-cluster-ca-cert"] = {"ca.crt": authority}
            prefix = kafka.spec["entityOperator"]["userOperator"].get("secretPrefix", "")
            made |= {f"{prefix}{user.name}": {"password": "p"} for user in self.of_kind("KafkaUser")}
        made |= {f"{cluster.name}-ca": {"ca.crt": authority} for cluster in self.of_kind("Cluster")}
        return made | BY_HAND[self.name]

    def addresses(self) -> set[tuple[str, int]]:
        """Names and ports at which something of this namespace listens."""
        found = {
            (service.name, port["port"])
            for service in self.of_kind("Service")
            for port in service.spec["ports"]
        }
        for kafka in self.of_kind("Kafka"):
            found |= {
                (f"{kafka.name}-kafka-bootstrap", one["port"]) for one in kafka.spec["kafka"]["listeners"]
            }
        return found | {(f"{cluster.name}-rw", 5432) for cluster in self.of_kind("Cluster")}

    def pods(self) -> list[Pods]:
        """Everything that the network's policies speak of."""
        found = []
        for one in workloads(self.manifests):
            template = pod_template(one) or {}
            ports = [port for container in containers(template) for port in container.get("ports", [])]
            names = {port["name"]: port["containerPort"] for port in ports}
            found.append(Pods(one.name, labels_of(template), frozenset(names.values()), names))
        for kafka in self.of_kind("Kafka"):
            its = {"strimzi.io/cluster": kafka.name}
            listeners = {one["port"] for one in kafka.spec["kafka"]["listeners"]}
            name, operator = f"{kafka.name}-kafka", f"{kafka.name}-entity-operator"
            found.append(Pods(name, its | {"strimzi.io/name": name}, frozenset({9090, 9091} | listeners)))
            found.append(Pods(operator, its | {"strimzi.io/name": operator}, frozenset()))
        for cluster in self.of_kind("Cluster"):
            labels = {"cnpg.io/cluster": cluster.name}
            found.append(Pods(cluster.name, labels, frozenset({5432, 8000, 9187})))
        return found

    def may_reach(self, source: str, target: str, port: int) -> bool:
        """Whether the policies let one's Pods call the other's; both sides have to."""
        (one,) = [pods for pods in self.pods() if pods.name == source]
        (other,) = [pods for pods in self.pods() if pods.name == target]
        return self._lets("egress", "to", one, other, port) and self._lets(
            "ingress", "from", other, one, port
        )

    def _lets(self, way: str, side: str, mine: Pods, peer: Pods, port: int) -> bool:
        destination = peer if way == "egress" else mine
        return any(
            any(selects(one.get("podSelector"), peer.labels) for one in rule.get(side, [{"podSelector": {}}]))
            and any(destination.port(one["port"]) == port for one in rule.get("ports", []))
            for policy in self.of_kind("NetworkPolicy")
            if selects(policy.spec["podSelector"], mine.labels)
            for rule in policy.spec.get(way, [])
        )


def settings_resolve(overlay: Overlay) -> Iterator[str]:
    """ConfigMaps, Secrets and their keys, in variables and volumes."""
    maps = {one.name: set(one.document.get("data", {})) for one in overlay.of_kind("ConfigMap")}
    secrets = {name: set(values) for name, values in overlay.secrets().items()}
    for one, document in _users(overlay):
        for kind, name, key in _asked(document):
            keys = (maps if kind == "ConfigMap" else secrets).get(name)
            if keys is None:
                yield f"{one}: no {kind} {name}"
            elif key is not None and key not in keys:
                yield f"{one}: {kind} {name} has no {key}"


def _users(overlay: Overlay) -> Iterator[tuple[Manifest, Any]]:
    for one in overlay.manifests:
        # Policies name Pods and ports, no settings.
        if one.kind not in {"NetworkPolicy", "ConfigMap", "Namespace"}:
            yield one, one.document


def _asked(value: Any) -> Iterator[tuple[str, str, str | None]]:
    """(kind, name, key) of all that must be there; key is None where the whole is taken."""
    if isinstance(value, list):
        for inner in value:
            yield from _asked(inner)
        return
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in {"secretKeyRef", "configMapKeyRef", "secretRef", "configMapRef"}:
            if not inner.get("optional"):
                yield ("Secret" if key.startswith("secret") else "ConfigMap"), inner["name"], inner.get("key")
        elif key in {"secretTargetRef", "configMapTargetRef"}:
            kind = "Secret" if key.startswith("secret") else "ConfigMap"
            yield from ((kind, each["name"], each["key"]) for each in inner)
        elif key == "passwordSecret":
            yield "Secret", inner["name"], "password"
        elif key == "s3Credentials":
            yield from (("Secret", each["name"], each["key"]) for each in inner.values())
        elif key == "secret" and "secretName" in inner:
            yield from (
                ("Secret", inner["secretName"], each["key"]) for each in inner.get("items", [{"key": None}])
            )
        else:
            yield from _asked(inner)


def addresses_resolve(overlay: Overlay) -> Iterator[str]:
    """Whoever is called by a bare name is a Service of this namespace, at a port that it has."""
    known = overlay.addresses()
    texts: list[tuple[str, str]] = [
        (f"{one}: {name}", value)
        for one in overlay.of_kind("ConfigMap")
        for name, value in one.document.get("data", {}).items()
    ]
    texts += [
        (f"Secret {name}: {key}", value)
        for name, values in overlay.secrets().items()
        for key, value in values.items()
        if key.endswith("url")
    ]
    texts += [
        (f"{one}: {variable['name']}", str(variable["value"]))
        for one in workloads(overlay.manifests)
        # A server's own addresses are in a language of its own.
        if "service" in {container["name"] for container in containers(pod_template(one) or {})}
        for container in containers(pod_template(one) or {})
        for variable in container.get("env", [])
        if "value" in variable
    ]
    for place, text in texts:
        for host, port in _ADDRESS.findall(text):
            if "." not in host and (host, int(port)) not in known:
                yield f"{place}: nothing at {host}:{port}"


def services_resolve(overlay: Overlay) -> Iterator[str]:
    """A Service has Pods and their ports; a StatefulSet has its Service."""
    services = {one.name for one in overlay.of_kind("Service")}
    for one in overlay.of_kind("Service"):
        behind = [
            pods for pods in overlay.pods() if selects({"matchLabels": one.spec["selector"]}, pods.labels)
        ]
        if len(behind) != 1:
            yield f"{one}: {len(behind)} workloads behind it"
        for pods in behind:
            yield from (
                f"{one}: {pods.name} has no port {port['targetPort']}"
                for port in one.spec["ports"]
                if pods.port(port["targetPort"]) is None
            )
    for one in overlay.of_kind("StatefulSet"):
        if one.spec.get("serviceName") not in services:
            yield f"{one}: no Service {one.spec.get('serviceName')}"


def policies_resolve(overlay: Overlay) -> Iterator[str]:
    """A policy names Pods that there are, and ports that they have."""
    for one in overlay.of_kind("NetworkPolicy"):
        mine = [pods for pods in overlay.pods() if selects(one.spec["podSelector"], pods.labels)]
        if not mine:
            yield f"{one}: for nobody"
        for rule in one.spec.get("ingress", []):
            yield from _peers(one, overlay, rule.get("from", []))
            yield from _ports(one, mine, rule)
        for rule in one.spec.get("egress", []):
            yield from _peers(one, overlay, rule.get("to", []))
            inside = [peer["podSelector"] for peer in rule.get("to", []) if set(peer) == {"podSelector"}]
            named = [pods for pods in overlay.pods() if any(selects(peer, pods.labels) for peer in inside)]
            if named:
                yield from _ports(one, named, rule)


def _peers(policy: Manifest, overlay: Overlay, peers: list[Document]) -> Iterator[str]:
    for peer in peers:
        if set(peer) == {"podSelector"} and not any(
            selects(peer["podSelector"], pods.labels) for pods in overlay.pods()
        ):
            yield f"{policy}: nobody is {peer['podSelector']}"


def _ports(policy: Manifest, pods: list[Pods], rule: Document) -> Iterator[str]:
    for port in rule.get("ports", []):
        if not any(each.port(port["port"]) for each in pods):
            yield f"{policy}: nobody has port {port['port']}"
