"""First act: Anna's printer, from her mail to the answer in her mailbox, and again."""

from dataclasses import dataclass, field
from typing import Any, Final

from deskline_local import mails
from deskline_local.client import StepFailedError, until
from deskline_local.mailbox import Letter
from deskline_local.story import Json, Stage, Step, expect

REPLY: Final = "Здравствуйте! Картридж заменён, проверьте, пожалуйста."


@dataclass
class Printer:
    """Anna, Bob and Clara write; Olga answers."""

    stage: Stage
    first: Json = field(default_factory=dict)
    acknowledged: Letter | None = None
    mails_to_anna: int = 0

    def steps(self) -> list[Step]:
        """In order."""
        return [
            ("Anna writes: windows-1251, HTML and an attachment", self.anna_writes),
            ("It stands in the first line's queue and is offered to Olga", self.offered),
            ("Anna is told, in her thread, that her mail arrived", self.anna_is_told),
            ("Bob writes in English, and his server delivers the mail twice", self.bob_writes_twice),
            ("Clara's mail cannot be parsed", self.clara_is_unreadable),
            ("Anna replies in the thread, over a Russian quote", self.anna_replies),
            ("Anna's autoresponder answers our acknowledgement", self.autoresponder_answers),
            ("Olga accepts the ticket and leaves a note", self.olga_accepts),
            ("Olga answers, and the mail arrives in Anna's thread", self.olga_answers),
            ("The first-response clock is met", self.clock_met),
            ("Olga resolves it", self.olga_resolves),
            ("Anna writes again, and the ticket is open again, with Olga", self.anna_reopens),
            ("The history tells it all, at any version", self.history),
        ]

    def anna_writes(self) -> None:
        """Opens ticket 1."""
        self.stage.desk.mail(mails.ANNA, mails.SUPPORT, mails.russian())
        self.first = self.stage.ticket_about("Принтер не печатает")
        message = self._card()["messages"][0]
        expect("Принтер в бухгалтерии не печатает" in message["text"], f"it was read as {message['text']!r}")
        expect(message["attachments"], "the attachment is missing")

    def offered(self) -> None:
        """Routing explains to the lead why Olga."""
        self.stage.office.wait_for_offer(self.stage.desk, self.first["ticket_id"])
        decisions = self.stage.office.lena.get(self._path("decisions"))["items"]
        expect(decisions, "routing explains nothing")

    def anna_is_told(self) -> None:
        """An automatic mail in her language, in her thread, to which she can answer."""
        letter = self.stage.letter(
            mails.ANNA, "Anna's acknowledgement", lambda one: mails.FIRST_ID in one.references
        )
        number = f"[#{self.first['number']}]"
        expect(number in str(letter.mail["Subject"]), f"the subject does not carry {number}")
        expect(letter.mail["Auto-Submitted"] == "auto-replied", "it does not say that it is automatic")
        back = str(letter.mail["Reply-To"] or letter.mail["From"])
        expect("+" in back, "no address leads back to the ticket")
        self.acknowledged = letter

    def bob_writes_twice(self) -> None:
        """Opens ticket 2, once; answered once, in English."""
        for _ in range(2):
            self.stage.desk.mail(mails.BOB, mails.SUPPORT, mails.english())
        self.stage.ticket_about("Cannot sign in")
        letter = self.stage.letter(mails.BOB, "Bob's acknowledgement", lambda _: True)
        expect(not any("а" <= one <= "я" for one in letter.text.lower()), "Bob is answered in Russian")

    def clara_is_unreadable(self) -> None:
        """Opens ticket 3, with a notice and the raw message."""
        before = {ticket["ticket_id"] for ticket in self.stage.tickets()}
        self.stage.desk.mail(mails.CLARA, mails.SUPPORT, mails.unreadable())

        def opened() -> Json | None:
            return next((one for one in self.stage.tickets() if one["ticket_id"] not in before), None)

        ticket = until("a ticket with the unreadable mail", opened)
        message = self.stage.card(ticket["ticket_id"])["messages"][0]
        expect(message["problems"], "the message carries no notice")
        expect(message["raw"], "the raw message is not attached")

    def anna_replies(self) -> None:
        """Appends to ticket 1 by References; the offer holds."""
        self.stage.desk.mail(mails.ANNA, mails.SUPPORT, mails.reply())
        message = self._message(2)
        expect(message["reply"] == "Добавлю: мигает красная лампочка.", f"the reply is {message['reply']!r}")
        expect(self._card()["offer"], "a customer's words ended the offer")

    def autoresponder_answers(self) -> None:
        """Is shown on ticket 1, moves nothing, and is answered by nobody."""
        if self.acknowledged is None:
            raise StepFailedError("there is no acknowledgement to answer")
        answer = mails.out_of_office(self.acknowledged.message_id)
        self.stage.desk.mail(mails.ANNA, mails.SUPPORT, answer)
        expect(self._message(3)["kind"] == "automatic", "the out-of-office reply was taken for a person's")
        expect(self._card()["stage"] == "new", "an automatic message moved the ticket")
        self.mails_to_anna = len(self.stage.site.letters(mails.ANNA))

    def olga_accepts(self) -> None:
        """By the offer that she was made."""
        offer = self.stage.office.wait_for_offer(self.stage.desk, self.first["ticket_id"])
        answer = self.stage.desk.post(self._path("accept"), {"offer_id": offer["offer_id"]})
        expect(answer["stage"] == "in_progress", f"the stage is {answer['stage']}")
        self.stage.desk.post(self._path("notes"), {"text": "Похоже на картридж, проверяю."})

    def olga_answers(self) -> None:
        """Her words arrive under Anna's first mail; the ticket shows that they were sent."""
        self.stage.desk.post(self._path("replies"), {"text": REPLY, "seen_version": self._card()["version"]})
        letter = self.stage.letter(mails.ANNA, "Olga's answer", lambda one: REPLY in one.text)
        expect(mails.FIRST_ID in letter.references, "it is not in Anna's thread")
        expect(letter.mail["Auto-Submitted"] is None, "a person's answer calls itself automatic")
        expect(
            len(self.stage.site.letters(mails.ANNA)) == self.mails_to_anna + 1,
            "something was sent back to the autoresponder",
        )

        def delivered(card: Json) -> bool:
            replies = [one for one in card["messages"] if one.get("delivery")]
            return any(one["delivery"]["state"] == "sent" for one in replies)

        self.stage.until_card(self.first["ticket_id"], "the reply shown as sent", delivered)

    def clock_met(self) -> None:
        """In time."""

        def met() -> Any:
            clocks = self.stage.desk.get(self._path("clocks"))["clocks"]
            return next(
                (one for one in clocks if one["clock"] == "first_response" and one["state"] == "met"), None
            )

        clock = until("the first response met", met)
        expect(not clock["breached"], "it was met late")

    def olga_resolves(self) -> None:
        """Resolving asks for a closing reason."""
        match = self.stage.desk.tag(self.first["ticket_id"])
        answer = self.stage.desk.post(
            self._path("stage"), {"stage": "resolved", "closing_reason": "solved"}, match=match
        )
        expect(answer["stage"] == "resolved", f"the stage is {answer['stage']}")

    def anna_reopens(self) -> None:
        """The customer's next mail begins cycle 2."""
        self.stage.desk.mail(mails.ANNA, mails.SUPPORT, mails.again())

        def reopened(card: Json) -> bool:
            return (card["stage"], card["cycle"]) == ("in_progress", 2)

        card = self.stage.until_card(self.first["ticket_id"], "the ticket open again", reopened)
        expect(card["assignee_id"], "nobody has it any more")

    def history(self) -> None:
        """The ticket as it was when it was opened, and as it is; the list shows one's own write."""
        version = self._card()["version"]
        now = self.stage.desk.get(self._path("history"))
        then = self.stage.desk.get(self._path("history"), version=1)
        expect(len(now["events"]) >= version, f"{len(now['events'])} events in version {version}")
        expect(len(then["events"]) == 1, "version 1 has more than one event")
        found = self.stage.desk.get(
            f"/v1/tickets/by-number/{self.first['number']}",
            min_version=f"{self.first['ticket_id']}:{version}",
        )["ticket"]
        expect(found["version"] >= version, "the list is older than what was asked for")

    def _path(self, what: str) -> str:
        return f"/v1/tickets/{self.first['ticket_id']}/{what}"

    def _card(self) -> Json:
        return self.stage.card(self.first["ticket_id"])

    def _message(self, number: int) -> Any:
        def arrived() -> Any:
            messages = self._card()["messages"]
            return messages[number - 1] if len(messages) >= number else None

        return until(f"message {number} on the ticket", arrived)
