"""What people send: bodies and queries, checked before anything is done."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from deskline_chassis.bodies import Body
from deskline_events.facts import Code, Level, Priority
from deskline_events.tickets import Stage

MOST_MENTIONS: Final = 50

Version = Annotated[int, Field(ge=1, le=2**62)]


def _is_text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None
    return value


# How long it may be is the domain's business, so that a longer one is told apart from a wrong one.
Text = Annotated[str, AfterValidator(_is_text)]


class ReplyBody(Body):
    text: Text
    seen_version: Version
    then_stage: Stage | None = None
    closing_reason: Code | None = None
    until: AwareDatetime | None = None


class NoteBody(Body):
    text: Text
    mentions: Annotated[list[UUID], Field(max_length=MOST_MENTIONS)] = Field([])


class StageBody(Body):
    stage: Stage
    closing_reason: Code | None = None
    until: AwareDatetime | None = None


class PriorityBody(Body):
    priority: Priority


class OfferBody(Body):
    offer_id: UUID


class DeclineBody(OfferBody):
    reason: Code | None = None


class EmptyBody(Body):
    pass


class QueueBody(Body):
    queue_id: UUID


class EscalateBody(Body):
    level: Annotated[Level, Field(strict=True)]
    note: Text | None = None
    tried: Text | None = None
    reproduce: Text | None = None
    affected: Text | None = None


class HistoryQuery(Body):
    version: Version | None = None
    at: AwareDatetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the whole history is asked for."""
        return self.version is None and self.at is None

    @model_validator(mode="after")
    def _not_together(self) -> "HistoryQuery":
        if self.version is not None and self.at is not None:
            raise ValueError("give version or at, not both")
        return self
