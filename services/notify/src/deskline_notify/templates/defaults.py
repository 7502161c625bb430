"""The default texts, read from the files beside: a line of subject, a blank one, the text."""

from functools import cache
from importlib.resources import files
from typing import Final

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.templates.sandbox import Source

FALLBACK_LANGUAGE: Final[Language] = "en"


@cache
def default_of(kind: NotificationKind, language: Language) -> Source:
    """The text that is sent where nobody saved another one; in English where a language has none."""
    place = files("deskline_notify.templates") / "texts"
    found = place / f"{kind}.{language}.txt"
    if not found.is_file():
        found = place / f"{kind}.{FALLBACK_LANGUAGE}.txt"
    subject, _, text = found.read_text(encoding="utf-8").partition("\n\n")
    return Source(subject=subject.strip(), text=text)
