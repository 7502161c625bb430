"""What kubectl makes of the overlays: valid, whole, and each of its command lines starts as it is told to."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery import references, rules, stand_ins
from tests.delivery.engine import wait_for_line
from tests.delivery.manifests import OVERLAYS, Manifest, is_patch, rendered, sources, workloads
from tests.delivery.pods import Kubelet, Started, environment, in_order
from tests.delivery.references import Overlay
from tests.delivery.schemas import problems_of

from deskline_local.deployment import SERVICES

FOLDERS = (
    "base",
    "topics",
    "monitoring",
    "overlays/high-availability/servers",
    *(f"overlays/{name}" for name in OVERLAYS),
)
SERVERS = ("kafka", "postgres", "mailbox")
STARTED_SECONDS = 120.0
# `prepare` waits a minute for servers.
ENDED_SECONDS = 150.0

extra = pytest.mark.extra


def _overlay(name: str) -> Overlay:
    return Overlay(name, rendered(f"overlays/{name}"))


@extra
@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_rendered_fits_its_schemas(folder: str) -> None:
    found = rendered(folder)
    assert found
    assert [problem for one in found for problem in problems_of(one)] == []
    names = [(one.document["apiVersion"], one.kind, one.name) for one in found]
    assert len(set(names)) == len(names)


@extra
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_keeps_the_rules_of_the_house(overlay: str) -> None:
    manifests = rendered(f"overlays/{overlay}")
    assert [problem for rule in rules.OF_AN_OVERLAY for problem in rule(manifests)] == []


@extra
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_runs_every_service_and_prepares_it(overlay: str) -> None:
    found = {one.name for one in workloads(rendered(f"overlays/{overlay}"))}
    wanted = {*SERVICES, *(f"prepare-{service}" for service in SERVICES)}
    assert found == wanted | (set(SERVERS) if overlay == "small" else set())


@extra
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_reference_resolves(overlay: str) -> None:
    whole = _overlay(overlay)
    resolved = (
        references.settings_resolve,
        references.addresses_resolve,
        references.services_resolve,
        references.policies_resolve,
    )
    assert [problem for each in resolved for problem in each(whole)] == []


@extra
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_lets_through_what_is_needed_and_nothing_else(overlay: str) -> None:
    whole = _overlay(overlay)
    kafka, port = ("kafka", 9092) if overlay == "small" else ("deskline-kafka", 9093)
    for service in SERVICES:
        for one in (service, f"prepare-{service}"):
            assert whole.may_reach(one, kafka, port), one
            assert whole.may_reach(one, "postgres", 5432), one
        if service != "gateway":
            assert whole.may_reach("gateway", service, 8080)
            assert not whole.may_reach(service, "tickets", 8080)
            assert not whole.may_reach(f"prepare-{service}", service, 8080)
    if overlay == "small":
        assert whole.may_reach("notify", "mailbox", 2526)
        assert not whole.may_reach("tickets", "mailbox", 2526)
        assert not whole.may_reach("mailbox", "postgres", 5432)


@extra
def test_what_does_not_resolve_is_seen() -> None:
    manifests = rendered("overlays/small")

    def without(kind: str, name: str) -> Overlay:
        kept = tuple(one for one in manifests if not (one.kind == kind and one.name.startswith(name)))
        assert len(kept) < len(manifests)
        return Overlay("small", kept)

    assert list(references.settings_resolve(without("ConfigMap", "deskline")))
    assert list(references.addresses_resolve(without("Service", "sla")))
    assert list(references.addresses_resolve(without("Service", "postgres")))
    assert list(references.services_resolve(without("Service", "kafka")))
    assert list(references.services_resolve(without("Deployment", "gateway")))
    assert list(references.policies_resolve(without("StatefulSet", "mailbox")))
    assert not without("NetworkPolicy", "postgres-from-services").may_reach("sla", "postgres", 5432)
    assert not without("NetworkPolicy", "services-to-servers").may_reach("sla", "postgres", 5432)
    secrets = Overlay("small", manifests).secrets()
    assert {"deskline", "postgres"} < set(secrets)


@pytest.mark.unit
def test_variables_are_made_as_a_kubelet_makes_them() -> None:
    reference = {"secretKeyRef": {"name": "s", "key": "password"}}
    container = {
        "envFrom": [{"configMapRef": {"name": "m"}}],
        "env": [
            {"name": "PASSWORD", "valueFrom": reference},
            {"name": "URL", "value": "//u:$(PASSWORD)@$(HOST)/$(LATER)"},
            {"name": "LATER", "value": "x"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "no", "optional": True}}},
        ],
    }
    made = environment(container, {"m": {"HOST": "h"}}, {"s": {"password": "p"}}, "one-0")
    assert made == {"HOST": "h", "PASSWORD": "p", "URL": "//u:p@h/$(LATER)", "LATER": "x", "POD": "one-0"}
    with pytest.raises(AssertionError, match="no Secret s"):
        environment({"env": [{"name": "PASSWORD", "valueFrom": reference}]}, {}, {}, "one-0")


@pytest.mark.unit
def test_parts_of_documents_are_known_from_whole_ones() -> None:
    parts = {one.place.rpartition("/")[2] for one in sources() if is_patch(one)}
    assert {"pod.yaml[0]", "serving.yaml[0]", "authorities.yaml[0]"} <= parts
    assert "namespace.yaml[0]" not in parts


class Running:
    """A started overlay."""

    def __init__(self, kubelet: Kubelet, overlay: Overlay) -> None:
        self.kubelet = kubelet
        self._workloads = {one.name: one for one in workloads(overlay.manifests)}
        self.started: dict[str, Started] = {}

    def start(self, *names: str) -> list[Started]:
        """The containers of these workloads' first Pods, all at once."""
        for name in names:
            (self.started[name],) = self.kubelet.start(self._workloads[name])
        return [self.started[name] for name in names]


