"""What comes by a web form: checked, cleaned of what no person types, and named by its client's key."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from deskline_intake.domain.addresses import normalise_address
from deskline_intake.domain.headers import single_line

# Fixed for ever: ids of forms' messages are derived from it.
NAMESPACE: Final = UUID("0b7a6c1d-93b8-5e4e-a5a4-64d6bc0f2e35")

TEXT_BYTES: Final = 64 * 1024
SUBJECT_CHARS: Final = 200
NAME_CHARS: Final = 100
ADDRESS_CHARS: Final = 254
KEY_CHARS: Final = 200

_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}\Z")
# Control characters but line feed and tab, directions, and what is no character at all.
_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_LINE_ENDS: Final = re.compile("\r\n?|\u2028|\u2029|\x85")


class FormFieldError(ValueError):
    """A field can't be taken; the message says why and never quotes it."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Form:
    """A filled form; the address is what somebody typed, and nobody vouches for it."""

    address: str
    subject: str
    text: str
    name: str = ""

    @property
    def signed_text(self) -> str:
        """The text as operators read it: with the name that was typed, which is no contact's name."""
        return f"{self.text}\n\n— {self.name}" if self.name else self.text


def clean_key(key: str) -> str:
    """A client's key; raises FormFieldError."""
    if not _KEY.match(key):
        raise FormFieldError(f"has 1 to {KEY_CHARS} visible ASCII characters")
    return key


def clean_address(address: str) -> str:
    """An address as equal ones are equal; raises FormFieldError."""
    normal = normalise_address(address) if len(address) <= ADDRESS_CHARS else None
    if normal is None or len(normal) > ADDRESS_CHARS or not normal.isprintable():
        raise FormFieldError("is no mail address")
    return normal


def clean_name(name: str) -> str:
    """A name in one line; raises FormFieldError."""
    return _line(name, NAME_CHARS)


def clean_subject(subject: str) -> str:
    """A subject in one line, which can't be empty; raises FormFieldError."""
    line = _line(subject, SUBJECT_CHARS)
    if not line:
        raise FormFieldError("is empty")
    return line


def clean_text(text: str) -> str:
    """A text with plain line ends, which can't be empty; raises FormFieldError."""
    if len(encoded(text)) > TEXT_BYTES:
        raise FormFieldError(f"has over {TEXT_BYTES} bytes")
    plain = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text)).strip()
    if not plain:
        raise FormFieldError("is empty")
    return plain


def _line(text: str, limit: int) -> str:
    if len(text) > limit:
        raise FormFieldError(f"has over {limit} characters")
    encoded(text)
    return single_line(text, limit)


def encoded(text: str) -> bytes:
    """A text's bytes; raises FormFieldError where it holds half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormFieldError("holds half of a surrogate pair") from None


def source_key_of(line_id: UUID, client_key: str) -> str:
    """The same for the same key on the same line, and nothing of the key can be read from it."""
    return hashlib.sha256(f"form|{line_id}|{client_key}".encode()).hexdigest()


def raw_id_of(source_key: str) -> UUID:
    """The id of a form's message: a repeated request leads to the same one."""
    return uuid5(NAMESPACE, source_key)


def write_form(form: Form, source_key: str) -> bytes:
    """A form as it is stored; equal forms give equal bytes."""
    document = {
        "source_key": source_key,
        "address": form.address,
        "name": form.name,
        "subject": form.subject,
        "text": form.text,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_form(raw: bytes) -> tuple[Form, str]:
    """A stored form and its source key; raises ValueError, KeyError, TypeError on anything else."""
    found = json.loads(raw)
    form = Form(found["address"], found["subject"], found["text"], found["name"])
    return form, found["source_key"]


def scope_of(kind: str, name: str) -> bytes:
    """What is counted, as a hash: an address is not kept for the counting."""
    return hashlib.sha256(f"{kind}|{name}".encode()).digest()
