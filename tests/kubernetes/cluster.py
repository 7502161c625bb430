"""The cluster that KUBECONFIG names: kubectl for what people do, its API for what is asked often."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

Json = dict[str, Any]
NAMESPACE: Final = "deskline"
NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"
CANT_PULL: Final = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
ASK_SECONDS: Final = 0.5


class ClusterError(Exception):
    """The cluster can't do what was asked, or did not in time."""


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition; raises ClusterError naming what never came."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(ASK_SECONDS)


@dataclass(frozen=True)
class Pod:
    """A Pod as it was when we asked."""

    name: str
    uid: str
    kind: str
    component: str
    ready: bool
    ending: bool
    restarts: int
    cant_pull: str | None
    killed_for_memory: bool

    @classmethod
    def of(cls, found: Json) -> "Pod":
        meta, status = found["metadata"], found["status"]
        containers = status.get("containerStatuses", [])
        waiting = [one["state"].get("waiting", {}) for one in containers]
        ended = [
            one.get(when, {}).get("terminated", {}) for one in containers for when in ("state", "lastState")
        ]
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            kind=meta["labels"].get(NAME, ""),
            component=meta["labels"].get(COMPONENT, ""),
            ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])),
            ending="deletionTimestamp" in meta,
            restarts=sum(one["restartCount"] for one in containers),
            cant_pull=next((w.get("message", "") for w in waiting if w.get("reason") in CANT_PULL), None),
            killed_for_memory=any(one.get("reason") == "OOMKilled" for one in ended),
        )


class Cluster:
    """One namespace of a cluster; `api` speaks through `kubectl proxy`, which signs in as kubectl does."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self._pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def kubectl(self, *words: str, content: str | None = None, seconds: float = 300) -> str:
        """What kubectl printed; raises ClusterError with what it complained of."""
        done = subprocess.run(
            ["kubectl", "--namespace", NAMESPACE, *words],
            input=content,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def pods(self) -> list[Pod]:
        answer = self.api.get(self._pods)
        answer.raise_for_status()
        return [Pod.of(found) for found in answer.json()["items"]]

    def of_kind(self, kind: str) -> list[Pod]:
        return [pod for pod in self.pods() if pod.kind == kind]

    def ready_pod(self, kind: str) -> Pod | None:
        """One that serves and is not asked to end."""
        return next((pod for pod in self.of_kind(kind) if pod.ready and not pod.ending), None)

    def evict(self, pod: Pod) -> bool:
        """Ask for an eviction, as a drain does; False where a disruption budget forbids it now."""
        wanted = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": NAMESPACE},
            # Its successor may have the same name.
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        answer = self.api.post(f"{self._pods}/{pod.name}/eviction", json=wanted)
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return False
        if answer.status_code not in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}:
            answer.raise_for_status()
        return True

    def replicas(self) -> dict[str, int]:
        """How many Pods of each kind there should be."""
        found: dict[str, int] = {}
        for workload in ("statefulsets", "deployments"):
            answer = self.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/{workload}")
            answer.raise_for_status()
            found |= {one["metadata"]["name"]: one["spec"]["replicas"] for one in answer.json()["items"]}
        return found

    def nodes(self) -> list[str]:
        """Nodes on which our services run."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"{COMPONENT}=service", "-o", "json"))
        return sorted({one["spec"]["nodeName"] for one in found["items"]})

    def missing(self) -> list[str]:
        """Kinds with fewer ready Pods than they should have, or with one that is ending still."""
        pods = self.pods()
        short = []
        for kind, wanted in self.replicas().items():
            mine = [pod for pod in pods if pod.kind == kind]
            if sum(pod.ready and not pod.ending for pod in mine) != wanted or len(mine) != wanted:
                short.append(kind)
        return short

    def until_all_ready(self, seconds: float = 240) -> None:
        until("every Pod ready", lambda: not self.missing(), seconds)


@contextmanager
def connected(folder: Path) -> Iterator[Cluster]:
    """The cluster, for as long as it is used; raises ClusterError when it doesn't answer."""
    socket = folder / "api.sock"
    log = folder / "kubectl-proxy.log"
    with log.open("w") as lines:
        proxy = subprocess.Popen(
            ["kubectl", "proxy", f"--unix-socket={socket}"], stdout=lines, stderr=subprocess.STDOUT
        )
    try:
        transport = httpx.HTTPTransport(uds=str(socket), retries=3)
        with httpx.Client(base_url="http://localhost", transport=transport, timeout=15) as api:
            until("an answer of the cluster", lambda: proxy.poll() is not None or _answers(api, socket), 15)
            if proxy.poll() is not None:
                raise ClusterError(f"kubectl proxy: {log.read_text().strip()}")
            yield Cluster(api)
    finally:
        proxy.terminate()
        proxy.wait(10)


def _answers(api: httpx.Client, socket: Path) -> bool:
    if not socket.exists():
        return False
    answer = api.get("/version")
    if answer.is_server_error:
        raise ClusterError(f"the cluster that KUBECONFIG names doesn't answer: {answer.text.strip()}")
    return answer.is_success
