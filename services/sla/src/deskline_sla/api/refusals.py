"""Refusals as problem details: one status for each, sentences in the caller's language."""

from typing import Any, Final

from deskline_chassis.http import Problem
from deskline_chassis.requests import etag, speaks_russian
from deskline_sla.domain.checking import RulesRefused
from deskline_sla.handlers.rules import StaleRule

# code: (status, (English, Russian) title, (English, Russian) detail)
_SAID: Final[dict[str, tuple[int, tuple[str, str], tuple[str, str]]]] = {
    "not_permitted": (
        403,
        ("Not permitted", "Нет прав"),
        ("Your roles don't allow this.", "Роли не позволяют."),
    ),
    "ticket_unknown": (
        404,
        ("There is no such ticket", "Обращение не найдено"),
        (
            "No clocks are known for this ticket; it may have been opened a moment ago.",
            "Часы этого обращения неизвестны; возможно, оно только что открыто.",
        ),
    ),
    "policy_unknown": (
        404,
        ("There is no such policy", "Политика не найдена"),
        ("No policy has this id and version.", "Нет политики с таким идентификатором и версией."),
    ),
    "calendar_unknown": (
        404,
        ("There is no such calendar", "Календарь не найден"),
        ("No calendar has this id and version.", "Нет календаря с таким идентификатором и версией."),
    ),
    "if_match_required": (
        428,
        ("Say on which version this rests", "Укажите версию"),
        (
            "It is there already: send If-Match with the ETag that you read.",
            "Такой объект уже есть: передайте If-Match с прочитанным ETag.",
        ),
    ),
    "stale_version": (
        412,
        ("It has changed", "Объект изменился"),
        ("Read it again and decide anew.", "Прочитайте его заново и решите снова."),
    ),
    "bad_cursor": (
        400,
        ("The cursor is not one of ours", "Курсор не из этого списка"),
        (
            "Leave it out to begin at the first page; then pass each page's next_cursor unchanged.",
            "Начните без курсора, затем передавайте next_cursor страницы без изменений.",
        ),
    ),
    "too_large": (
        413,
        ("It is too large", "Слишком большой объект"),
        ("Name fewer exceptions or conditions.", "Укажите меньше исключений или условий."),
    ),
}
_INVALID: Final = (
    "The request is not as this route takes it",
    "Запрос не такой, какой принимает этот адрес",
)


def problem(code: str, accept_language: str | None, **members: Any) -> Problem:
    """A refusal by its code."""
    status, titles, details = _SAID[code]
    russian = speaks_russian(accept_language)
    return Problem(
        status,
        code,
        titles[russian],
        details[russian],
        headers={"Content-Language": "ru" if russian else "en"},
        **members,
    )


def stale_problem(stale: StaleRule, accept_language: str | None) -> Problem:
    """Another version was seen than there is; the answer carries the current one, where there is one."""
    refused = problem("stale_version", accept_language, current=stale.current)
    if stale.current:
        refused.headers = {**(refused.headers or {}), "ETag": etag(stale.current)}
    return refused


def rules_problem(refused: RulesRefused, accept_language: str | None) -> Problem:
    """A policy or calendar that can't be worked with, field by field."""
    russian = speaks_russian(accept_language)
    return Problem(
        422,
        "invalid_request",
        _INVALID[russian],
        headers={"Content-Language": "ru" if russian else "en"},
        errors=[{"field": f"body.{one.field}", "message": one.message} for one in refused.faults],
    )
