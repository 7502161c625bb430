"""Why a change of operators, teams or queues is refused."""

from typing import ClassVar
from uuid import UUID


class Refusal(Exception):  # noqa: N818 -- an answer, not a fault
    """A command that was not carried out; `code` is for programs, `status` as HTTP has it."""

    safe_message: ClassVar[bool] = True
    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    @property
    def members(self) -> dict[str, object]:
        """What else a program may want to know."""
        return {}


class VersionRequired(Refusal):
    """It exists already: a change must say on which version it rests."""

    code, status, title = "if_match_required", 428, "Say on which version this rests"


class VersionStale(Refusal):
    """It is of another version by now."""

    code, status, title = "stale_version", 412, "It has changed"

    def __init__(self, current: int) -> None:
        super().__init__("Read it again and decide on what it is now.")
        self.current = current

    @property
    def members(self) -> dict[str, object]:
        """The version that it has; 0 where it does not exist."""
        return {"current_version": self.current}


class Unfit(Refusal):
    """A value that can't be taken as things are."""

    code, status, title = "invalid_request", 422, "The request is not as this route takes it"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    @property
    def members(self) -> dict[str, object]:
        """As a wrong field of a body is told."""
        return {"errors": [{"field": f"body.{self.field}", "message": str(self)}]}


class TeamInUse(Refusal):
    """Active queues are served by the team."""

    code, status, title = "team_in_use", 409, "The team serves active queues"

    def __init__(self, queue_ids: list[UUID]) -> None:
        super().__init__("Give these queues another team first, or switch them off.")
        self.queue_ids = queue_ids

    @property
    def members(self) -> dict[str, object]:
        """The queues."""
        return {"queue_ids": [str(one) for one in self.queue_ids[:100]]}


class OperatorErased(Refusal):
    """The operator's data was destroyed; there is nobody to change."""

    code, status, title = "person_erased", 409, "The operator was erased"


class NotEmployed(Refusal):
    """Whoever asks is no operator of this company."""

    code, status, title = "operator_unknown", 404, "No operator with this id works here"
