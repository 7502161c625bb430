"""Conditions by which a ticket finds its queue or policy, and the circumstances they are held against."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Channel, Language, Level, Priority, Value

Tier = Annotated[str, Field(max_length=40)]


class Circumstances(Value):
    """A ticket as conditions see it; a decision carries them whole, so that it can be explained."""

    line_id: UUID
    channel: Channel
    language: Language
    level: Level
    priority: Priority
    tier: Tier | None = None
    company_id: UUID | None = None
    new_contact: bool = False
    verified: bool = True


class Conditions(Value):
    """What must hold of a ticket, all of it; an empty list or null asks for nothing."""

    line_ids: tuple[UUID, ...] = ()
    channels: tuple[Channel, ...] = ()
    languages: tuple[Language, ...] = ()
    levels: tuple[Level, ...] = ()
    priorities: tuple[Priority, ...] = ()
    tiers: tuple[Tier, ...] = ()
    company_ids: tuple[UUID, ...] = ()
    new_contact: bool | None = None
    verified: bool | None = None

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
