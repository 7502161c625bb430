"""What people send, checked before anything is done."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

from deskline_chassis.bodies import Body
from deskline_notify.templates.sandbox import MOST_SOURCE, Source


def _is_text(value: str) -> str:
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in value):
        raise ValueError("holds control characters")
    return value


def _is_one_line(value: str) -> str:
    if any(c in "\t\n\r\u2028\u2029" for c in value):
        raise ValueError("is not one line")
    return value


Text = Annotated[str, Field(min_length=1, max_length=MOST_SOURCE), AfterValidator(_is_text)]
Line = Annotated[
    str, Field(min_length=1, max_length=1_000), AfterValidator(_is_text), AfterValidator(_is_one_line)
]


class TemplateBody(Body):
    """A template; without `html` the page is made of the text."""

    subject: Line
    text: Text
    html: Text | None = None

    def source(self) -> Source:
        """As it is rendered."""
        return Source(self.subject, self.text, self.html)
