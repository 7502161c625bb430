"""The story of the demonstration: what is told in which order, and what every act works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from deskline_local.client import Desk, StepFailedError, until
from deskline_local.mailbox import Letter
from deskline_local.office import Office
from deskline_local.site import Site

Json = dict[str, Any]
Tell = Callable[[str], None]
Step = tuple[str, Callable[[], None]]
TICKETS_IN_ALL: Final = 4


def expect(holds: object, what: str) -> None:
    """Raise StepFailedError saying what is not as told."""
    if not holds:
        raise StepFailedError(what)


@dataclass
class Stage:
    """The office, the deployment, and questions that every act asks."""

    office: Office
    site: Site

    @property
    def desk(self) -> Desk:
        """The operator of the first line."""
        return self.office.olga

    def card(self, ticket_id: str, desk: Desk | None = None) -> Json:
        """A ticket as it is."""
        card: Json = (desk or self.desk).get(f"/v1/tickets/{ticket_id}")
        return card

    def tickets(self) -> list[Json]:
        """The list of the office's lines, as it is projected."""
        lists = [self.desk.get("/v1/tickets", line_id=line)["items"] for line in self.office.lines.values()]
        return [item for items in lists for item in items]

    def ticket_about(self, subject: str) -> Json:
        """The ticket with that subject, as soon as it is listed."""

        def found() -> Json | None:
            return next((one for one in self.tickets() if one["subject"] == subject), None)

        return until(f"a ticket about «{subject}»", found)

    def until_card(self, ticket_id: str, what: str, holds: Callable[[Json], object]) -> Json:
        """The ticket as soon as it is so."""

        def so() -> Json | None:
            card = self.card(ticket_id)
            return card if holds(card) else None

        return until(what, so)

    def letter(self, recipient: str, what: str, is_it: Callable[[Letter], object]) -> Letter:
        """The one mail to somebody that is so, as soon as it arrived."""

        def arrived() -> Letter | None:
            found = [one for one in self.site.letters(recipient) if is_it(one)]
            expect(len(found) <= 1, f"{what} arrived {len(found)} times")
            return found[0] if found else None

        return until(what, arrived)


@dataclass
class Story:
    """Plays acts in order; each step says what it does, checks it, or raises StepFailedError."""

    tell: Tell
    done: list[str] = field(default_factory=list)

    def play(self, steps: list[Step]) -> None:
        """These steps; the error names the one that did not end as told."""
        for name, step in steps:
            self.tell(name)
            try:
                step()
            except StepFailedError as failure:
                raise StepFailedError(f"step «{name}»: {failure}") from failure
            self.done.append(name)
