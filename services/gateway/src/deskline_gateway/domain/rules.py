"""The table of rules, as data: which routes there are, who owns them, and who may take them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import quote
from uuid import UUID

Role = Literal["operator", "lead", "admin", "analyst", "system"]
Owner = Literal["tickets", "analytics"]
Method = Literal["GET", "POST"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
OWNERS: Final[tuple[Owner, ...]] = get_args(Owner)

# Nobody but operators and leads acts on a ticket: tickets' own table of transitions says the same.
_ACT: Final[frozenset[Role]] = frozenset({"operator", "lead"})
# A card holds a customer's words, and an analyst needs none. No route is for another company system yet:
# those read the topics.
_SUPPORT: Final[frozenset[Role]] = frozenset({"operator", "lead", "admin"})
# analytics itself leaves out of its answers what an analyst should not see.
_READ_MODELS: Final[frozenset[Role]] = _SUPPORT | {"analyst"}

# Stricter than UUID() and int(), which also take braces, signs, spaces and digits of other scripts.
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


class ParameterRefusedError(Exception):
    """A part of the path is not what the route's template asks for."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"{name} is not {wanted}")
        self.name = name
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Rule:
    """One route: without its row here it does not exist."""

    name: str
    method: Method
    path: str
    owner: Owner
    roles: frozenset[Role]
    command: bool = False
    needs_version: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's template."""
        return tuple(_PARAMETER.findall(self.path))

    def allows(self, roles: frozenset[str]) -> bool:
        """Whether one of these roles may take the route."""
        return not self.roles.isdisjoint(roles)

    def path_for(self, given: Mapping[str, str]) -> str:
        """The owner's path, made anew from checked values; raises ParameterRefusedError."""
        checked = {name: quote(_checked(name, given[name]), safe="") for name in self.parameters}
        return self.path.format_map(checked)


RULES: Final[tuple[Rule, ...]] = (
    Rule("list_tickets", "GET", "/v1/tickets", "analytics", _READ_MODELS),
    Rule("find_ticket_by_number", "GET", "/v1/tickets/by-number/{number}", "analytics", _READ_MODELS),
    Rule("read_ticket", "GET", "/v1/tickets/{ticket_id}", "tickets", _SUPPORT),
    Rule("read_history", "GET", "/v1/tickets/{ticket_id}/history", "tickets", _SUPPORT),
    Rule("read_timeline", "GET", "/v1/tickets/{ticket_id}/timeline", "analytics", _READ_MODELS),
    Rule("reply", "POST", "/v1/tickets/{ticket_id}/replies", "tickets", _ACT, command=True),
    Rule("add_note", "POST", "/v1/tickets/{ticket_id}/notes", "tickets", _ACT, command=True),
    Rule(
        "change_stage",
        "POST",
        "/v1/tickets/{ticket_id}/stage",
        "tickets",
        _ACT,
        command=True,
        needs_version=True,
    ),
    Rule(
        "change_priority",
        "POST",
        "/v1/tickets/{ticket_id}/priority",
        "tickets",
        _ACT,
        command=True,
        needs_version=True,
    ),
    Rule("list_set_aside", "GET", "/v1/lines/{line_id}/set-aside", "tickets", _SUPPORT),
    Rule("report_daily_flow", "GET", "/v1/reports/daily-flow", "analytics", _READ_MODELS),
)


def _checked(name: str, text: str) -> str:
    if name == "number":
        if _NUMBER.fullmatch(text) is None:
            raise ParameterRefusedError(name, "a positive whole number")
        return text
    if _UUID.fullmatch(text) is None:
        raise ParameterRefusedError(name, "a UUID")
    return str(UUID(text))
