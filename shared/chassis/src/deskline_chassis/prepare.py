"""What has to exist before a service runs: its database with its roles, its schema, its topics."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import psycopg
from aiokafka.errors import KafkaError
from pydantic import SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from deskline_chassis.broker import Broker, TopicsMissingError, ensure_topics
from deskline_chassis.databases import IncompleteUrlError, ServiceDatabase, create_database
from deskline_chassis.migrate import migrate
from deskline_chassis.settings import KafkaSettings, ServiceSettings, load, load_migration
from deskline_events.topics import all_topics

PATIENCE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.5

Say = Callable[[str], None]
DoneT = TypeVar("DoneT")


class NotPreparedError(Exception):
    """A server did not answer in time, or topics that the operator owns are missing."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that `prepare` needs: URLs and roles, and the broker; `admin_url` where it creates the database."""

    service: str
    migration_url: str
    runtime_role: str
    readonly_role: str
    broker: Broker
    admin_url: str | None = None
    database: ServiceDatabase | None = None


def load_preparation(settings: type[ServiceSettings]) -> Preparation:
    """Read what `prepare` needs and no more; wrong or missing: a line per variable, and exit with 2."""
    service = settings.service()
    prefix = f"DESKLINE_{service.upper()}_"

    class Wanted(KafkaSettings):
        model_config = SettingsConfigDict(env_prefix=prefix)
        migration_url: SecretStr
        admin_url: SecretStr | None = None
        database_url: SecretStr | None = None
        readonly_url: SecretStr | None = None

        @model_validator(mode="after")
        def _creation_names_all_roles(self) -> Self:
            if self.admin_url is not None:
                for name, url in (("DATABASE", self.database_url), ("READONLY", self.readonly_url)):
                    if url is None:
                        raise ValueError(f"{prefix}{name}_URL: needed by {prefix}ADMIN_URL")
                try:
                    self.named()
                except IncompleteUrlError as error:
                    raise ValueError(f"{prefix}MIGRATION_URL: {error}") from None
            return self

        def named(self) -> ServiceDatabase:
            """What the three URLs sign in to."""
            urls = (self.migration_url, self.database_url, self.readonly_url)
            return ServiceDatabase.named_by(*(url.get_secret_value() for url in urls if url is not None))

    found = load(Wanted)
    broker = Broker.told_by(found)
    url = found.migration_url.get_secret_value()
    if found.admin_url is None:
        roles = load_migration(settings)
        return Preparation(service, url, roles.runtime_role, roles.readonly_role, broker)
    database = found.named()
    runtime, readonly = (guest.role for guest in database.guests)
    return Preparation(service, url, runtime, readonly, broker, found.admin_url.get_secret_value(), database)


def prepare(package: str, wanted: Preparation, say: Say) -> None:
    """Create what is missing, and wait for servers that are starting; a second time nothing changes.

    Raises NotPreparedError, psycopg.Error, UndeclaredTableError.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    admin_url, database = wanted.admin_url, wanted.database
    if admin_url is not None and database is not None:
        is_new = _patiently("PostgreSQL", deadline, lambda: create_database(admin_url, database))
        say(f"database {database.name}: {'created' if is_new else 'there already'}")
    _patiently(
        "PostgreSQL",
        deadline,
        lambda: migrate(wanted.migration_url, package, wanted.runtime_role, wanted.readonly_role),
    )
    say(f"schema of {wanted.service}: the newest")
    mine = tuple(topic for topic in all_topics() if topic.owner == wanted.service)
    if mine:
        name = f"deskline-{wanted.service}-prepare"
        _patiently("Kafka", deadline, lambda: asyncio.run(ensure_topics(wanted.broker, mine, name)))
        say(f"topics of {wanted.service}: {', '.join(wanted.broker.topic(topic) for topic in mine)}")


def _patiently(server: str, deadline: float, work: Callable[[], DoneT]) -> DoneT:
    while True:
        try:
            return work()
        except psycopg.OperationalError as error:
            cause = _first_line(error)
        except TopicsMissingError as error:
            cause = str(error)
        except (KafkaError, OSError) as error:
            cause = type(error).__name__
        if time.monotonic() > deadline:
            raise NotPreparedError(f"{server} not ready within {PATIENCE_SECONDS:.0f} s: {cause}")
        time.sleep(_RETRY_SECONDS)


def _first_line(error: psycopg.Error) -> str:
    # libpq names host, port and reason, never the password.
    return next(iter(str(error).splitlines()), type(error).__name__)
