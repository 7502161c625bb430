"""How each rule is described: what FastAPI needs to write its operation into the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from deskline_gateway.api import contract
from deskline_gateway.api.outward import REQUEST_ID
from deskline_gateway.domain.rules import Rule

REFERENCE: Final = "#/components/schemas/{model}"
SECURITY_SCHEME: Final = "token"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a route takes and gives, beside its rule."""

    summary: str
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    versioned: bool = False
    refusals: Mapping[int, str] = field(default_factory=dict)


_UNKNOWN: Final = {404: "there is no such ticket"}
_ENDED: Final = {409: "the ticket's stage doesn't take it; the answer lists what it takes"}
_TOO_LONG: Final = {413: "the body or its text is too long"}

SHAPES: Final[Mapping[str, Shape]] = {
    "list_tickets": Shape(
        "Tickets, in the order of opening",
        contract.TicketsPage,
        query=contract.TicketsQuery,
    ),
    "find_ticket_by_number": Shape("The ticket with a number", contract.NumberedTicket, refusals=_UNKNOWN),
    "read_ticket": Shape("A ticket's card", contract.Card, versioned=True, refusals=_UNKNOWN),
    "read_history": Shape(
        "A ticket as it was, and how it came to that",
        contract.History,
        query=contract.HistoryQuery,
        refusals=_UNKNOWN,
    ),
    "read_timeline": Shape(
        "What happened to a ticket", contract.Timeline, query=contract.TimelineQuery, refusals=_UNKNOWN
    ),
    "reply": Shape(
        "Answer the customer",
        contract.ReplyAdded,
        body=contract.NewReply,
        status=201,
        versioned=True,
        refusals=_UNKNOWN | _ENDED | _TOO_LONG,
    ),
    "add_note": Shape(
        "Write a note for colleagues",
        contract.NoteAdded,
        body=contract.NewNote,
        status=201,
        versioned=True,
        refusals=_UNKNOWN | _ENDED | _TOO_LONG,
    ),
    "change_stage": Shape(
        "Move the ticket",
        contract.StageNow,
        body=contract.StageChange,
        versioned=True,
        refusals=_UNKNOWN | _ENDED | _TOO_LONG,
    ),
    "change_priority": Shape(
        "Change the priority",
        contract.PriorityNow,
        body=contract.PriorityChange,
        versioned=True,
        refusals=_UNKNOWN | _ENDED | _TOO_LONG,
    ),
    "list_set_aside": Shape(
        "Messages of a line that made no ticket", contract.SetAsidePage, query=contract.SetAsideQuery
    ),
    "report_daily_flow": Shape("The flow per day", contract.DailyFlow, query=contract.DailyFlowQuery),
}

_PATH_SCHEMAS: Final = {
    "ticket_id": {"type": "string", "format": "uuid"},
    "line_id": {"type": "string", "format": "uuid"},
    "number": {"type": "integer", "minimum": 1},
}
_REFUSALS: Final = {
    400: "a header, the query string or a cursor can't be used",
    401: "no token that is known, not expired and not revoked",
    403: "the token's roles don't include this route",
    422: "a value is not as this route takes it",
    500: "the owner failed",
    502: "the owner's answer can't be passed on",
    503: "nothing was done: the gateway or the owner can't work now; see Retry-After",
}
_COMMAND_REFUSALS: Final = {
    408: "the body did not come in time",
    413: "the body is too large",
    504: "the outcome is unknown: send it again with the same Idempotency-Key",
}
_VERSION_REFUSALS: Final = {
    412: "the ticket has another version by now; the answer has its state",
    428: "If-Match is missing",
}


def describe(rule: Rule) -> dict[str, Any]:
    """The arguments of `add_api_route` that describe the rule's route."""
    shape = SHAPES[rule.name]
    refusals = _REFUSALS | (_COMMAND_REFUSALS if rule.command else {}) | dict(shape.refusals)
    refusals |= _VERSION_REFUSALS if rule.needs_version else {}
    extra: dict[str, Any] = {
        "parameters": _parameters(rule, shape.query),
        "security": [{SECURITY_SCHEME: []}],
        "x-deskline-owner": rule.owner,
        "x-deskline-roles": sorted(rule.roles),
    }
    if shape.body is not None:
        schema = {"$ref": REFERENCE.format(model=shape.body.__name__)}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    answer = {"description": "Done", "headers": _answer_headers(shape)}
    return {
        "operation_id": rule.name,
        "summary": shape.summary,
        "description": f"For: {', '.join(sorted(rule.roles))}.",
        "tags": [rule.owner],
        "status_code": shape.status,
        "response_model": shape.answer,
        "responses": {shape.status: answer}
        | {status: _refusal(status, refusals[status]) for status in sorted(refusals)},
        "openapi_extra": extra,
    }


def _parameters(rule: Rule, query: type[BaseModel] | None) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}
        for name in rule.parameters
    ]
    if query is not None:
        schema = query.model_json_schema(ref_template=REFERENCE)
        needed = schema.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in needed, "schema": wanted}
            for name, wanted in schema["properties"].items()
        ]
    if rule.command:
        found.append(
            _header("Idempotency-Key", "same key and body, same answer; same key and another body, 422")
        )
    if rule.needs_version:
        found.append(_header("If-Match", "the ETag of the card that the decision rests on"))
    return found


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _answer_headers(shape: Shape) -> dict[str, Any]:
    etag = {"ETag": _header_of_answer("the ticket's version, for If-Match")} if shape.versioned else {}
    return etag | {REQUEST_ID: _header_of_answer("the trace's id")}


def _refusal(status: int, description: str) -> dict[str, Any]:
    headers = {REQUEST_ID: _header_of_answer("the trace's id")}
    if status == 401:  # noqa: PLR2004 -- the status itself says it best
        headers["WWW-Authenticate"] = _header_of_answer("Bearer")
    if status in {503, 504}:
        headers["Retry-After"] = _header_of_answer("seconds")
    schema = {"$ref": REFERENCE.format(model=contract.Problem.__name__)}
    return {
        "description": description,
        "headers": headers,
        "content": {"application/problem+json": {"schema": schema}},
    }


def _header_of_answer(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
