"""The command line of intake."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_intake.commands import contacts, lines
from deskline_intake.settings import IntakeSettings

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_intake.serving import SERVING

    return SERVING


SERVICE = Service(
    IntakeSettings,
    "deskline_intake",
    _serving,
    announces=True,
    commands={"line": lines, "contact": contacts},
)


def main() -> None:
    """The command `deskline-intake`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
