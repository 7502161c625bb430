"""A broker and a database, the same to everybody whichever way they run."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from deskline_local import databases
from deskline_local.databases import ServiceDatabase
from deskline_local.engine import engine_answers
from deskline_local.errors import StackUnavailable
from deskline_local.folder import Folder
from deskline_local.kafka import CONTROLLER_PORT_VARIABLE as CONTROLLER_PORT
from deskline_local.kafka import PORT_VARIABLE as KAFKA_PORT
from deskline_local.kafka import KafkaProcess, Listener
from deskline_local.ports import from_environment
from deskline_local.postgres import PORT_VARIABLE as POSTGRES_PORT
from deskline_local.postgres import SUPERUSER, PostgresProcess
from deskline_local.server import Progress, Server

__all__ = ["Kind", "Server", "ServiceDatabase", "Stack", "open_stack"]

Kind = Literal["processes", "containers", "external"]
KIND_VARIABLE = "DESKLINE_STACK"
UrlOf = Callable[[str, str | None, str | None], str]


class Stack:
    """Kafka and PostgreSQL, started together; use it in a `with` statement or call start and stop."""

    def __init__(
        self,
        kind: Kind,
        folder: Folder,
        *,
        kafka: Server,
        postgres: Server,
        bootstrap: str,
        url: UrlOf,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self.kind = kind
        self.kafka = kafka
        self.postgres = postgres
        self.bootstrap = bootstrap
        self.folder = folder.path
        self._state = folder
        self._url = url
        self._tidy = tidy

    def database_url(
        self, database: str = "postgres", role: str | None = None, password: str | None = None
    ) -> str:
        """The libpq address of a database, without a role the superuser's."""
        return self._url(database, role, password)

    def start(self) -> None:
        """Start both at the same time; when one fails, neither is left running."""
        self._state.claim()
        try:
            _both(self.kafka.start, self.postgres.start)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        # One after the other: at the interpreter's end no thread can be started any more.
        try:
            self.kafka.stop()
        finally:
            try:
                self.postgres.stop()
                self._tidy()
            finally:
                self._state.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def create_service_database(self, service: str, database: str | None = None) -> ServiceDatabase:
        """Create the service's database and roles unless they exist.

        A name given for the database, as parallel tests do, names its roles too.
        """
        return databases.create(self._state, self._url, service, database)

    def drop_service_database(self, service: str, database: str | None = None) -> None:
        databases.drop(self._state, self._url, service, database)


def _both(*actions: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(actions)) as pool:
        running = [pool.submit(action) for action in actions]
    failures = [failure for done in running if (failure := done.exception()) is not None]
    if failures:
        raise failures[0]


def choose_kind(kind: Kind | None) -> Kind:
    """The kind that was asked for, by argument or by DESKLINE_STACK; containers where an engine answers."""
    asked = kind or os.environ.get(KIND_VARIABLE, "").strip()
    if not asked:
        return "containers" if engine_answers() else "processes"
    if asked == "processes":
        return "processes"
    if asked == "external":
        return "external"
    if asked == "containers":
        if not engine_answers():
            message = (
                f"{KIND_VARIABLE}=containers, but no container engine answers: start Docker (or point "
                f"DOCKER_HOST at one), or set {KIND_VARIABLE}=processes, which needs none"
            )
            raise StackUnavailable(message)
        return "containers"
    message = f"{KIND_VARIABLE}={asked} is none of processes, containers, external"
    raise StackUnavailable(message)


def _say_nothing(_: str) -> None:
    pass


def open_stack(
    folder: Path,
    kind: Kind | None = None,
    kafka_port: int = 0,
    postgres_port: int = 0,
    progress: Progress = _say_nothing,
    *,
    lasting: bool = False,
    listeners: Mapping[str, Listener] | None = None,
) -> Stack:
    """The stack of this folder, not started yet; a lasting one keeps its data when it stops.

    Further listeners of Kafka's, which something may stand before, are there for processes only.
    """
    chosen = choose_kind(kind)
    if listeners and chosen != "processes":
        message = f"Kafka's further listeners need {KIND_VARIABLE}=processes, this stack is {chosen}"
        raise StackUnavailable(message)
    if chosen == "external":
        return _external(folder)
    state = Folder(folder)
    kafka = state.port("kafka", kafka_port or from_environment(KAFKA_PORT))
    postgres = state.port("postgres", postgres_port or from_environment(POSTGRES_PORT))
    if chosen == "containers":
        return _containers(state, kafka, postgres, progress, lasting=lasting)
    controller = state.port("kafka_controller", from_environment(CONTROLLER_PORT))
    broker = KafkaProcess(
        state.path / "kafka", kafka, controller, progress=progress, claim=state.claim, listeners=listeners
    )
    secret = state.password(SUPERUSER)
    server = PostgresProcess(state.path / "postgres", postgres, secret, progress=progress, claim=state.claim)

    def address(database: str, role: str | None, password: str | None) -> str:
        return server.url(database, role or SUPERUSER, password)

    return Stack("processes", state, kafka=broker, postgres=server, bootstrap=broker.bootstrap, url=address)


def _external(folder: Path) -> Stack:
    from deskline_local.external import ExternalKafka, ExternalPostgres  # noqa: PLC0415 - only where it was asked for

    state = Folder(folder)
    kafka, postgres = ExternalKafka.from_environment(), ExternalPostgres.from_environment()
    return Stack(
        "external", state, kafka=kafka, postgres=postgres, bootstrap=kafka.bootstrap, url=postgres.url
    )


def _containers(
    state: Folder, kafka_port: int, postgres_port: int, progress: Progress, *, lasting: bool
) -> Stack:
    try:
        from deskline_local import containers  # noqa: PLC0415 - testcontainers is there in development only
    except ImportError as missing:
        message = (
            f"a container engine answers, but {missing.name} isn't installed: set {KIND_VARIABLE}=processes"
        )
        raise StackUnavailable(message) from missing

    kafka = containers.KafkaServer(state.path, kafka_port, progress, lasting=lasting)
    postgres = containers.PostgresServer(
        state.path, postgres_port, state.password(SUPERUSER), progress, lasting=lasting
    )

    def tidy() -> None:
        kafka.remove()
        postgres.remove()

    return Stack(
        "containers",
        state,
        kafka=kafka,
        postgres=postgres,
        bootstrap=kafka.bootstrap,
        url=postgres.url,
        tidy=tidy,
    )
