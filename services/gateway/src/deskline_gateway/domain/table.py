"""The table of rules, as data: every route that there is, and the reason for each choice of roles."""

from typing import Final

from deskline_gateway.domain.rules import Owner, Role, Rule

Roles = frozenset[Role]

# Nobody but operators and leads acts on a ticket: tickets' own table of transitions says the same.
_ACT: Final[Roles] = frozenset({"operator", "lead"})
# A card holds a customer's words, and an analyst needs none. No route is for another company system yet:
# those read the topics.
_SUPPORT: Final[Roles] = frozenset({"operator", "lead", "admin"})
# analytics itself leaves out of its answers what an analyst should not see.
_READ_MODELS: Final[Roles] = _SUPPORT | {"analyst"}
# Figures and explanations that compare colleagues, and the agreements that they are measured by.
_SUPERVISE: Final[Roles] = frozenset({"lead", "admin", "analyst"})
# What customers are told in everybody's name: read by who answers for the team, changed by administrators.
_OVERSEE: Final[Roles] = frozenset({"lead", "admin"})
_CONFIGURE: Final[Roles] = frozenset({"admin"})
_ANYBODY: Final[Roles] = frozenset()


def _read(owner: Owner, name: str, path: str, roles: Roles) -> Rule:
    return Rule(name, "GET", path, owner, roles)


def _look_up(owner: Owner, name: str, path: str, roles: Roles) -> Rule:
    """A query whose question is no matter for addresses and logs of addresses: it is sent as a body."""
    return Rule(name, "POST", path, owner, roles)


def _add(owner: Owner, name: str, path: str, roles: Roles) -> Rule:
    """A command that rests on no version."""
    return Rule(name, "POST", path, owner, roles, changes=True, keyed=True)


def _move(owner: Owner, name: str, path: str, roles: Roles) -> Rule:
    """A command that rests on the version that its caller had read."""
    return Rule(name, "POST", path, owner, roles, changes=True, keyed=True, version="always")


def _put(owner: Owner, name: str, path: str, roles: Roles) -> Rule:
    """A thing as it should be from now on, made where it is missing; repeating it changes nothing."""
    return Rule(name, "PUT", path, owner, roles, changes=True, version="where_it_exists")


def _kept(owner: Owner, one: str, many: str, read_by: Roles) -> tuple[Rule, ...]:
    """What administrators configure: list, read, put."""
    path = f"/v1/{many}/{{{one}_id}}"
    return (
        _read(owner, f"list_{many}", f"/v1/{many}", read_by),
        _read(owner, f"read_{one}", path, read_by),
        _put(owner, f"put_{one}", path, _CONFIGURE),
    )


_TICKET: Final = "/v1/tickets/{ticket_id}"
_QUEUE: Final = "/v1/queues/{queue_id}"
_TEMPLATE: Final = "/v1/templates/{kind}/{language}"

