"""Intake, wired: the mail door, the readers of stored mail, the sweeper, the relay."""

import sys

from deskline_chassis.runtime import Run
from deskline_chassis.service import Parts, Service, command_line
from deskline_chassis.settings import WRONG_SETTINGS
from deskline_intake.adapters.objects import ERRORS, ObjectKeeper, open_objects
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.channels.smtp import SmtpDoor
from deskline_intake.commands import lines
from deskline_intake.opening import MailOpener
from deskline_intake.reading import Bell, MailReader
from deskline_intake.settings import IntakeSettings
from deskline_intake.sweeping import Sweeper


def loops(parts: Parts) -> dict[str, Run]:
    """Intake's own loops; all but the door may wait for the database."""
    settings = parts.settings
    assert isinstance(settings, IntakeSettings)  # noqa: S101 -- the service below says so
    try:
        objects = ObjectKeeper(open_objects(settings.object_store))
    except ERRORS as error:
        # The address may hold credentials, and the store's error quotes it.
        sys.stderr.write(f"settings: DESKLINE_INTAKE_OBJECT_STORE: can't be opened: {type(error).__name__}\n")
        raise SystemExit(WRONG_SETTINGS) from None
    bell = Bell()
    opener = MailOpener(parts.database, objects, settings.own_domain_names, settings.parse_seconds)
    registry = PostgresRegistry()
    return {
        "smtp": SmtpDoor(settings, parts.database, bell).run,
        "parser": MailReader(parts.database, parts.log, registry, opener, bell, heavy=False).run,
        "heavy_parser": MailReader(parts.database, parts.log, registry, opener, bell, heavy=True).run,
        "sweeper": Sweeper(parts.database, objects).run,
    }


SERVICE = Service(
    IntakeSettings,
    "deskline_intake",
    loops=loops,
    announces=True,
    owns_keys=True,
    commands={"line": lines},
)


def main() -> None:
    """The command `deskline-intake`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
