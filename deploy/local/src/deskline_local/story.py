"""The story of the demonstration: five mails, an operator's work, and a customer who writes again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deskline_local import mails
from deskline_local.client import Desk, StepFailedError, until

Ticket = dict[str, Any]
Tell = Callable[[str], None]


def _expect(holds: object, what: str) -> None:
    if not holds:
        raise StepFailedError(what)


@dataclass
class Story:
    """Plays the steps in order; each says what it does, checks it, or raises StepFailedError."""

    desk: Desk
    tell: Tell
    first: Ticket = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def play(self) -> None:
        """The whole story; the error names the step that did not end as told."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("Anna writes: windows-1251, HTML and an attachment", self.anna_writes),
            ("Bob writes in English, and his server delivers the mail twice", self.bob_writes_twice),
            ("Clara's mail cannot be parsed", self.clara_is_unreadable),
            ("Anna replies in the thread, over a Russian quote", self.anna_replies),
            ("Anna's autoresponder answers on the same ticket", self.autoresponder_answers),
            ("Three tickets, seen in the list", self.three_tickets),
            ("An operator reads Anna's ticket", self.operator_reads),
            ("The operator leaves a note and begins to work", self.operator_notes_and_begins),
            ("The operator resolves it", self.operator_resolves),
            ("Anna writes again, and the ticket is open again", self.anna_reopens),
            ("The history tells it all, at any version", self.history),
        )
        for name, step in steps:
            self.tell(name)
            try:
                step()
            except StepFailedError as failure:
                raise StepFailedError(f"step «{name}»: {failure}") from failure
            self.done.append(name)

    def anna_writes(self) -> None:
        """Opens ticket 1."""
        self.desk.mail(mails.ANNA, mails.SUPPORT, mails.russian())
        self.first = self._ticket_about("Принтер не печатает")
        card = self._card()
        text = card["messages"][0]["text"]
        _expect("Принтер в бухгалтерии не печатает" in text, f"the text was read as {text!r}")
        _expect(card["messages"][0]["attachments"], "the attachment is missing")

    def bob_writes_twice(self) -> None:
        """Opens ticket 2, once."""
        for _ in range(2):
            self.desk.mail(mails.BOB, mails.SUPPORT, mails.english())
        self._ticket_about("Cannot sign in")

    def clara_is_unreadable(self) -> None:
        """Opens ticket 3, with a notice and the raw message."""
        before = {ticket["ticket_id"] for ticket in self._tickets()}
        self.desk.mail(mails.CLARA, mails.SUPPORT, mails.unreadable())

        def opened() -> Ticket | None:
            return next((one for one in self._tickets() if one["ticket_id"] not in before), None)

        ticket = until("a ticket with the unreadable mail", opened)
        message = self.desk.get(f"/v1/tickets/{ticket['ticket_id']}")["messages"][0]
        _expect(message["problems"], "the message carries no notice")
        _expect(message["raw"], "the raw message is not attached")

    def anna_replies(self) -> None:
        """Appends to ticket 1 by References."""
        self.desk.mail(mails.ANNA, mails.SUPPORT, mails.reply())
        message = self._message(2)
        _expect(message["reply"] == "Добавлю: мигает красная лампочка.", f"the reply is {message['reply']!r}")

    def autoresponder_answers(self) -> None:
        """Is shown on ticket 1 and moves nothing."""
        self.desk.mail(mails.ANNA, mails.SUPPORT, mails.out_of_office())
        _expect(self._message(3)["kind"] == "automatic", "the out-of-office reply was taken for a person's")
        _expect(self._card()["stage"] == "new", "an automatic message moved the ticket")

    def three_tickets(self) -> None:
        """Five mails made three tickets."""
        tickets = self._tickets()
        _expect(len(tickets) == 3, f"there are {len(tickets)} tickets")  # noqa: PLR2004

    def operator_reads(self) -> None:
        """By number, as an operator would."""
        found = self.desk.get(f"/v1/tickets/by-number/{self.first['number']}")["ticket"]
        _expect(found["ticket_id"] == self.first["ticket_id"], "the number leads to another ticket")

    def operator_notes_and_begins(self) -> None:
        """A note needs no version, a stage does."""
        self.desk.post(self._path("notes"), {"text": "Похоже на картридж, проверяю."})
        self._move("in_progress")

    def operator_resolves(self) -> None:
        """Resolving asks for a closing reason."""
        answer = self._move("resolved", closing_reason="solved")
        _expect(answer["stage"] == "resolved", f"the stage is {answer['stage']}")

    def anna_reopens(self) -> None:
        """The customer's next mail begins cycle 2."""
        self.desk.mail(mails.ANNA, mails.SUPPORT, mails.again())

        def reopened() -> Ticket | None:
            card = self._card()
            return card if card["stage"] == "in_progress" and card["cycle"] == 2 else None  # noqa: PLR2004

        until("the ticket open again", reopened)

    def history(self) -> None:
        """The ticket as it was when it was opened, and as it is."""
        version = self._card()["version"]
        now = self.desk.get(self._path("history"))
        then = self.desk.get(self._path("history"), version=1)
        _expect(len(now["events"]) == version, f"{len(now['events'])} events in version {version}")
        _expect(len(then["events"]) == 1, "version 1 has more than one event")

        def projected() -> Ticket | None:
            found = self.desk.get(f"/v1/tickets/by-number/{self.first['number']}")["ticket"]
            return found if found["version"] == version else None

        until("the list as new as the ticket", projected)

    def _path(self, what: str) -> str:
        return f"/v1/tickets/{self.first['ticket_id']}/{what}"

    def _card(self) -> Ticket:
        card: Ticket = self.desk.get(f"/v1/tickets/{self.first['ticket_id']}")
        return card

    def _tickets(self) -> list[Ticket]:
        items: list[Ticket] = self.desk.get("/v1/tickets")["items"]
        return items

    def _ticket_about(self, subject: str) -> Ticket:
        def found() -> Ticket | None:
            return next((one for one in self._tickets() if one["subject"] == subject), None)

        return until(f"a ticket about «{subject}»", found)

    def _message(self, number: int) -> Any:
        def arrived() -> Any:
            messages = self._card()["messages"]
            return messages[number - 1] if len(messages) >= number else None

        return until(f"message {number} on the ticket", arrived)

    def _move(self, stage: str, **more: Any) -> Any:
        match = self.desk.tag(self.first["ticket_id"])
        return self.desk.post(self._path("stage"), {"stage": stage, **more}, match=match)
