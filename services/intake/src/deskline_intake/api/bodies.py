"""What people send: bodies and headers, checked before anything is done."""

from typing import Annotated, Final

from fastapi import Request
from pydantic import AfterValidator, ConfigDict, Field

from deskline_chassis import bodies
from deskline_intake.api.refusals import refusal
from deskline_intake.domain.forms import (
    ADDRESS_CHARS,
    KEY_CHARS,
    NAME_CHARS,
    SUBJECT_CHARS,
    TEXT_BYTES,
    Form,
    FormFieldError,
    clean_address,
    clean_key,
    clean_name,
    clean_subject,
    clean_text,
)

_TRAP_CHARS: Final = 2_000


class Body(bodies.Body):
    """A value of another type is not made to fit."""

    model_config = ConfigDict(strict=True)


Key = Annotated[str, Field(max_length=KEY_CHARS), AfterValidator(clean_key)]
Address = Annotated[str, Field(max_length=ADDRESS_CHARS), AfterValidator(clean_address)]
Name = Annotated[str, Field(max_length=NAME_CHARS), AfterValidator(clean_name)]
Subject = Annotated[str, Field(max_length=SUBJECT_CHARS), AfterValidator(clean_subject)]
Text = Annotated[str, Field(max_length=TEXT_BYTES), AfterValidator(clean_text)]


class FormBody(Body):
    """A filled form; `website` is a field that people don't see, and so leave empty."""

    client_key: Key | None = None
    name: Name | None = None
    address: Address
    subject: Subject
    text: Text
    website: Annotated[str, Field(max_length=_TRAP_CHARS)] | None = None

    @property
    def form(self) -> Form:
        """What is kept of it."""
        return Form(self.address, self.subject, self.text, self.name or "")


class FindBody(Body):
    """The address of a contact that is looked for."""

    address: Address


class EraseBody(Body):
    """Nothing is to be said: the path says who."""


def form_key(request: Request, body: FormBody) -> str:
    """The client's key, from the body or the header; a Problem where there is none, or two."""
    language = request.headers.get("Accept-Language")
    given = {body.client_key} if body.client_key is not None else set()
    given.update(request.headers.getlist("Idempotency-Key"))
    if len(given) > 1:
        raise refusal("keys_differ", language)
    for key in given:
        return _sound_key(key, language)
    raise refusal("key_required", language)


async def idempotency_key(request: Request) -> str:
    """The key of a command; a Problem with 400 where there is none to use."""
    language = request.headers.get("Accept-Language")
    given = request.headers.getlist("Idempotency-Key")
    if len(given) != 1:
        raise refusal("key_required", language)
    return _sound_key(given[0], language)


def _sound_key(key: str, language: str | None) -> str:
    try:
        return clean_key(key)
    except FormFieldError:
        raise refusal("key_required", language) from None


async def require_json(request: Request) -> None:
    """Refuses what a page of another site can send without asking: forms and plain text."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise refusal("json_required", request.headers.get("Accept-Language"))
