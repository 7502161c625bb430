"""Events that intake announces; the stream of a message is its sender's identity on the line."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import (
    Attachment,
    Customer,
    Fact,
    Language,
    Line,
    SourceKey,
    StoredObject,
)
from deskline_events.personal import Personal

MessageKind = Literal["human", "auto_reply", "list", "bounce", "own_loop"]


class ContactRegistered(Fact):
    """A person wrote for the first time; the stream is the contact's id."""

    TYPE: ClassVar[str] = "deskline.intake.ContactRegistered.v1"

    contact_id: Annotated[UUID, Field(description="id of the new contact")]
    address: Annotated[
        str | None, Personal("contact_id"), Field(description="mail address; null: none is known")
    ] = None
    name: Annotated[
        str | None, Personal("contact_id"), Field(description="name as they wrote it; null: none was given")
    ] = None
    company_id: Annotated[
        UUID | None, Field(description="company, as in CompanyRegistered; null: none is known")
    ] = None
    locale: Annotated[Language, Field(description="language in which they are written to")]


class PersonErased(Fact):
    """A contact was erased: what is under their key reads as "erased". The stream is the contact's id."""

    TYPE: ClassVar[str] = "deskline.intake.PersonErased.v1"

    contact_id: Annotated[UUID, Field(description="the contact: `k` of the fields that nobody can open now")]


class CompanyRegistered(Fact):
    """A company was seen for the first time, by its mail domain; the stream is the company's id."""

    TYPE: ClassVar[str] = "deskline.intake.CompanyRegistered.v1"

    company_id: Annotated[UUID, Field(description="id of the new company")]
    tier: Annotated[str | None, Field(max_length=40, description="service tier; null: none")] = None
    locale: Annotated[Language, Field(description="language of its contacts, unless they have their own")]


class MessageReceived(Fact):
    """A customer's message, read; tickets decides what it belongs to."""

    TYPE: ClassVar[str] = "deskline.intake.MessageReceived.v1"

    raw_id: Annotated[UUID, Field(description="id of the raw message as it was accepted")]
    source_key: SourceKey
    line: Annotated[Line, Field(description="line by which it came")]
    contact_id: Annotated[UUID, Field(description="the sender")]
    customer: Annotated[Customer, Field(description="the sender as they were known then")]
    received_at: Annotated[datetime, Field(description="at our door, never the Date header")]
    kind: Annotated[MessageKind, Field(description="who wrote it: a person, or which kind of machine")]
    suppress_auto_reply: Annotated[bool, Field(description="the sender asks for no automatic answer")] = False
    subject: Annotated[str, Personal("contact_id"), Field(description="subject, empty where it has none")]
    text: Annotated[str, Personal("contact_id"), Field(description="whole text, or its excerpt")]
    reply: Annotated[
        str | None, Personal("contact_id"), Field(description="text without quotes; null: same as text")
    ] = None
    text_object: Annotated[
        StoredObject | None, Field(description="the whole text where `text` is an excerpt; null: it is whole")
    ] = None
    message_id: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="RFC 5322 Message-ID without its angle brackets; null: none"),
    ] = None
    references: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="ids of In-Reply-To and References, space-separated; null: none"),
    ] = None
    bounced: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="Message-IDs found in a bounce, space-separated; null: none"),
    ] = None
    reply_token: Annotated[
        str | None,
        Field(max_length=100, description="token of the plus-address written to, unverified; null: none"),
    ] = None
    repeated_message_id: Annotated[bool, Field(description="same Message-ID, another body")] = False
    attachments: Annotated[tuple[Attachment, ...], Field(description="files that came with it")] = ()
    raw: Annotated[
        StoredObject | None, Field(description="the raw message, where reading it failed; null: it was read")
    ] = None
    problems: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], ...],
        Field(description="what was wrong with it, e.g. charset_guessed, oversize"),
    ] = ()
