"""What may be asked: query parameters and bodies, each with its limits."""

import datetime as dt
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deskline_events.facts import Level, Priority
from deskline_events.sla import ClockName
from deskline_events.tickets import Stage

MAX_BIGINT: Final = 2**63 - 1
VERSION_PATTERN: Final = (
    r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}:[1-9][0-9]{0,9}$"
)
Cursor = Annotated[str | None, Field(description="`next_cursor` of the page before")]
Limit = Annotated[int, Field(ge=1, le=100)]
_PAGING: Final = {"cursor", "limit"}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Reading(_Asked):
    """What every GET takes."""

    min_version: Annotated[
        str | None,
        Field(
            pattern=VERSION_PATTERN,
            description="`<ticket_id>:<version>`: wait up to 2 s until that version of that ticket is here",
        ),
    ] = None


class TicketFilter(Reading):
    """What a list is narrowed to, and where its page begins."""

    stage: Stage | None = None
    priority: Priority | None = None
    level: Level | None = None
    line_id: UUID | None = None
    queue_id: UUID | None = None
    team_id: UUID | None = None
    assignee_id: UUID | None = None
    open: bool | None = None
    number: Annotated[int | None, Field(ge=1, le=MAX_BIGINT)] = None
    opened_from: Annotated[AwareDatetime | None, Field(description="included")] = None
    opened_to: Annotated[AwareDatetime | None, Field(description="excluded")] = None
    cursor: Cursor = None
    limit: Limit = 50

    def values(self) -> dict[str, Any]:
        """The filters alone."""
        return self.model_dump(exclude=_PAGING | {"min_version"})

    def canonical(self) -> str:
        """Equal for equal filters."""
        return self.model_dump_json(exclude=_PAGING | {"min_version"}, exclude_none=True)


class TimelinePage(Reading):
    """A part of a timeline."""

    after: Annotated[int, Field(ge=0, le=MAX_BIGINT, description="sequence after which to begin")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class DecisionPage(Reading):
    """A part of the decisions on a ticket."""

    cursor: Cursor = None
    limit: Limit = 50


class Search(_Asked):
    """Words to search for, as people type them: "a phrase", or, -without."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    open: Annotated[bool | None, Field(description="only open tickets, or only others")] = None
    cursor: Cursor = None
    limit: Limit = 50

    def canonical(self) -> str:
        """Equal for equal searches."""
        return self.model_dump_json(exclude=_PAGING)


class DayRange(Reading):
    """Days of UTC."""

    from_: Annotated[dt.date, Field(alias="from", description="first day")]
    to: Annotated[dt.date, Field(description="last day, included")]


class ZonedRange(DayRange):
    """Days of a zone."""

    zone: Annotated[
        str,
        Field(max_length=60, pattern=r"^[A-Za-z0-9_+/-]+$", description="IANA name, such as Europe/Moscow"),
    ] = "UTC"


class SlaRange(ZonedRange):
    """Days of a zone on which clocks are due."""

    clock: ClockName
