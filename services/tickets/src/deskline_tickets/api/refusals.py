"""Refusals as problem details: one status for each, sentences in the caller's language."""

from typing import Final

from deskline_chassis.http import RETRY_AFTER_SECONDS, Problem
from deskline_chassis.requests import etag, speaks_russian
from deskline_tickets.domain.refusals import Refusal, StaleVersion
from deskline_tickets.handlers.commands import CommandRefused, as_members

STATUSES: Final[dict[str, int]] = {
    "ticket_unknown": 404,
    "stale_version": 412,
    "illegal_move": 409,
    "missing_requirement": 422,
    "ticket_ended": 409,
    "person_erased": 409,
    "not_permitted": 403,
    "text_too_long": 413,
    "offer_gone": 409,
    "queue_unknown": 422,
    "not_then": 404,
    "key_reused": 422,
}

# (English, Russian)
TITLES: Final[dict[str, tuple[str, str]]] = {
    "ticket_unknown": ("There is no such ticket", "Обращение не найдено"),
    "stale_version": ("The ticket has changed", "Обращение изменилось"),
    "illegal_move": ("There is no such move", "Такого перехода нет"),
    "missing_requirement": ("Something is missing", "Не хватает данных"),
    "ticket_ended": ("The ticket takes no such command", "Обращение этого не принимает"),
    "person_erased": ("The person was erased", "Данные человека удалены"),
    "not_permitted": ("Not permitted", "Нет прав"),
    "text_too_long": ("The text is too long", "Текст слишком длинный"),
    "offer_gone": ("The offer is no longer open", "Предложение уже не действует"),
    "queue_unknown": ("There is no such queue", "Такой очереди нет"),
    "not_then": ("The ticket was not so then", "Такого состояния не было"),
    "key_reused": ("The Idempotency-Key was used before", "Ключ идемпотентности уже использован"),
}


def refusal_problem(refusal: Refusal, accept_language: str | None) -> Problem:
    """A refusal by itself."""
    russian = speaks_russian(accept_language)
    return Problem(
        STATUSES[refusal.code],
        refusal.code,
        TITLES[refusal.code][russian],
        refusal.russian if russian else str(refusal),
        headers={"Content-Language": "ru" if russian else "en"},
        **refusal.details(),
    )


def command_problem(refused: CommandRefused, accept_language: str | None) -> Problem:
    """A refused command; a stale one is answered with the current state and its ETag."""
    problem = refusal_problem(refused.refusal, accept_language)
    if isinstance(refused.refusal, StaleVersion) and refused.ticket is not None:
        problem.members["current"] = as_members(refused.ticket)
        problem.headers = {**(problem.headers or {}), "ETag": etag(refused.ticket.version)}
    return problem


def busy_problem() -> Problem:
    """Something that heals by itself."""
    return Problem(
        503,
        "try_again",
        "The service can't do that at this moment; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
