"""How much of a mail is looked at, so that no mail can take more than its share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Sizes are in bytes of the raw mail or in characters of decoded text."""

    raw_bytes: int = 25 * 1024 * 1024
    parts: int = 200
    depth: int = 20
    header_bytes: int = 256 * 1024
    header_count: int = 1_000
    header_value_bytes: int = 64 * 1024
    subject_chars: int = 500
    text_chars: int = 1_000_000
    html_chars: int = 2_000_000
    attachments: int = 50
    attachments_bytes: int = 25 * 1024 * 1024
    addresses: int = 200
    references: int = 100
    reports: int = 50
