"""Events that intake announces; the stream of a message is its sender's identity on the line."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Attachment, Customer, Fact, Language, Line, StoredObject
from deskline_events.personal import Personal

MessageKind = Literal["human", "auto_reply", "list", "bounce", "own_loop"]


class ContactRegistered(Fact):
    """A person wrote for the first time; the stream is the contact's id."""

    TYPE: ClassVar[str] = "deskline.intake.ContactRegistered.v1"

    contact_id: UUID
    address: Annotated[str | None, Personal("contact_id")] = None
    name: Annotated[str | None, Personal("contact_id")] = None
    company_id: UUID | None = None
    locale: Language


class PersonErased(Fact):
    """A contact was erased: what is under their key reads as "erased". The stream is the contact's id."""

    TYPE: ClassVar[str] = "deskline.intake.PersonErased.v1"

    contact_id: UUID


class CompanyRegistered(Fact):
    """A company was seen for the first time, by its mail domain; the stream is the company's id."""

    TYPE: ClassVar[str] = "deskline.intake.CompanyRegistered.v1"

    company_id: UUID
    tier: Annotated[str, Field(max_length=40)] | None = None
    locale: Language


class MessageReceived(Fact):
    """A customer's message, read; tickets decides what it belongs to."""

    TYPE: ClassVar[str] = "deskline.intake.MessageReceived.v1"

    raw_id: Annotated[UUID, Field(description="id of the raw message as it was accepted")]
    source_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="equal for equal deliveries")]
    line: Line
    contact_id: Annotated[UUID, Field(description="the sender")]
    customer: Customer
    received_at: Annotated[datetime, Field(description="at our door, never the Date header")]
    kind: MessageKind
    suppress_auto_reply: bool = False
    subject: Annotated[str, Personal("contact_id")]
    text: Annotated[str, Personal("contact_id"), Field(description="whole text, or its excerpt")]
    reply: Annotated[
        str | None, Personal("contact_id"), Field(description="text without quotes; null: same as text")
    ] = None
    text_object: Annotated[StoredObject | None, Field(description="the whole text where it is long")] = None
    message_id: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="RFC 5322 Message-ID without its angle brackets"),
    ] = None
    references: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="ids of In-Reply-To and References, space-separated"),
    ] = None
    bounced: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="Message-IDs found in a bounce, space-separated"),
    ] = None
    reply_token: Annotated[str, Field(max_length=100)] | None = None
    repeated_message_id: Annotated[bool, Field(description="same Message-ID, another body")] = False
    attachments: tuple[Attachment, ...] = ()
    raw: Annotated[StoredObject | None, Field(description="the raw message, where reading it failed")] = None
    problems: tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], ...] = ()