_TICKETS: Final = (
    _read("tickets", "read_ticket", _TICKET, _SUPPORT),
    _read("tickets", "read_history", f"{_TICKET}/history", _SUPPORT),
    _add("tickets", "reply", f"{_TICKET}/replies", _ACT),
    _add("tickets", "add_note", f"{_TICKET}/notes", _ACT),
    _move("tickets", "change_stage", f"{_TICKET}/stage", _ACT),
    _move("tickets", "change_priority", f"{_TICKET}/priority", _ACT),
    # These name the offer that they rest on, which no other move leaves open.
    _add("tickets", "accept", f"{_TICKET}/accept", _ACT),
    _add("tickets", "decline", f"{_TICKET}/decline", _ACT),
    _move("tickets", "unassign", f"{_TICKET}/unassign", _ACT),
    _move("tickets", "change_queue", f"{_TICKET}/queue", _ACT),
    _move("tickets", "escalate", f"{_TICKET}/escalate", _ACT),
    _read("tickets", "list_set_aside", "/v1/lines/{line_id}/set-aside", _SUPPORT),
    Rule("watch_ticket", "GET", f"{_TICKET}/events", "tickets", _SUPPORT, watches=_TICKET),
)
_ROUTING: Final = (
    # Who a colleague is and which queues there are: needed to mention, to hand over, to read a card.
    *_kept("routing", "operator", "operators", _SUPPORT),
    *_kept("routing", "team", "teams", _SUPPORT),
    *_kept("routing", "queue", "queues", _SUPPORT),
    # Whoever acts on tickets may be offered some. A heartbeat says the same each time and needs no key.
    Rule("set_presence", "POST", "/v1/presence", "routing", _ACT, changes=True),
    _read("routing", "list_offers", "/v1/offers", _ACT),
    _read("routing", "list_waiting", f"{_QUEUE}/waiting", _SUPPORT),
    # Why this colleague and not that one, with everybody's load and absence.
    _read("routing", "read_decisions", f"{_TICKET}/decisions", _SUPERVISE),
    # The queue itself is no secret among colleagues; who may see its tickets is judged by who may see those
    # that wait.
    Rule("watch_queue", "GET", f"{_QUEUE}/events", "routing", _SUPPORT, watches=f"{_QUEUE}/waiting"),
)
_SLA: Final = (
    *_kept("sla", "policy", "policies", _SUPERVISE),
    *_kept("sla", "calendar", "calendars", _SUPERVISE),
    Rule("read_clocks", "GET", f"{_TICKET}/clocks", "sla", _SUPPORT, behind_card=True),
)
_NOTIFY: Final = (
    # Whether the customer was told belongs to the card.
    _read("notify", "list_notifications", f"{_TICKET}/notifications", _SUPPORT),
    _read("notify", "list_templates", "/v1/templates", _OVERSEE),
    _read("notify", "read_template", _TEMPLATE, _OVERSEE),
    _put("notify", "put_template", _TEMPLATE, _CONFIGURE),
    _look_up("notify", "preview_template", f"{_TEMPLATE}/preview", _CONFIGURE),
)
_INTAKE: Final = (
    # The web form: its sender has no token, and gets an identity that allows nothing else.
    Rule(
        "send_message",
        "POST",
        "/v1/lines/{line_id}/messages",
        "intake",
        _ANYBODY,
        changes=True,
        keyed=True,
        public=True,
    ),
    _read("intake", "list_lines", "/v1/lines", _SUPPORT),
    _look_up("intake", "find_contact", "/v1/contacts/find", _SUPPORT),
    # It can't be undone.
    _add("intake", "erase_contact", "/v1/contacts/{contact_id}/erase", _CONFIGURE),
)
_ANALYTICS: Final = (
    _read("analytics", "list_tickets", "/v1/tickets", _READ_MODELS),
    _read("analytics", "find_ticket_by_number", "/v1/tickets/by-number/{number}", _READ_MODELS),
    _read("analytics", "read_timeline", f"{_TICKET}/timeline", _READ_MODELS),
    # What is found shows customers' words.
    _look_up("analytics", "search_tickets", "/v1/tickets/search", _SUPPORT),
    _read("analytics", "read_routing_decisions", f"{_TICKET}/routing-decisions", _SUPERVISE),
    _read("analytics", "report_daily_flow", "/v1/reports/daily-flow", _READ_MODELS),
    _read("analytics", "report_sla", "/v1/reports/sla", _SUPERVISE),
    # analytics shows an operator nobody's figures but their own.
    _read("analytics", "report_operator_load", "/v1/reports/operator-load", _READ_MODELS),
)

# A route whose path is all words stands before one that would take the word for an id.
RULES: Final[tuple[Rule, ...]] = (*_ANALYTICS, *_TICKETS, *_ROUTING, *_SLA, *_NOTIFY, *_INTAKE)


def is_cross_origin(path: str) -> bool:
    """Whether pages of other origins may send to this path: to what anybody may send to, and nothing else."""
    return any(rule.public and rule.fits(path) for rule in RULES)
