"""Records of the compacted topics `deskline.<owner>.keys`: a person's wrapped keys, or their erasure."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Value


class PersonKeys(Value):
    """The record under key `subject`: `keys` until erased, then `erased_at` for ever.

    A wrapped key is base64 of RFC 3394 AES key wrap under the deployment's key-encryption key.
    """

    subject: UUID
    keys: Annotated[dict[int, str], Field(description="version → wrapped key", default_factory=dict)]
    erased_at: datetime | None = None
