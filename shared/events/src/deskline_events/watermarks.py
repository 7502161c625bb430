"""A watermark: all that its owner committed until a moment is on the topic before these offsets."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from deskline_events.facts import Value


class Watermark(Value):
    """One record of `deskline.<owner>.watermarks`; valid within its epoch and generation only."""

    time: Annotated[datetime, Field(description="by the owner database's clock")]
    epoch: Annotated[int, Field(ge=1)]
    generation: Annotated[int, Field(ge=1)]
    offsets: Annotated[
        dict[int, int],
        Field(description="partition of the events topic → offset after the last record that counts"),
    ]
