"""A watermark: all that its owner committed until a moment is on the topic before these offsets."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from deskline_events.facts import Value


class Watermark(Value):
    """One record of `deskline.<owner>.watermarks`; valid within its epoch and generation only."""

    time: Annotated[
        datetime,
        Field(description="complete until then, inclusive, by the owner database's clock (`ce_time`)"),
    ]
    epoch: Annotated[int, Field(ge=1, description="`deskline-epoch` of the records that it counts")]
    generation: Annotated[int, Field(ge=1, description="`deskline-generation` of these records")]
    offsets: Annotated[
        dict[int, int],
        Field(description="partition of the events topic → offset after the last record that counts"),
    ]
