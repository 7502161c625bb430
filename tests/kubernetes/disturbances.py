"""What happens to a deployment in its life: new versions, drained nodes, killed Pods, restarted servers."""

import subprocess
from collections.abc import Callable
from typing import Final

from tests.kubernetes.cluster import COMPONENT, NAMESPACE, Cluster, Pod, say, until

from deskline_local.deployment import SERVICES

Step = tuple[str, Callable[[], None]]
SERVERS: Final = ("mailbox", "kafka", "postgres")
WORKLOAD: Final = {"gateway": "deployment"}
BACK_SECONDS: Final = 240.0
DRAIN_SECONDS: Final = 300
# Long enough for the evictions that the budgets allow, short enough that those they don't are told soon.
ONE_NODE_SECONDS: Final = 12


def steps(cluster: Cluster) -> list[Step]:
    """All of it, in the order of what hurts more and more."""
    return [
        *((f"rolling update of {kind}", lambda kind=kind: roll(cluster, kind)) for kind in SERVICES),
        ("drain", lambda: drain(cluster)),
        *(
            (f"a Pod of {kind} killed", lambda kind=kind: kill(cluster, kind))
            for kind in (*SERVICES, "mailbox")
        ),
        *((f"{kind} restarted", lambda kind=kind: roll(cluster, kind)) for kind in ("kafka", "postgres")),
        *((f"{kind} killed", lambda kind=kind: kill(cluster, kind)) for kind in ("kafka", "postgres")),
    ]


def roll(cluster: Cluster, kind: str) -> None:
    """As a new version does, one Pod after another."""
    target = f"{WORKLOAD.get(kind, 'statefulset')}/{kind}"
    before = {pod.uid for pod in cluster.of_kind(kind)}
    cluster.kubectl("rollout", "restart", target)
    cluster.kubectl("rollout", "status", target, f"--timeout={BACK_SECONDS:.0f}s", seconds=BACK_SECONDS + 10)
    cluster.until_all_ready(BACK_SECONDS)
    assert not before & uids(cluster), f"not every Pod of {kind} is a new one"


def kill(cluster: Cluster, kind: str) -> None:
    """With no time to end well, and with a successor of the same name that doesn't wait for its end."""
    victim = cluster.ready_pod(kind)
    assert victim is not None, f"no Pod of {kind} is ready"
    if kind == "postgres":
        stop_at_once(cluster, victim)
    else:
        cluster.kubectl("delete", "pod", victim.name, "--grace-period=0", "--force", "--wait=false")
        until(f"{victim.name} gone", lambda: victim.uid not in uids(cluster), BACK_SECONDS)
    cluster.until_all_ready(BACK_SECONDS)


def stop_at_once(cluster: Cluster, server: Pod) -> None:
    """PostgreSQL as after a crash; a Pod forced away could live on beside its successor, on one volume."""
    words = ["exec", server.name, "--", "pg_ctl", "stop", "--mode=immediate", "--no-wait"]
    # The command may die with the server that it stops.
    subprocess.run(["kubectl", "-n", NAMESPACE, *words], capture_output=True, timeout=60, check=False)
    until(
        f"{server.name} started anew",
        lambda: any(one.uid == server.uid and one.restarts > server.restarts for one in cluster.pods()),
        BACK_SECONDS,
    )


def drain(cluster: Cluster) -> None:
    """A node is emptied of our services; where there is no other, as far as the budgets let."""
    nodes = cluster.nodes()
    before = serving(cluster)
    node, alone = nodes[0], len(cluster.kubectl("get", "nodes", "-o", "name").split()) == 1
    cluster.kubectl("cordon", node)
    try:
        done = kubectl_drain(node, ONE_NODE_SECONDS if alone else DRAIN_SECONDS)
        if alone:
            # There is nowhere to go: one Pod of each service waits, and the budget keeps the other.
            assert done.returncode != 0, "the drain took Pods that a budget protects"
            assert "disruption budget" in done.stderr, done.stderr
            check_budgets_hold(cluster, before)
        else:
            assert done.returncode == 0, done.stderr
    finally:
        cluster.kubectl("uncordon", node)
    cluster.until_all_ready(BACK_SECONDS)
    if alone:
        left = {pod.uid: pod for pod in before if pod.uid in uids(cluster)}
        say(f"  one node: {len(before) - len(left)} evicted and back, now the other {len(left)}")
        until("every Pod evicted once", lambda: not evicted(cluster, left), BACK_SECONDS)
        cluster.until_all_ready(BACK_SECONDS)


def kubectl_drain(node: str, seconds: int) -> subprocess.CompletedProcess[str]:
    words = [
        "kubectl",
        "drain",
        node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        f"--timeout={seconds}s",
    ]
    return subprocess.run(
        [*words, f"--pod-selector={COMPONENT}=service,app.kubernetes.io/part-of={NAMESPACE}"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )


def check_budgets_hold(cluster: Cluster, before: list[Pod]) -> None:
    """Of each service with two Pods one was left where it was."""
    left = uids(cluster)
    for kind in SERVICES:
        mine = [pod for pod in before if pod.kind == kind]
        kept = [pod for pod in mine if pod.uid in left]
        assert len(kept) == len(mine) - 1, f"{kind}: {len(kept)} of {len(mine)} Pods left"


def evicted(cluster: Cluster, left: dict[str, Pod]) -> dict[str, Pod]:
    """Ask for the eviction of each that is left; what is left then."""
    for pod in list(left.values()):
        if cluster.evict(pod):
            del left[pod.uid]
    return left


def serving(cluster: Cluster) -> list[Pod]:
    return [pod for pod in cluster.pods() if pod.component == "service"]


def uids(cluster: Cluster) -> set[str]:
    return {pod.uid for pod in cluster.pods()}
