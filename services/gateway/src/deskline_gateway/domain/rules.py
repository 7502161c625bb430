"""What a rule of the door is: a route, who owns it, who may take it, and what it asks for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import quote
from uuid import UUID

Role = Literal["operator", "lead", "admin", "analyst", "system"]
Owner = Literal["intake", "tickets", "routing", "sla", "notify", "analytics"]
Method = Literal["GET", "POST", "PUT"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
OWNERS: Final[tuple[Owner, ...]] = get_args(Owner)

# Stricter than UUID() and int(), which also take braces, signs, spaces and digits of other scripts.
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ParameterRefusedError(Exception):
    """A part of the path is not what the route's template asks for."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"{name} is not {wanted}")
        self.name = name
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Rule:
    """One route: without its row in the table it does not exist.

    `changes`: a lost answer leaves the outcome unknown. `keyed`: the owner wants an Idempotency-Key.
    `version`: whether the owner wants If-Match always, or where the thing exists already. `public`:
    anybody may take it, without a token. `behind_card`: its owner knows nothing of rights on tickets, and
    tickets must show the caller the ticket first. `watches`: the owner's query that must be allowed before
    and while a live stream is told.
    """

    name: str
    method: Method
    path: str
    owner: Owner
    roles: frozenset[Role]
    changes: bool = False
    keyed: bool = False
    version: Literal["always", "where_it_exists"] | None = None
    public: bool = False
    watches: str | None = None
    behind_card: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's template."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def has_body(self) -> bool:
        """Whether the caller sends something."""
        return self.method != "GET"

    def allows(self, roles: frozenset[str]) -> bool:
        """Whether one of these roles may take the route."""
        return not self.roles.isdisjoint(roles)

    def path_for(self, given: Mapping[str, str]) -> str:
        """The owner's path, made anew from checked values; raises ParameterRefusedError."""
        checked = {name: quote(_checked(name, given[name]), safe="") for name in self.parameters}
        return (self.watches or self.path).format_map(checked)

    def card_for(self, given: Mapping[str, str]) -> str:
        """The path of the ticket's card; raises ParameterRefusedError."""
        return f"/v1/tickets/{_checked('ticket_id', given['ticket_id'])}"

    def fits(self, path: str) -> bool:
        """Whether a request's path is of this route, whatever stands in its places."""
        parts, wanted = path.split("/"), self.path.split("/")
        return len(parts) == len(wanted) and all(
            there == here or (here.startswith("{") and there != "")
            for there, here in zip(parts, wanted, strict=True)
        )


def _is(pattern: re.Pattern[str], wanted: str) -> Callable[[str, str], str]:
    def check(name: str, text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ParameterRefusedError(name, wanted)
        return text

    return check


_is_uuid: Final = _is(_UUID, "a UUID")

# Every other place in a path holds an id.
_CHECKS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "number": _is(_NUMBER, "a positive whole number"),
    "kind": _is(_WORD, "a word of a-z, 0-9 and underscore"),
    "language": _is(re.compile("ru|en"), "ru or en"),
}


def _checked(name: str, text: str) -> str:
    check = _CHECKS.get(name)
    return str(UUID(_is_uuid(name, text))) if check is None else check(name, text)
