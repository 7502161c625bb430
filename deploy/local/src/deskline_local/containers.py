"""The two servers as containers, where an engine answers; what lasts of a lasting one is a volume."""

import hashlib
import io
import tarfile
import threading
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import psycopg
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from deskline_local import kafka_wire, ports, postgres
from deskline_local.errors import NotRunning, StartFailed, StillRunning, Unreadable
from deskline_local.kafka import PORT_VARIABLE as KAFKA_PORT
from deskline_local.kafka import SETTINGS, new_cluster_id
from deskline_local.server import POLL, START_DEADLINE, STOP_GRACE, Progress

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:17"


class ContainerServer(ABC):
    """A server in a container with a fixed port on this machine, so that clients find it after a restart."""

    name: str
    port_variable: str
    data: str
    """Where in the container the data lie."""

    def __init__(self, folder: Path, port: int, progress: Progress, *, lasting: bool = False) -> None:
        short = hashlib.sha256(bytes(folder)).hexdigest()[:12]
        self._container_name = f"deskline-{self.name}-{short}"
        # A volume with a name outlives its container, and the reaper that removes what a killed run left.
        self._volume = f"{self._container_name}-data" if lasting else None
        self.port = port
        self._progress = progress
        self._definition: DockerContainer | None = None
        self._lock = threading.RLock()
        client = DockerContainer(KAFKA_IMAGE).get_docker_client()
        self.host = client.host().replace("localhost", ports.HOST)
        self._client: Any = client.client

    @abstractmethod
    def define(self) -> DockerContainer:
        """A new container, not created yet."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server serves requests."""

    def bind(self, definition: DockerContainer, inner: int) -> None:
        """Publish on the loopback address alone, unless the engine is on another machine."""
        published: dict[str, Any] = definition.ports
        published[str(inner)] = (ports.HOST if self.host == ports.HOST else "0.0.0.0", self.port)  # noqa: S104

    def keep(self, definition: DockerContainer) -> None:
        """Lay the data into the volume, where there is one."""
        if self._volume is not None:
            definition.with_volume_mapping(self._volume, self.data, "rw")

    @property
    def running(self) -> bool:
        return self._state().get("Status") in {"running", "paused"}

    def _state(self) -> dict[str, Any]:
        if self._definition is None:
            return {}
        container = self._definition.get_wrapped_container()
        container.reload()
        return dict(container.attrs["State"])

    @property
    def pid(self) -> int:
        """The process as the engine's machine numbers it."""
        self._require_up()
        return int(self._state()["Pid"])

    def start(self) -> None:
        with self._lock:
            if self.running:
                return
            if self._definition is None:
                for left in self._client.containers.list(all=True, filters={"name": self._container_name}):
                    left.remove(force=True, v=True)  # of a killed run, where no reaper removed it
                if self.host == ports.HOST:
                    ports.require_free(self.port, self.name, self.port_variable)
                self._progress(f"starting {self.name} in a container")
                self._definition = self.define().with_name(self._container_name)
                self._definition.start()
            else:
                self._definition.get_wrapped_container().start()
            self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                log = self._wrapped().logs(tail=25).decode("utf-8", "replace")
                message = (
                    f"{self.name} didn't answer within {START_DEADLINE:.0f} s; the end of its log:\n{log}"
                )
                raise StartFailed(message)
            time.sleep(POLL)

    def _wrapped(self) -> Any:
        if self._definition is None:
            message = f"{self.name} was never started"
            raise NotRunning(message)
        return self._definition.get_wrapped_container()

    def _require_up(self) -> None:
        if not self.running:
            message = f"{self.name} isn't running"
            raise NotRunning(message)

    def stop(self) -> None:
        with self._lock:
            if self.running:
                self._thaw()
                self._wrapped().stop(timeout=int(STOP_GRACE))

    def kill(self) -> None:
        with self._lock:
            if self.running:
                self._thaw()
                self._wrapped().kill()
                self._wrapped().wait()

    def _thaw(self) -> None:
        if self._state().get("Paused"):
            self._wrapped().unpause()

    def pause(self) -> None:
        self._require_up()
        self._wrapped().pause()

    def resume(self) -> None:
        self._require_up()
        self._wrapped().unpause()

    def wipe(self) -> None:
        with self._lock:
            if self.running:
                message = f"{self.name} is running: stop or kill it before its data is wiped"
                raise StillRunning(message)
            self.remove()
            for volume in self._client.volumes.list(filters={"name": self._volume}) if self._volume else ():
                volume.remove()

    def written(self) -> dict[Path, bytes]:
        """What it said, and the files of its data that are named like a log: Kafka's segments.

        Raises Unreadable where the files can't be packed.
        """
        found = {Path(f"{self.name}.log"): self._wrapped().logs()}
        # Packed in there: the engine would pack all data, where each partition has 20 MB of empty index.
        packing = ["find", ".", "-type", "f", "-name", "*.log", "-exec", "tar", "-cf", "-", "{}", "+"]
        code, (packed, said) = self._wrapped().exec_run(packing, workdir=self.data, demux=True)
        if code != 0:
            message = f"the files of {self.name} can't be read: {(said or b'').decode('utf-8', 'replace')}"
            raise Unreadable(message)
        if packed:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                for one in archive:
                    if (content := archive.extractfile(one)) is not None:
                        found[Path(self.name) / one.name] = content.read()
        return found

    def remove(self) -> None:
        """Remove the container, and its data unless they are in a volume."""
        with self._lock:
            if self._definition is not None:
                self._definition.stop()
                self._definition = None


class KafkaServer(ContainerServer):
    """The broker's image; its port is fixed, so the address it announces needs no start script."""

    name = "kafka"
    port_variable = KAFKA_PORT
    data = "/var/lib/kafka/data"

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    def define(self) -> DockerContainer:
        settings = SETTINGS | {
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": "1@localhost:9093",
            "log.dirs": self.data,
        }
        definition = DockerContainer(KAFKA_IMAGE).with_env("CLUSTER_ID", self._cluster_id())
        for key, value in settings.items():
            definition.with_env(f"KAFKA_{key.upper().replace('.', '_')}", value)
        self.keep(definition)
        self.bind(definition, 9092)
        return definition

    def _cluster_id(self) -> str:
        # Data that last were formatted under an id, and the broker insists on it.
        if self._volume is None:
            return new_cluster_id()
        return (
            urlsafe_b64encode(b"desk" + hashlib.sha256(self._volume.encode()).digest()[:12])
            .decode()
            .rstrip("=")
        )

    def answers(self) -> bool:
        return kafka_wire.cluster_id(self.host, self.port) is not None


class PostgresServer(ContainerServer):
    """The database's image."""

    name = "postgres"
    port_variable = postgres.PORT_VARIABLE
    data = "/var/lib/postgresql/data"

    def __init__(
        self, folder: Path, port: int, password: str, progress: Progress, *, lasting: bool = False
    ) -> None:
        super().__init__(folder, port, progress, lasting=lasting)
        self._password = password

    def url(self, database: str, role: str | None, password: str | None) -> str:
        return postgres.url(
            self.host, self.port, database, role or postgres.SUPERUSER, password or self._password
        )

    def define(self) -> DockerContainer:
        definition = PostgresContainer(
            POSTGRES_IMAGE,
            username=postgres.SUPERUSER,
            password=self._password,
            dbname="postgres",
            driver=None,
        )
        definition.with_command("postgres -c max_connections=300 -c timezone=UTC")
        self.keep(definition)
        self.bind(definition, 5432)
        return definition

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres", None, None), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
