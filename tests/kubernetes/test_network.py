"""Who may speak to whom in the cluster: a stranger only to the doors, a service only to what it needs."""

import json
from collections.abc import Iterator
from typing import Final

import pytest
from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.deployment import Deployed

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

STRANGERS: Final = "deskline-strangers"
ALL: Final = {
    "gateway:8080",
    "intake:2525",
    "intake:8080",
    "tickets:8080",
    "notify:8080",
    "mailbox:2526",
    "mailbox:8025",
    "postgres:5432",
    "kafka:9092",
}
SERVERS: Final = {"postgres:5432", "kafka:9092"}
MAY: Final = {
    "gateway": {"intake:8080", "tickets:8080", "notify:8080"} | SERVERS,
    "notify": {"mailbox:2526"} | SERVERS,
    "sla": SERVERS,
    "mailbox": set[str](),
}
KNOCK: Final = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
    except OSError:
        return False
    return True
places = sys.argv[1:]
with ThreadPoolExecutor(len(places)) as pool:
    print(json.dumps([place for place, open in zip(places, pool.map(opens, places)) if open]))
"""


@pytest.mark.parametrize("kind", sorted(MAY))
def test_service_reaches_what_it_needs_and_nothing_else(deployed: Deployed, kind: str) -> None:
    pod = deployed.cluster.ready_pod(kind)
    assert pod is not None
    told = deployed.cluster.kubectl("exec", pod.name, "--", "python3", "-c", KNOCK, *sorted(ALL))
    assert set(json.loads(told)) == MAY[kind]


@pytest.fixture
def stranger(deployed: Deployed) -> Iterator[str]:
    """The name of a Pod in another namespace, which knocks everywhere."""
    cluster = deployed.cluster
    cluster.kubectl("create", "namespace", STRANGERS)
    try:
        places = [f"{host}.deskline:{port}" for host, port in (one.split(":") for one in sorted(ALL))]
        image = cluster.kubectl(
            "get", "statefulset/sla", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
        )
        cluster.kubectl(
            *("run", "stranger", f"--namespace={STRANGERS}", f"--image={image}", "--restart=Never"),
            *("--command", "--", "python3", "-c", KNOCK, *places),
        )
        yield "stranger"
    finally:
        cluster.kubectl("delete", "namespace", STRANGERS)


def test_stranger_reaches_the_doors_only(deployed: Deployed, stranger: str) -> None:
    until("the stranger knocked", lambda: phase(deployed.cluster, stranger) == "Succeeded", 120)
    told = deployed.cluster.kubectl("logs", stranger, f"--namespace={STRANGERS}")
    assert set(json.loads(told)) == {"gateway.deskline:8080", "intake.deskline:2525"}


def phase(cluster: Cluster, name: str) -> str:
    return cluster.kubectl("get", "pod", name, f"--namespace={STRANGERS}", "-o", "jsonpath={.status.phase}")
