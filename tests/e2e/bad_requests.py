"""Requests that the gateway must refuse: what is wrong with each, and what it must be told."""

from dataclasses import dataclass, field
from typing import Any, Final

KEY: Final = {"Idempotency-Key": "{key}"}
AS_READ: Final = {"If-Match": "{etag}"}


@dataclass(frozen=True)
class Bad:
    """A request of a role; `{ticket}`, `{other}`, `{line}`, `{key}`, `{used}` and `{etag}` are filled in.

    Where `json` is set it is the body, else `content`; `headers` are those beside the token's.
    """

    wrong: str
    method: str
    path: str
    status: int
    code: str
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    role: str | None = "operator"


def _note(wrong: str, status: int, code: str, json: Any = None, **more: Any) -> Bad:
    headers = {"headers": KEY} | more
    return Bad(wrong, "POST", "/v1/tickets/{ticket}/notes", status, code, json=json, **headers)


def _stage(wrong: str, status: int, code: str, json: Any, headers: dict[str, str]) -> Bad:
    return Bad(wrong, "POST", "/v1/tickets/{ticket}/stage", status, code, KEY | headers, json)


def _raw(
    wrong: str,
    content: bytes,
    content_type: str = "application/json",
    status: int = 422,
    code: str = "invalid_request",
) -> Bad:
    return _note(wrong, status, code, content=content, headers=KEY | {"Content-Type": content_type})


def _get(wrong: str, path: str, status: int, code: str, **more: Any) -> Bad:
    return Bad(wrong, "GET", path, status, code, **more)


LONG: Final = "я" * (32 * 1024) + "."
NOTE: Final = {"text": "a note"}
RESOLVED: Final = {"stage": "resolved", "closing_reason": "solved"}
OTHER_SCRIPT: Final = "/v1/tickets/by-number/٣"