@pytest.fixture(scope="module")
def small(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of `small` on one network, in the order in which it is applied."""
    overlay = _overlay("small")
    kubelet = Kubelet(overlay, tmp_path_factory.mktemp("small"), connected=True)
    try:
        running = Running(kubelet, overlay)
        running.start(*SERVERS)
        for server in SERVERS:
            one = running.started[server]
            one.until(lambda one=one: one.asked("readinessProbe"), STARTED_SECONDS)  # type: ignore[misc]
        yield running
    finally:
        kubelet.close()


@pytest.fixture(scope="module")
def high_availability(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of `high-availability` on one network, with plain servers that have what its resources say."""
    overlay = _overlay("high-availability")
    folder = tmp_path_factory.mktemp("high-availability")
    kubelet = Kubelet(overlay, folder, connected=True)
    try:
        authority, network, hidden = kubelet.authority, kubelet.network, kubelet.secrets
        kafka = kubelet.adopt(stand_ins.start_kafka(network, folder / "kafka", authority))
        postgres = kubelet.adopt(stand_ins.start_postgres(overlay, network, folder / "postgres", authority))
        wait_for_line(kafka, "Kafka Server started", STARTED_SECONDS)
        # The first time it is ready only to itself.
        wait_for_line(postgres, r"(?s)ready to accept connections.*ready to accept connections")
        stand_ins.lay_users_and_topics(overlay, hidden, kafka, "deskline-tickets:dev")
        stand_ins.lay_roles_and_databases(overlay, hidden, postgres)
        yield Running(kubelet, overlay)
    finally:
        kubelet.close()


def _prepare_and_serve(running: Running, lacking: dict[str, set[str]]) -> None:
    preparing = running.start(*(f"prepare-{service}" for service in SERVICES))
    for one in preparing:
        assert one.until_ended(ENDED_SECONDS) == 0, f"{one.name}:\n{one.said()[-3000:]}"
    for service, one in zip(SERVICES, running.start(*SERVICES), strict=True):
        for probe in ("startupProbe", "livenessProbe"):
            one.until(lambda one=one, probe=probe: one.asked(probe), STARTED_SECONDS)  # type: ignore[misc]
        red = lacking.get(service, set())
        one.until(lambda one=one, red=red: one.lacks() == red, STARTED_SECONDS)  # type: ignore[misc]
        assert one.asked("readinessProbe") == (not red)


@pytest.mark.containers
@pytest.mark.timeout(600)
def test_every_command_line_of_small_does_its_work(small: Running) -> None:
    _prepare_and_serve(small, {})
    for server in SERVERS:
        one = small.started[server]
        one.until(lambda one=one: one.asked("livenessProbe"), STARTED_SECONDS)  # type: ignore[misc]
    assert list(in_order([*small.started.values()])) == []


@pytest.mark.containers
@pytest.mark.timeout(600)
def test_every_command_line_of_high_availability_does_its_work(high_availability: Running) -> None:
    # There is no object store here: intake's only loop that looks into it from time to time says so.
    _prepare_and_serve(high_availability, {"intake": {"sweeper"}})
    refused = [
        f"{one.name}: {line}"
        for one in high_availability.started.values()
        for line in one.said().splitlines()
        if "Authorization" in line
    ]
    assert refused == []
    assert list(in_order([*high_availability.started.values()])) == []


@pytest.mark.containers
@pytest.mark.parametrize("broken", ["volume", "setting", "user"])
def test_a_command_line_that_lacks_what_it_needs_is_seen(engine: None, tmp_path: Path, broken: str) -> None:
    overlay = _overlay("small")
    (whole,) = [one for one in workloads(overlay.manifests) if one.name == "mailbox"]
    document = copy.deepcopy(whole.document)
    pod = document["spec"]["template"]["spec"]
    if broken == "volume":
        pod["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    elif broken == "setting":
        pod["containers"][0]["env"] = [{"name": "DESKLINE_MAILBOX_HTTP_PORT", "value": "no"}]
    else:
        pod["securityContext"] |= {"runAsUser": 12345, "fsGroup": 12345}
        document["spec"]["volumeClaimTemplates"] = []
        pod["containers"][0]["volumeMounts"] = []
    kubelet = Kubelet(overlay, tmp_path, connected=False)
    try:
        (one,) = kubelet.start(Manifest("broken", document))
        with pytest.raises(AssertionError, match="ended with"):
            one.until(lambda: one.asked("readinessProbe"), STARTED_SECONDS)
        assert (broken == "setting") != bool(list(in_order([one])))
    finally:
        kubelet.close()
