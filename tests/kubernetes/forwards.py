"""Ways into the cluster: `kubectl port-forward`, begun anew with another Pod whenever one ends."""

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
from tests.kubernetes.cluster import NAMESPACE, Cluster, ClusterError, Pod, until

LOOK_SECONDS: Final = 0.5
FORWARD: Final = ("kubectl", "--namespace", NAMESPACE, "port-forward", "--address=127.0.0.1")


class Forward:
    """One port of 127.0.0.1 that leads to a ready Pod of a kind, as a Service would."""

    def __init__(self, cluster: Cluster, kind: str, remote: int, local: int, folder: Path) -> None:
        self.kind, self.local = kind, local
        self.begun = 0
        self._cluster, self._remote = cluster, remote
        self._log = folder / f"forward-{kind}-{remote}.log"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"forward-{kind}", daemon=True)

    def start(self) -> None:
        if self._open():
            # It would lead to somebody else, and nobody would notice.
            raise ClusterError(f"something listens on 127.0.0.1:{self.local} already")
        self._thread.start()
        until(f"a way to {self.kind}", self._open, 60)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(15)

    def _open(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.local), 1):
            return True
        return False

    def _keep(self) -> None:
        while not self._stop.is_set():
            pod = self._choose()
            if pod is not None:
                self._lead_to(pod)
            self._stop.wait(0.1)

    def _choose(self) -> Pod | None:
        # The cluster's API may be away for a moment; then nobody is chosen, and it is asked again.
        with suppress(httpx.HTTPError):
            return self._cluster.ready_pod(self.kind)
        return None

    def _lead_to(self, pod: Pod) -> None:
        with self._log.open("a") as lines:
            lines.write(f"to {pod.name} {pod.uid}\n")
            lines.flush()
            process = subprocess.Popen(
                [*FORWARD, f"pod/{pod.name}", f"{self.local}:{self._remote}"],
                stdout=lines,
                stderr=subprocess.STDOUT,
            )
        self.begun += 1
        try:
            while process.poll() is None and not self._stop.is_set() and self._leads_well(pod):
                self._stop.wait(LOOK_SECONDS)
        finally:
            process.terminate()
            process.wait(10)

    def _leads_well(self, pod: Pod) -> bool:
        """Whether to stay: the Pod is there, and there is no better one."""
        try:
            mine = self._cluster.of_kind(self.kind)
        except httpx.HTTPError:
            return True
        now = next((one for one in mine if one.uid == pod.uid), None)
        if now is None:
            return False
        if now.ready and not now.ending:
            return True
        return not any(one.ready and not one.ending for one in mine)
