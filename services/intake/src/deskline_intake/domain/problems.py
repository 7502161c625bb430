"""What was wrong with a mail that was parsed all the same."""

from enum import StrEnum


class Problem(StrEnum):
    OVERSIZE = "oversize"  # only the headers were read
    TOO_MANY_PARTS = "too_many_parts"
    TOO_DEEP = "too_deep"
    UNPARSEABLE = "unparseable"  # our own fault: the parser failed, only the essential headers are given
    MALFORMED_STRUCTURE = "malformed_structure"
    HEADERS_TRUNCATED = "headers_truncated"
    DUPLICATE_HEADER = "duplicate_header"
    CHARSET_GUESSED = "charset_guessed"
    CHARSET_REPLACED = "charset_replaced"
    ENCODING_BROKEN = "encoding_broken"
    TEXT_TRUNCATED = "text_truncated"
    ATTACHMENT_DROPPED = "attachment_dropped"
    NO_SENDER = "no_sender"
