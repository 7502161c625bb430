"""The catalogue: every event type on the wire, its owner, version and model."""

from dataclasses import dataclass

from deskline_events import intake, tickets
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
        tickets.TicketOpened,
        tickets.CustomerReplied,
        tickets.AutomaticMessageAdded,
        tickets.MessageSetAside,
        tickets.OperatorReplied,
        tickets.NoteAdded,
        tickets.StageChanged,
        tickets.PriorityChanged,
    )
}
