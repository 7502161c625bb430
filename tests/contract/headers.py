"""The headers of a record as a schema: CloudEvents' attributes, and what Deskline adds to them."""

from typing import Any, Final

from deskline_events.envelope import EPOCH_HEADER, GENERATION_HEADER, IGNORABLE_HEADER

Json = dict[str, Any]

ENVELOPE: Final = "Envelope"
EPOCHS: Final = "Epochs"

_ID: Final = {"type": "string", "format": "uuid"}
STREAM_ID: Final = _ID | {"description": "`ce_subject` as text: a stream is in one partition"}
"""The key of an event's record; written out, as the official schema takes a `$ref` there for two things."""

_NUMBER: Final = {"type": "string", "pattern": "^[1-9][0-9]*$"}

_EPOCHS: Final[dict[str, Json]] = {
    EPOCH_HEADER: _NUMBER
    | {"description": "raised where everything is announced anew; a higher one: begin the topic again"},
    GENERATION_HEADER: _NUMBER
    | {"description": "raised where the owner's history was restored; a higher one voids the lower ones"},
}
_ENVELOPE: Final[dict[str, Json]] = {
    "ce_specversion": {"type": "string", "const": "1.0", "description": "CloudEvents' version"},
    "ce_id": _ID | {"description": "id of the event, the same each time that it is announced"},
    "ce_source": {
        "type": "string",
        "pattern": "^/deskline/[a-z]+$",
        "description": "the owner; with `ce_subject` it names the stream",
    },
    "ce_type": {
        "type": "string",
        "pattern": r"^deskline\.[a-z]+\.[A-Za-z]+\.v[1-9][0-9]*$",
        "description": "owner, name and version of the type",
    },
    "ce_time": {
        "type": "string",
        "format": "date-time",
        "description": "when it was committed, by the owner database's clock, in UTC; never less in a stream",
    },
    "ce_subject": _ID | {"description": "the stream: a ticket, or what else the event is about"},
    "ce_sequence": _NUMBER | {"description": "place in the stream: 1, 2, 3 … with none left out"},
    "ce_correlationid": _ID | {"description": "the same for all that followed from one message or command"},
    **_EPOCHS,
    "content-type": {"type": "string", "const": "application/json", "description": "of the record's value"},
}
_OPTIONAL: Final[dict[str, Json]] = {
    "ce_causationid": _ID
    | {"description": "`ce_id` of the event, or id of the command, that it followed from; absent: none"},
    IGNORABLE_HEADER: {
        "type": "string",
        "const": "1",
        "description": "whoever doesn't know the type may pass over it; absent: a routine reader parks it",
    },
    "traceparent": {"type": "string", "description": "W3C Trace Context; absent: not traced"},
}


def schemas() -> Json:
    """The schemas that messages refer to."""
    return {
        ENVELOPE: {
            "type": "object",
            "description": "Headers of an event: CloudEvents 1.0, Kafka's binary mode; values are text.",
            "properties": _ENVELOPE | _OPTIONAL,
            "required": list(_ENVELOPE),
        },
        EPOCHS: {
            "type": "object",
            "description": "Headers of a record of keys; values are text.",
            "properties": _EPOCHS,
            "required": list(_EPOCHS),
        },
    }


def of_type(kind: str, source: str) -> Json:
    """The headers of one type of event."""
    return {
        "type": "object",
        "allOf": [{"$ref": f"#/components/schemas/{ENVELOPE}"}],
        "properties": {"ce_type": {"const": kind}, "ce_source": {"const": source}},
    }
