"""What requests carry."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Unknown fields are refused, and no error repeats what was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
