"""Refusals as problem details: one status for each, sentences in the caller's language."""

from typing import Final

from deskline_chassis.http import Problem
from deskline_chassis.requests import speaks_russian

STATUSES: Final[dict[str, int]] = {
    "line_unknown": 404,
    "contact_unknown": 404,
    "not_permitted": 403,
    "origin_refused": 403,
    "json_required": 415,
    "key_required": 400,
    "keys_differ": 422,
    "key_reused": 422,
    "own_address": 422,
    "too_many": 429,
    "busy": 503,
}

# (English, Russian)
TITLES: Final[dict[str, tuple[str, str]]] = {
    "line_unknown": ("There is no such line", "Такой линии нет"),
    "contact_unknown": ("There is no such contact", "Контакт не найден"),
    "not_permitted": ("Not permitted", "Нет прав"),
    "origin_refused": (
        "This line's form does not belong on that site",
        "Форме этой линии не место на том сайте",
    ),
    "json_required": ("The body must be application/json", "Тело запроса должно быть application/json"),
    "key_required": ("Give the request a key of its own", "Нужен собственный ключ запроса"),
    "keys_differ": ("client_key and Idempotency-Key differ", "client_key и Idempotency-Key различаются"),
    "key_reused": ("The key was used before", "Ключ уже использован"),
    "own_address": ("This address is one of ours", "Это наш собственный адрес"),
    "too_many": ("Too many messages", "Слишком много сообщений"),
    "busy": (
        "The service can't do that at this moment; try again",
        "Сейчас не получается, попробуйте ещё раз",
    ),
}


def refusal(code: str, accept_language: str | None, retry_after: int | None = None) -> Problem:
    """A refusal as it is answered; `retry_after` in seconds."""
    russian = speaks_russian(accept_language)
    headers = {"Content-Language": "ru" if russian else "en", "Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Problem(STATUSES[code], code, TITLES[code][russian], headers=headers)