BAD: Final = (
    # the body
    _note("wrong type", 422, "invalid_request", {"text": 5}),
    _note("unknown field", 422, "invalid_request", NOTE | {"colour": "red"}),
    _note("missing field", 422, "invalid_request", {}),
    _note("no object", 422, "invalid_request", [NOTE]),
    _note("too many mentions", 422, "invalid_request", NOTE | {"mentions": ["{other}"] * 51}),
    _note("text over 64 KiB", 413, "text_too_long", {"text": LONG}),
    _note("blank text", 422, "missing_requirement", {"text": " \n"}),
    _note("body over 1 MiB", 413, "body_too_large", {"text": "x" * 1024 * 1024}),
    Bad(
        "reply over 64 KiB",
        "POST",
        "/v1/tickets/{ticket}/replies",
        413,
        "text_too_long",
        KEY,
        {"text": LONG, "seen_version": 1},
    ),
    Bad("reply without version", "POST", "/v1/tickets/{ticket}/replies", 422, "invalid_request", KEY, NOTE),
    _raw("no JSON", b'{"text": "a note"'),
    _raw("half a surrogate pair", b'{"text": "\\ud800"}'),
    _raw("no UTF-8", b'{"text": "\xff"}', status=400, code="bad_request"),
    _raw("deep JSON", b'{"text": ' + b"[" * 100_000, status=400, code="bad_request"),
    _raw(
        "endless number",
        b'{"text": "a", "mentions": ' + b"9" * 100_000 + b"}",
        status=400,
        code="bad_request",
    ),
    _raw("no body", b""),
    _raw("wrong content type", b'{"text": "a note"}', "text/plain"),
    _raw("a form", b"text=a+note", "application/x-www-form-urlencoded"),
    # the ticket as it is
    _stage("no such move", 409, "illegal_move", {"stage": "closed"}, AS_READ),
    _stage("a move that needs a reason", 422, "missing_requirement", {"stage": "resolved"}, AS_READ),
    _stage("no stage", 422, "invalid_request", {"stage": "finished"}, AS_READ),
    _stage("stale version", 412, "stale_version", RESOLVED, {"If-Match": '"1"'}),
    _stage("version of the future", 412, "stale_version", RESOLVED, {"If-Match": '"999"'}),
    _stage("no version", 428, "if_match_required", RESOLVED, {}),
    _stage("any version", 400, "if_match_malformed", RESOLVED, {"If-Match": "*"}),
    Bad(
        "priority without version",
        "POST",
        "/v1/tickets/{ticket}/priority",
        428,
        "if_match_required",
        KEY,
        {"priority": "high"},
    ),
    # the key of a command
    _note("no key", 400, "idempotency_key_required", NOTE, headers={}),
    _note("key with a blank", 400, "idempotency_key_required", NOTE, headers={"Idempotency-Key": "a b"}),
    _note("key of another body", 422, "key_reused", {"text": "b"}, headers={"Idempotency-Key": "{used}"}),
    # what there is not
    _get("unknown ticket", "/v1/tickets/{other}", 404, "ticket_unknown"),
    _get("history of an unknown ticket", "/v1/tickets/{other}/history", 404, "ticket_unknown"),
    _get("timeline of an unknown ticket", "/v1/tickets/{other}/timeline", 404, "ticket_unknown"),
    _get("unknown number", "/v1/tickets/by-number/999999999", 404, "ticket_unknown"),
    _get("unknown version", "/v1/tickets/{ticket}/history?version=999", 404, "not_then"),
    Bad("note on an unknown ticket", "POST", "/v1/tickets/{other}/notes", 404, "ticket_unknown", KEY, NOTE),
    _get("unknown address", "/v1/ticket/{ticket}", 404, "not_found"),
    _get("an owner's own address", "/readyz/..%2fv1/tickets", 404, "not_found"),
    Bad("unknown method", "DELETE", "/v1/tickets/{ticket}", 405, "method_not_allowed"),
    Bad("command as a query", "GET", "/v1/tickets/{ticket}/notes", 405, "method_not_allowed"),
    # path and query
    _get("malformed id", "/v1/tickets/42", 422, "invalid_request"),
    _get("id in braces", "/v1/tickets/%7B{other}%7D", 422, "invalid_request"),
    _get("number that is none", "/v1/tickets/by-number/one", 422, "invalid_request"),
    _get("number of another script", OTHER_SCRIPT, 422, "invalid_request"),
    Bad("note on a malformed id", "POST", "/v1/tickets/42/notes", 422, "invalid_request", KEY, NOTE),
    _get("unknown filter", "/v1/tickets?colour=red", 422, "invalid_request"),
    _get("page too long", "/v1/tickets?limit=101", 422, "invalid_request"),
    _get("time without zone", "/v1/tickets?opened_from=2026-11-21T10:00:00", 422, "invalid_request"),
    _get("bad cursor", "/v1/tickets?cursor=AAAA", 400, "bad_cursor"),
    _get("bad cursor of set-aside mail", "/v1/lines/{line}/set-aside?cursor=AAAA", 400, "bad_cursor"),
    _get(
        "version and time",
        "/v1/tickets/{ticket}/history?version=1&at=2026-11-21T10:00:00Z",
        422,
        "invalid_request",
    ),
    _get("query of a card", "/v1/tickets/{ticket}?colour=red", 422, "invalid_request"),
    _get("range upside down", "/v1/reports/daily-flow?from=2026-11-21&to=2026-11-01", 422, "invalid_request"),
    _get(
        "no zone",
        "/v1/reports/daily-flow?from=2026-11-01&to=2026-11-02&zone=Mars/Olympus",
        422,
        "invalid_request",
    ),
    # who asks
    _get("no token", "/v1/tickets/{ticket}", 401, "token_refused", role=None),
    _get(
        "unknown token",
        "/v1/tickets",
        401,
        "token_refused",
        role=None,
        headers={"Authorization": "Bearer dsk_" + "a" * 43},
    ),
    _get(
        "no bearer", "/v1/tickets", 401, "token_refused", role=None, headers={"Authorization": "Basic YTpi"}
    ),
    _note("note without a token", 401, "token_refused", NOTE, role=None),
    _get("an analyst at a card", "/v1/tickets/{ticket}", 403, "role_refused", role="analyst"),
    _note("an analyst's note", 403, "role_refused", NOTE, role="analyst"),
    _note("an admin's note", 403, "role_refused", NOTE, role="admin"),
    _get("another system at the list", "/v1/tickets", 403, "role_refused", role="system"),
)
