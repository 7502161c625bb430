"""The catalogue: every event type on the wire, its owner, version and model."""

from dataclasses import dataclass

from deskline_events import intake, notify, routing, sla, tickets
from deskline_events.facts import Fact


@dataclass(frozen=True, slots=True)
class Contract:
    """One wire type; `ignorable` means that a reader which doesn't know it may pass over it."""

    owner: str
    name: str
    version: int
    model: type[Fact]
    ignorable: bool

    @property
    def type(self) -> str:
        """The `ce_type`: `deskline.<owner>.<name>.v<version>`."""
        return f"deskline.{self.owner}.{self.name}.v{self.version}"


def _contract(model: type[Fact]) -> Contract:
    _, owner, name, version = model.TYPE.split(".")
    return Contract(owner, name, int(version.removeprefix("v")), model, model.IGNORABLE)


CATALOG: dict[str, Contract] = {
    model.TYPE: _contract(model)
    for model in (
        intake.CompanyRegistered,
        intake.ContactRegistered,
        intake.MessageReceived,
        intake.PersonErased,
        tickets.TicketOpened,
        tickets.CustomerReplied,
        tickets.AutomaticMessageAdded,
        tickets.MessageSetAside,
        tickets.OperatorReplied,
        tickets.NoteAdded,
        tickets.StageChanged,
        tickets.PriorityChanged,
        tickets.TicketRouted,
        tickets.TicketOffered,
        tickets.OfferDeclined,
        tickets.OfferEnded,
        tickets.TicketAccepted,
        tickets.TicketUnassigned,
        tickets.Escalated,
        tickets.DecisionRefused,
        tickets.DeliveryChanged,
        routing.TicketQueued,
        routing.OfferMade,
        routing.OfferWithdrawn,
        routing.NobodyAvailable,
        routing.AssignmentWithdrawn,
        routing.OperatorChanged,
        routing.TeamChanged,
        routing.QueueChanged,
        sla.ClockStarted,
        sla.ClockPaused,
        sla.ClockResumed,
        sla.ClockMet,
        sla.ClockCancelled,
        sla.SlaRecalculated,
        sla.SlaWarned,
        sla.SlaBreached,
        sla.PolicyChanged,
        sla.CalendarChanged,
        notify.NotificationSent,
        notify.NotificationFailed,
    )
}
