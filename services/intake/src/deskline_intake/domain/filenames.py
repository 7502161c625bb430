"""File names of attachments: for showing and for a download's name, never a path."""

import re

from deskline_intake.domain.headers import single_line

_LONGEST = 120
_LONGEST_EXTENSION = 16
_UNSAFE = re.compile(r'[<>:"|?*\u200b-\u200f\x00-\x1f]')
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/csv": ".csv",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "message/delivery-status": ".txt",
    "text/rfc822-headers": ".txt",
}


def safe_filename(name: str, media_type: str) -> str:
    """The last component of a declared name without what a file system or a browser could misread."""
    line = single_line(name, 2_000).replace("\\", "/").rstrip("/ ")
    base = _UNSAFE.sub("_", line.rpartition("/")[2]).strip(". ")
    if not base.strip("_"):
        return "attachment" + _EXTENSIONS.get(media_type, "")
    if len(base) <= _LONGEST:
        return base
    stem, dot, extension = base.rpartition(".")
    if not dot or len(extension) > _LONGEST_EXTENSION:
        return base[:_LONGEST]
    return f"{stem[: _LONGEST - len(extension) - 1]}.{extension}"
