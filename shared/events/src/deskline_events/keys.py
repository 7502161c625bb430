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

    subject: Annotated[UUID, Field(description="the person; also the record's key")]
    keys: Annotated[
        dict[int, str],
        Field(description="version → wrapped key in base64; empty once erased", default_factory=dict),
    ]
    erased_at: Annotated[
        datetime | None, Field(description="when the key was destroyed, for ever; absent or null: not erased")
    ] = None
