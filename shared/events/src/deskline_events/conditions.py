"""Conditions by which a ticket finds its queue or policy, and the circumstances they are held against."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Channel, Language, Level, Priority, Value

Tier = Annotated[str, Field(max_length=40)]


class Circumstances(Value):
    """A ticket as conditions see it; a decision carries them whole, so that it can be explained."""

    line_id: Annotated[UUID, Field(description="line by which it came")]
    channel: Annotated[Channel, Field(description="channel of that line")]
    language: Annotated[Language, Field(description="language of the customer")]
    level: Level
    priority: Annotated[Priority, Field(description="priority at that moment")]
    tier: Annotated[Tier | None, Field(description="service tier of the company; null: none")] = None
    company_id: Annotated[UUID | None, Field(description="company of the contact; null: none is known")] = (
        None
    )
    new_contact: Annotated[bool, Field(description="opened by the contact's first message")] = False
    verified: Annotated[bool, Field(description="the channel vouches for the contact's address")] = True


class Conditions(Value):
    """What must hold of a ticket, all of it; an empty list or null asks for nothing."""

    line_ids: Annotated[tuple[UUID, ...], Field(description="came by one of these lines")] = ()
    channels: Annotated[tuple[Channel, ...], Field(description="came by one of these channels")] = ()
    languages: Annotated[tuple[Language, ...], Field(description="the customer's is one of these")] = ()
    levels: Annotated[tuple[Level, ...], Field(description="is at one of these support levels")] = ()
    priorities: Annotated[tuple[Priority, ...], Field(description="has one of these priorities")] = ()
    tiers: Annotated[tuple[Tier, ...], Field(description="the company has one of these tiers")] = ()
    company_ids: Annotated[tuple[UUID, ...], Field(description="is of one of these companies")] = ()
    new_contact: Annotated[
        bool | None, Field(description="opened by a contact's first message, or not; null: either")
    ] = None
    verified: Annotated[
        bool | None, Field(description="the contact's address is vouched for, or not; null: either")
    ] = None

    def unmet_by(self, found: Circumstances) -> tuple[str, ...]:
        """The names of the conditions that do not hold, in their order; none: it matches."""
        lists = (
            ("line_ids", self.line_ids, found.line_id),
            ("channels", self.channels, found.channel),
            ("languages", self.languages, found.language),
            ("levels", self.levels, found.level),
            ("priorities", self.priorities, found.priority),
            ("tiers", self.tiers, found.tier),
            ("company_ids", self.company_ids, found.company_id),
        )
        unmet = [name for name, wanted, value in lists if wanted and value not in wanted]
        switches = (
            ("new_contact", self.new_contact, found.new_contact),
            ("verified", self.verified, found.verified),
        )
        unmet += [name for name, asked, value in switches if asked is not None and asked != value]
        return tuple(unmet)
