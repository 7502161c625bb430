"""The rows of the table: what is measured, in which unit, and what is asked for."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with what it must reach and what it should reach; without either it only stands there.

    `more` is better, or less is.
    """

    name: str
    what: str
    unit: str
    at_least: float | None = None
    goal: float | None = None
    more: bool = True

    def reached(self, value: float) -> str:
        """In a word."""

        def holds(asked: float | None) -> bool:
            return asked is not None and (value >= asked if self.more else value <= asked)

        if self.at_least is None:
            return ""
        return "goal" if holds(self.goal) else "yes" if holds(self.at_least) else "no"


def _less(name: str, what: str, unit: str, at_least: float | None = None, goal: float | None = None) -> Row:
    return Row(name, what, unit, at_least, goal, more=False)


ROWS: Final = (
    Row("forms", "new tickets, web-form door → opened, routed, SLA armed, projected, told", "/s", 350, 700),
    Row("mails", "the same from the SMTP door (7 KB, three parts), acknowledged by SMTP", "/s", 250, 400),
    _less("cpu", "processor time of all processes together for one such mail", "ms", 6, 4),
    _less("forms-cpu", "the same for one form", "ms"),
    _less("offered-p50", "door → offered at half the rate of the form's row, p50", "ms"),
    _less("offered", "the same, p99", "ms", 500, 250),
    Row("relay", "relay, idempotent, with personal fields encrypted", "/s", 20_000, 30_000),
    Row("reader", "consumer with database effects", "/s", 20_000, 40_000),
    Row("rebuild", "rebuild of projections", "/s", 20_000, 40_000),
    _less("command", "ticket command through the gateway, one client, p99", "ms", 25, 15),
    Row("commands", "the same, 16 clients", "/s", 250, 400),
    _less("commands-p99", "the same, 16 clients, p99", "ms"),
    _less("card", "with 1,000,000 tickets: one card, p99", "ms", 50, 20),
    _less("list", "with 1,000,000 tickets: a list, p99", "ms", 100, 50),
    _less("search", "with 1,000,000 tickets: a search, p99", "ms", 150, 50),
    _less("timers", "1,000,000 armed, 5,000 due in one minute: lateness p99", "s", 2, 1),
    Row("forms-million", "forms at 1,000,000 tickets against 10,000", "%", -20, -10),
    Row("mails-million", "mails at 1,000,000 tickets against 10,000", "%", -20, -10),
    _less("cpu-million", "processor time of a mail at 1,000,000 tickets against 10,000", "%"),
    Row("commands-million", "commands of 16 clients at 1,000,000 tickets against 10,000", "%", -20, -10),
    _less("memory", "memory of the largest service under load, peak", "MB", 200, 150),
    _less("memory-slope", "the same, what it grows by in an hour after its first quarter", "MB"),
)
NAMES: Final = tuple(row.name for row in ROWS)
