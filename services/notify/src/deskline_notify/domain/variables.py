"""What a mail may say: the variables of each kind, samples of them, and their wording in each language."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, get_args
from zoneinfo import ZoneInfo

from deskline_events.facts import Language, Priority
from deskline_events.notify import NotificationKind
from deskline_events.sla import ClockName

KINDS: Final[tuple[NotificationKind, ...]] = get_args(NotificationKind)
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_TICKET: Final = ("number", "subject", "line_name")
_STAFF: Final = (*_TICKET, "recipient_name", "priority", "level")
VARIABLES: Final[Mapping[NotificationKind, tuple[str, ...]]] = MappingProxyType(
    {
        "acknowledgement": _TICKET,
        "reply": (*_TICKET, "text", "operator_name"),
        "offer": (*_STAFF, "until"),
        "assignment": _STAFF,
        "warning": (*_STAFF, "clock", "due_at"),
        "breach": (*_STAFF, "clock", "due_at"),
        "apology": (*_TICKET, "forecast_at"),
    }
)

_PRIORITIES: Final[Mapping[Language, Mapping[Priority, str]]] = {
    "ru": {"low": "низкий", "medium": "средний", "high": "высокий", "critical": "критический"},
    "en": {"low": "low", "medium": "medium", "high": "high", "critical": "critical"},
}
_CLOCKS: Final[Mapping[Language, Mapping[ClockName, str]]] = {
    "ru": {"first_response": "первый ответ", "resolution": "решение"},
    "en": {"first_response": "first response", "resolution": "resolution"},
}
_SAMPLES: Final[Mapping[Language, Mapping[str, str]]] = {
    "ru": {
        "subject": "Не печатает принтер",
        "line_name": "Поддержка",
        "text": "Здравствуйте!\n\nПеревыпустили картридж, проверьте, пожалуйста.",
        "operator_name": "Анна Смирнова",
        "recipient_name": "Анна Смирнова",
        "until": "24.11.2026 12:30 (UTC)",
        "due_at": "24.11.2026 13:00 (UTC)",
        "forecast_at": "24.11.2026 17:00 (UTC)",
    },
    "en": {
        "subject": "The printer doesn't print",
        "line_name": "Support",
        "text": "Hello,\n\nwe have replaced the cartridge, please try again.",
        "operator_name": "Ann Smith",
        "recipient_name": "Ann Smith",
        "until": "2026-11-24 12:30 (UTC)",
        "due_at": "2026-11-24 13:00 (UTC)",
        "forecast_at": "2026-11-24 17:00 (UTC)",
    },
}
_FORMATS: Final[Mapping[Language, str]] = {"ru": "%d.%m.%Y %H:%M", "en": "%Y-%m-%d %H:%M"}


def sample_of(kind: NotificationKind, language: Language) -> dict[str, str]:
    """Made-up values of all of a kind's variables."""
    samples = dict(_SAMPLES[language]) | {
        "number": "1042",
        "level": "1",
        "priority": priority_in(language, "high"),
        "clock": clock_in(language, "first_response"),
    }
    return {name: samples[name] for name in VARIABLES[kind]}


def priority_in(language: Language, priority: Priority) -> str:
    """The priority's word."""
    return _PRIORITIES[language][priority]


def clock_in(language: Language, clock: str) -> str:
    """The clock's words; its name where it is newer than this table."""
    return {str(name): words for name, words in _CLOCKS[language].items()}.get(clock, clock)


def moment_in(language: Language, at: datetime, zone: ZoneInfo) -> str:
    """The moment as people of that language write it, with the zone that it is in."""
    local = at.astimezone(zone)
    return f"{local.strftime(_FORMATS[language])} ({zone.key})"
