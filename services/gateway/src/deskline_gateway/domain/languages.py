"""Which of the two languages a caller reads."""

from typing import Final, Literal

Language = Literal["en", "ru"]

_MOST_CHARS: Final = 200


def language_of(accept_language: str | None) -> Language:
    """Russian where it is preferred to English (RFC 9110, 12.5.4), else English."""
    weights = {"ru": 0.0, "en": 0.0}
    for part in (accept_language or "")[:_MOST_CHARS].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(rest))
    return "ru" if weights["ru"] > weights["en"] else "en"


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
