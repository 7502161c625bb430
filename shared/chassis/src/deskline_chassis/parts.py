"""What a service works with: made from its settings, each part when it is first asked for."""

from functools import cached_property

from deskline_chassis.bell import Bell
from deskline_chassis.event_log import EventLog
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.settings import ServiceSettings


class Parts:
    """What a service's commands are made of; what serves has more."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.name = settings.service()

    @cached_property
    def database(self) -> Database:
        """The service's pool, opened."""
        database = Database(
            self.settings.database_url.get_secret_value(),
            f"deskline-{self.name}",
            size=self.settings.pool_size,
        )
        database.open()
        return database

    @cached_property
    def keys(self) -> KeyRing:
        """Persons' keys."""
        return KeyRing(self.settings.key_encryption_key_bytes)

    @cached_property
    def bell(self) -> Bell:
        """What wakes the relay."""
        return Bell(self.settings.database_url.get_secret_value(), f"deskline-{self.name}-bell")

    @cached_property
    def log(self) -> EventLog:
        """The event log of this owner."""
        return EventLog(self.name, self.keys, self.bell.ring)
