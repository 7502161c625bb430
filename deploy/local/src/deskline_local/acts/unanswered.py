"""Second act: Dmitry's ticket, which nobody answers, under a policy of a few seconds."""

from dataclasses import dataclass, field
from typing import Final

from deskline_local import mails
from deskline_local.client import until
from deskline_local.mailbox import Letter
from deskline_local.office import LENA, OLEG, SECOND_QUEUE
from deskline_local.story import TICKETS_IN_ALL, Json, Stage, Step, expect

NOTICES: Final = ("the warning", "the breach")
LEVEL: Final = 2


@dataclass
class Unanswered:
    """Warned, breached, escalated, offered on the second line, and everybody is told."""

    stage: Stage
    ticket: Json = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """In order."""
        return [
            ("Dmitry writes to the line that promises an answer within seconds", self.dmitry_writes),
            ("Nobody answers: the lead is warned", self.warned),
            ("Still nobody: breached, and escalated to level 2 with a higher priority", self.escalated),
            ("It stands in the second line's queue and is offered to Oleg", self.offered_above),
            ("The lead and Oleg are told by mail", self.told),
            ("Five mails of customers made four tickets in all", self.four_tickets),
        ]

    def dmitry_writes(self) -> None:
        """Opens ticket 4."""
        self.stage.desk.mail(mails.DMITRY, mails.VIP, mails.urgent())
        self.ticket = self.stage.ticket_about("Касса стоит")

    def warned(self) -> None:
        """By mail, before the breach."""
        until("the warning", lambda: self._lead_mails() or None)

    def escalated(self) -> None:
        """The ticket's own answer to the breach."""
        card = self.stage.until_card(self._id, "the ticket on level 2", lambda card: card["level"] == LEVEL)
        expect(card["priority"] == "high", f"its priority is {card['priority']}")

        def breached() -> Json | None:
            clocks = self.stage.desk.get(f"/v1/tickets/{self._id}/clocks")["clocks"]
            return next((one for one in clocks if one["clock"] == "first_response" and one["breached"]), None)

        until("the breach on the clock", breached)

    def offered_above(self) -> None:
        """Routing chose the queue of level 2, and there is one operator."""
        self.stage.office.wait_for_offer(self.stage.office.oleg, self._id)
        expect(self.stage.card(self._id)["queue_id"] == SECOND_QUEUE, "it stands in another queue")

    def told(self) -> None:
        """The lead of the breach, Oleg of the offer, each once."""
        number = f"#{self.ticket['number']}"

        def lead_knows() -> bool | None:
            letters = self._lead_mails()
            expect(len(letters) <= len(NOTICES), f"the lead got {len(letters)} mails")
            return len(letters) == len(NOTICES) or None

        until(f"{' and '.join(NOTICES)} in the lead's mailbox", lead_knows)
        self.stage.letter(OLEG.address, "Oleg's offer", lambda one: number in str(one.mail["Subject"]))

    def four_tickets(self) -> None:
        """No acknowledgement, notice or autoresponder became one."""
        tickets = self.stage.tickets()
        expect(len(tickets) == TICKETS_IN_ALL, f"there are {len(tickets)} tickets")

    @property
    def _id(self) -> str:
        return str(self.ticket["ticket_id"])

    def _lead_mails(self) -> list[Letter]:
        number = f"#{self.ticket['number']}"
        letters = self.stage.site.letters(LENA.address)
        return [one for one in letters if number in str(one.mail["Subject"])]
