"""Every route × role × scope × own or another's existing ticket: the request, and what the door should do.

Made from the table of rules, so that a new route is in it at once; whoever runs the whole system plays
the same requests on real owners.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args
from uuid import UUID

from deskline_gateway.domain.rules import ROLES, Role, Rule
from deskline_gateway.domain.table import RULES
from deskline_gateway.domain.tokens import Scope

Whose = Literal["own", "anothers"]
Door = Literal["passes", "role_refused", "token_refused"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_ID: Final = "01890a5d-ac96-774b-bcce-b302000000"
_OWN: Final = UUID(f"{_ID}01")
_ANOTHERS: Final = UUID(f"{_ID}02")
_HOURS: Final = {"start": "09:00", "end": "18:00"}

# By the owner's contract, so that a request that may pass is also one that the owner can do.
BODIES: Final[Mapping[str, Any]] = {
    "reply": {"text": "An answer.", "seen_version": 1},
    "add_note": {"text": "A note."},
    "change_stage": {"stage": "in_progress"},
    "change_priority": {"priority": "high"},
    "accept": {"offer_id": "{offer_id}"},
    "decline": {"offer_id": "{offer_id}"},
    "unassign": {},
    "change_queue": {"queue_id": "{queue_id}"},
    "escalate": {"level": 2, "note": "A note.", "tried": "All.", "reproduce": "Always.", "affected": "All."},
    "put_operator": {
        "name": "An operator",
        "address": "operator@desk.example",
        "language": "ru",
        "capacity": 5,
    },
    "put_team": {"name": "A team"},
    "put_queue": {"name": "A queue", "order": 90, "conditions": {"levels": [3]}},
    "set_presence": {"state": "online"},
    "put_policy": {
        "name": "A policy",
        "order": 90,
        "conditions": {"levels": [3]},
        "calendar_id": "{calendar_id}",
        "targets": [
            {"clock": clock, "priority": priority, "seconds": 3600}
            for clock in ("first_response", "resolution")
            for priority in ("low", "medium", "high", "critical")
        ],
        "steps": {},
    },
    "put_calendar": {
        "name": "A calendar",
        "zone": "Europe/Moscow",
        "week": [[_HOURS]] * 5 + [[]] * 2,
    },
    "put_template": {"subject": "A subject", "text": "A text."},
    "preview_template": {"subject": "A subject", "text": "A text."},
    "send_message": {"address": "customer@example.com", "subject": "A subject", "text": "A question."},
    "find_contact": {"address": "customer@example.com"},
    "erase_contact": {},
    "search_tickets": {"text": "words"},
}
QUERIES: Final[Mapping[str, str]] = {
    "report_daily_flow": "from=2026-01-01&to=2026-01-02",
    "report_sla": "from=2026-01-01&to=2026-01-02&clock=first_response",
    "report_operator_load": "from=2026-01-01&to=2026-01-02",
}


@dataclass(frozen=True)
class Places:
    """What the requests are about; in a whole system all of it exists."""

    own_ticket: UUID = _OWN
    anothers_ticket: UUID = _ANOTHERS
    named: Mapping[str, str] = field(default_factory=dict)

    def of(self, whose: Whose) -> dict[str, str]:
        """Name → what stands in its place."""
        ids = ("line", "contact", "operator", "team", "queue", "policy", "calendar", "offer")
        made = {f"{name}_id": f"{_ID}{number:02}" for number, name in enumerate(ids, 3)}
        ticket = self.own_ticket if whose == "own" else self.anothers_ticket
        return (
            made
            | {"number": "7", "kind": "reply", "language": "ru"}
            | dict(self.named)
            | {"ticket_id": str(ticket)}
        )


@dataclass(frozen=True)
class Case:
    """One request and what the door does with it; `hidden`: the owner should know no such ticket."""

    rule: Rule
    role: Role | None
    scope: Scope
    whose: Whose
    path: str
    body: Any
    headers: Mapping[str, str]
    door: Door
    hidden: bool

    def __str__(self) -> str:
        return f"{self.rule.name} as {self.role} ({self.scope}) on {self.whose}"


def matrix(places: Places = Places(), rules: tuple[Rule, ...] = RULES) -> Iterator[Case]:
    """All cases of the rules; without a token there is one a rule and ticket."""
    for rule in rules:
        about_tickets = "ticket_id" in rule.parameters
        for whose in get_args(Whose) if about_tickets else ("own",):
            yield _case(rule, None, "own", whose, places)
            for role in ROLES:
                for scope in SCOPES:
                    yield _case(rule, role, scope, whose, places)


def _case(rule: Rule, role: Role | None, scope: Scope, whose: Whose, places: Places) -> Case:
    given = places.of(whose)
    query = QUERIES.get(rule.name)
    headers = {"Idempotency-Key": f"{rule.name}-{role}-{scope}-{whose}"} if rule.keyed else {}
    headers |= {"If-Match": '"1"'} if rule.version == "always" else {}
    return Case(
        rule=rule,
        role=role,
        scope=scope,
        whose=whose,
        path=rule.path.format_map(given) + ("" if query is None else f"?{query}"),
        body=_filled(BODIES[rule.name], given) if rule.has_body else None,
        headers=headers,
        door=_door(rule, role),
        hidden="ticket_id" in rule.parameters and whose == "anothers" and scope == "own",
    )


def _door(rule: Rule, role: Role | None) -> Door:
    if rule.public:
        return "passes"
    if role is None:
        return "token_refused"
    return "passes" if role in rule.roles else "role_refused"


def _filled(body: Any, given: Mapping[str, str]) -> Any:
    if isinstance(body, str):
        return body.format_map(given) if body.startswith("{") else body
    if isinstance(body, dict):
        return {name: _filled(value, given) for name, value in body.items()}
    return [_filled(value, given) for value in body] if isinstance(body, list) else body
