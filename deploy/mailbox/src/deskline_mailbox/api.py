"""The letters as JSON, in the order of arrival."""

import base64
import json
from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deskline_mailbox.maildir import Maildir, Stored


def create_app(maildir: Maildir) -> Starlette:
    """`GET /letters?after=ID` and `GET /healthz`."""

    def letters(request: Request) -> Response:
        # In pieces: all letters together may be more than this process may hold.
        pieces = _pieces(maildir.letters(request.query_params.get("after", "")))
        return StreamingResponse(pieces, media_type="application/json")

    def healthz(_request: Request) -> Response:
        maildir.ids()  # a folder that is gone shows here
        return JSONResponse({"status": "live"})

    return Starlette(routes=[Route("/letters", letters), Route("/healthz", healthz)])


def _pieces(letters: Iterator[Stored]) -> Iterator[str]:
    yield '{"items": ['
    between = ""
    for letter in letters:
        yield between + json.dumps(_shown(letter))
        between = ", "
    yield "]}"


def _shown(letter: Stored) -> dict[str, object]:
    return {
        "id": letter.id,
        "received_at": letter.received_at.isoformat(),
        "sender": letter.sender,
        "recipients": list(letter.recipients),
        "content": base64.b64encode(letter.content).decode(),
    }
