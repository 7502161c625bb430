"""What all event models share: immutable, tolerant of fields they don't know, silent about their input."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.personal import Personal

MAX_DATA_BYTES = 256 * 1024
"""An event's data on the wire; one record over the broker's limit would stop the relay for all."""

MAX_TEXT_BYTES = 64 * 1024
"""Text kept in an event (UTF-8 bytes); what is longer goes to the object store."""

Language = Literal["ru", "en"]
Channel = Literal["email", "form"]
Priority = Literal["low", "medium", "high", "critical"]
Level = Annotated[int, Field(ge=1, le=3, description="support level, 1 the first line")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A reason or kind that people configure: a word for machines."""

ContactId = Annotated[UUID, Field(description="the contact, as in ContactRegistered")]
OperatorId = Annotated[UUID, Field(description="the operator, as in OperatorChanged")]
QueueId = Annotated[UUID, Field(description="the queue, as in QueueChanged")]
OfferId = Annotated[UUID, Field(description="the offer, as in OfferMade and TicketOffered")]
SourceKey = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 in hex by which a message is known; equal deliveries have one",
    ),
]


class Value(BaseModel):
    """A part of an event; unknown fields are ignored so that adding one breaks no reader."""

    # hide_input_in_errors: a validation error must not print a person's words.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Fact(Value):
    """The data of one event; `TYPE` is its name on the wire, a constant for ever."""

    TYPE: ClassVar[str]
    IGNORABLE: ClassVar[bool] = False


class StoredObject(Value):
    """A reference into the object store."""

    key: Annotated[str, Field(max_length=200, description="key in the object store")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content, in hex")]
    size: Annotated[int, Field(ge=0, description="size of the content in bytes")]


class Attachment(Value):
    """A file that came with a message."""

    attachment_id: Annotated[UUID, Field(description="id of the attachment")]
    content: Annotated[StoredObject, Field(description="where the file is")]
    filename: Annotated[
        str, Personal("contact_id"), Field(description="name that the sender gave it; it may lack or lie")
    ]
    media_type: Annotated[str, Field(max_length=100, description="as the message says, e.g. application/pdf")]
    inline: Annotated[bool, Field(description="shown within the text, not as a file")] = False


class Line(Value):
    """One channel account as it was when the message came."""

    line_id: Annotated[UUID, Field(description="id of the line")]
    name: Annotated[str, Field(max_length=100, description="name of the line, for people")]
    channel: Annotated[Channel, Field(description="how messages come in on it")]
    language: Annotated[Language, Field(description="language of the line's own texts")]
    address: Annotated[
        str | None,
        Field(
            max_length=254,
            description="where customers write to; our mails about it come from it; null: not known here",
        ),
    ] = None


class Customer(Value):
    """What was known of the contact and the company at that moment, so that no reader asks back."""

    contact_id: ContactId
    company_id: Annotated[
        UUID | None, Field(description="company, as in CompanyRegistered; null: none is known")
    ] = None
    tier: Annotated[
        str | None, Field(max_length=40, description="service tier of the company; null: none")
    ] = None
    locale: Annotated[Language, Field(description="language in which the contact is written to")] = "ru"
    new: Annotated[bool, Field(description="this is the contact's first message")] = False
    verified: Annotated[
        bool, Field(description="the channel vouches for the address; false for what was typed into a form")
    ] = True
