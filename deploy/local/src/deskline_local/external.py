"""Servers that run somewhere else: used, never controlled."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from deskline_local import kafka_wire
from deskline_local.errors import NotControllable, StackUnavailable, StartFailed

KAFKA_VARIABLE = "DESKLINE_EXTERNAL_KAFKA"
POSTGRES_VARIABLE = "DESKLINE_EXTERNAL_POSTGRES"


def _required(environment: Mapping[str, str], variable: str, example: str) -> str:
    value = environment.get(variable, "").strip()
    if not value:
        message = f"DESKLINE_STACK=external needs {variable} (for example {example})"
        raise StackUnavailable(message)
    return value


class External:
    """What can't be done to somebody else's server."""

    name = "server"
    running = True

    @property
    def pid(self) -> int:
        raise self._refusal("asked for its process")

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        raise self._refusal("killed")

    def pause(self) -> None:
        raise self._refusal("paused")

    def resume(self) -> None:
        raise self._refusal("resumed")

    def wipe(self) -> None:
        raise self._refusal("wiped")

    def written(self) -> dict[Path, bytes]:
        raise self._refusal("read")

    def _refusal(self, deed: str) -> NotControllable:
        return NotControllable(f"{self.name} is external, so it can't be {deed} from here")


class ExternalKafka(External):
    """A running cluster by its bootstrap servers."""

    name = "kafka"

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @classmethod
    def from_environment(cls) -> "ExternalKafka":
        return cls(_required(os.environ, KAFKA_VARIABLE, "kafka.example:9092"))

    def start(self) -> None:
        """Check that one of its brokers answers."""
        for server in self.bootstrap.split(","):
            host, _, port = server.strip().rpartition(":")
            if port.isdecimal() and kafka_wire.cluster_id(host, int(port)) is not None:
                return
        message = f"no broker of {KAFKA_VARIABLE}={self.bootstrap} answers"
        raise StartFailed(message)


class ExternalPostgres(External):
    """A running server by its superuser's address."""

    name = "postgres"

    def __init__(self, superuser_url: str) -> None:
        self._superuser_url = superuser_url

    @classmethod
    def from_environment(cls) -> "ExternalPostgres":
        return cls(
            _required(os.environ, POSTGRES_VARIABLE, "postgresql://postgres:secret@db.example:5432/postgres")
        )

    def url(self, database: str, role: str | None, password: str | None) -> str:
        """The same server and options, another database and role."""
        parts = urlsplit(self._superuser_url)
        who, _, where = parts.netloc.rpartition("@")
        if role is not None:
            who = f"{quote(role, safe='')}:{quote(password or '', safe='')}"
        return urlunsplit(parts._replace(netloc=f"{who}@{where}", path=f"/{quote(database, safe='')}"))

    def start(self) -> None:
        """Check that it answers and lets the superuser in."""
        try:
            psycopg.connect(self._superuser_url, connect_timeout=10).close()
        except psycopg.OperationalError as failure:
            # libpq names host, port and reason, never the password.
            message = f"the server in {POSTGRES_VARIABLE} can't be used: {failure}"
            raise StartFailed(message) from failure
