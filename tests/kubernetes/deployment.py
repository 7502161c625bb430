"""Deskline in the cluster: installed as the guide says, with ways to its doors, and removed again."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.kubernetes.cluster import NAMESPACE, Cluster, ClusterError, Pod, say, until
from tests.kubernetes.forwards import Forward

from deskline_local.ports import choose
from deskline_local.site import ExternalSite

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ROOT / "deploy" / "kubernetes"
OVERLAY: Final = Path(os.environ.get("DESKLINE_KUBERNETES_OVERLAY") or FILES / "overlays" / "small")
INSTALL_SECONDS: Final = 600.0
FIRST_VARIABLE: Final = "/spec/template/spec/containers/0/env/0"
COMMAND: Final = f"kubectl --namespace {NAMESPACE} exec service/{{service}} -- deskline-{{service}}"


@dataclass(frozen=True)
class Deployed:
    """The running deployment."""

    cluster: Cluster
    site: ExternalSite
    variables: dict[str, str]
    forwards: list[Forward]


@contextmanager
def installed(cluster: Cluster, folder: Path, kafka_port: int) -> Iterator[None]:
    """The overlay, from nothing to ready, and nothing of it afterwards (unless DESKLINE_KEEP is set)."""
    if cluster.kubectl("get", "namespace", "--ignore-not-found", NAMESPACE, "-o", "name"):
        raise ClusterError(f"there is a namespace {NAMESPACE} already: kubectl delete namespace {NAMESPACE}")
    try:
        cluster.kubectl("apply", "-f", str(FILES / "base" / "namespace.yaml"))
        made = subprocess.run([OVERLAY / "secrets"], capture_output=True, text=True, check=True)
        cluster.kubectl("create", "-f", "-", content=made.stdout)
        apply(cluster, with_kafka_at(kafka_port, folder / "overlay"))
        yield
    except BaseException:
        keep_what_happened(cluster, folder)
        raise
    finally:
        if not os.environ.get("DESKLINE_KEEP"):
            say(f"deleting namespace {NAMESPACE}")
            cluster.kubectl("delete", "namespace", NAMESPACE, seconds=600)


def with_kafka_at(port: int, folder: Path) -> Path:
    """The overlay with a broker that tells clients to come to this port: its own may be taken here."""
    patch = [
        {"op": "test", "path": f"{FIRST_VARIABLE}/name", "value": "LOCAL_PORT"},
        {"op": "replace", "path": f"{FIRST_VARIABLE}/value", "value": str(port)},
    ]
    kustomization = {
        "resources": [os.path.relpath(OVERLAY, folder)],
        "patches": [{"target": {"kind": "StatefulSet", "name": "kafka"}, "patch": json.dumps(patch)}],
    }
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def apply(cluster: Cluster, overlay: Path) -> None:
    """The script of the guide, with a line of progress whenever something changes."""
    script = subprocess.Popen([FILES / "apply.sh", overlay])
    told = ""

    def over() -> bool:
        nonlocal told
        pods = cluster.pods()
        refuse_missing_images(pods)
        lasting = [pod for pod in pods if pod.component != "prepare"]
        line = f"  {sum(pod.ready for pod in lasting)} of {len(lasting)} Pods ready"
        if line != told:
            say(line)
            told = line
        return script.poll() is not None

    try:
        until(f"{OVERLAY.name} installed", over, INSTALL_SECONDS)
    finally:
        script.terminate()
    if script.wait(10) != 0:
        raise ClusterError(f"apply.sh ended with {script.returncode}")
    cluster.until_all_ready()


def refuse_missing_images(pods: list[Pod]) -> None:
    missing = sorted({pod.cant_pull for pod in pods if pod.cant_pull is not None})
    if missing:
        raise ClusterError(
            "the cluster can't get images: build them with `make images` and load them into it, or name a"
            f" registry in an overlay of your own (DESKLINE_KUBERNETES_OVERLAY): {'; '.join(missing)}"
        )


def keep_what_happened(cluster: Cluster, folder: Path) -> None:
    """Logs and events, before the namespace goes."""
    for name, words in (
        ("pods", ("get", "pods", "-o", "wide")),
        ("events", ("get", "events", "--sort-by=.lastTimestamp")),
        ("services", ("logs", "-l", "app.kubernetes.io/part-of=deskline", "--prefix", "--tail=2000")),
    ):
        try:
            (folder / f"{name}.txt").write_text(cluster.kubectl(*words, "--request-timeout=60s"))
        except ClusterError as error:
            say(f"  {name}: {error}")
    say(f"what happened is in {folder}")


@contextmanager
def reached(cluster: Cluster, folder: Path, kafka_port: int) -> Iterator[Deployed]:
    """With ways to its doors and servers, and the variables that name them."""
    ports = {"gateway": 8080, "intake": 2525, "mailbox": 8025, "postgres": 5432, "kafka": kafka_port}
    local = {kind: kafka_port if kind == "kafka" else choose() for kind in ports}
    with ExitStack() as held:
        forwards = [Forward(cluster, kind, ports[kind], local[kind], folder) for kind in ports]
        for forward in forwards:
            held.callback(forward.stop)
            forward.start()
        password = secret(cluster, "postgres", "password")
        variables = {
            "DESKLINE_STACK": "external",
            "DESKLINE_EXTERNAL_KAFKA": f"localhost:{kafka_port}",
            "DESKLINE_EXTERNAL_POSTGRES": f"postgresql://postgres:{password}@127.0.0.1:{local['postgres']}/postgres",
            "DESKLINE_EXTERNAL_GATEWAY": f"http://127.0.0.1:{local['gateway']}",
            "DESKLINE_EXTERNAL_SMTP": f"127.0.0.1:{local['intake']}",
            "DESKLINE_EXTERNAL_MAILBOX": f"http://127.0.0.1:{local['mailbox']}",
            "DESKLINE_EXTERNAL_COMMAND": COMMAND,
            "DESKLINE_KEY_ENCRYPTION_KEY": secret(cluster, "deskline", "key-encryption-key"),
        }
        os.environ.update(variables)
        yield Deployed(cluster, ExternalSite.from_environment(), variables, forwards)


def secret(cluster: Cluster, name: str, key: str) -> str:
    found = json.loads(cluster.kubectl("get", "secret", name, "-o", "json"))
    return base64.b64decode(found["data"][key]).decode()
