"""The dialogue with a provider: what is said, in which order, and what each answer is taken for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from deskline_notify.adapters.dialogue import MOST_REPLY, Dialogue, LostError, ReplyError
from deskline_notify.ports import Outgoing

pytestmark = pytest.mark.unit

MAIL = Outgoing("", "ivan@client.example", b"Subject: x\r\n\r\nhello\r\n")
NAMED = [b"MAIL FROM:<>\r\n", b"RCPT TO:<ivan@client.example>\r\n", b"DATA\r\n"]


class Line:
    """A transport: keeps what is said, and answers each time with what a test has prepared."""

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self.said: list[bytes] = []
        self.answers = list(answers)
        self.aborted = False
        self.dialogue: Dialogue | None = None

    def set_protocol(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: bytes) -> None:
        self.said.append(data)
        answer = self.answers.pop(0) if self.answers else None
        asyncio.get_running_loop().call_soon(self.answer, answer)

    def answer(self, answer: bytes | None) -> None:
        assert self.dialogue is not None
        if answer is None:
            self.dialogue.connection_lost(None)
        else:
            self.dialogue.data_received(answer)


def talk(
    work: Callable[[Dialogue], Awaitable[Any]], *answers: bytes | None, pipelined: bool = False
) -> tuple[Line, Any]:
    """What was said, and what came of it: the work's result or its error."""
    line = Line(answers)

    async def whole() -> Any:
        dialogue = Dialogue(cast("asyncio.Transport", line), pipelined=pipelined)
        try:
            return await asyncio.wait_for(work(dialogue), 5)
        except (ReplyError, LostError, ValueError) as error:
            return error

    return line, asyncio.run(whole())


async def whole_mail(dialogue: Dialogue) -> None:
    await dialogue.begin(MAIL)
    await dialogue.finish(MAIL.content)


def test_a_mail_is_named_asked_for_and_handed_over() -> None:
    line, error = talk(whole_mail, b"250 OK\r\n", b"251 will forward\r\n", b"354 go\r\n", b"250 kept\r\n")
    assert error is None
    assert line.said == [*NAMED, b"Subject: x\r\n\r\nhello\r\n.\r\n"]


def test_commands_go_together_where_the_server_offers_it_and_the_text_waits_for_its_turn() -> None:
    line, error = talk(whole_mail, b"250 OK\r\n250 OK\r\n354 go\r\n", b"250 kept\r\n", pipelined=True)
    assert error is None
    assert line.said == [b"".join(NAMED), b"Subject: x\r\n\r\nhello\r\n.\r\n"]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_replies_may_come_in_pieces_of_any_size_and_on_several_lines(size: int) -> None:
    replies = b"250-first\r\n250-second\r\n250 OK\r\n250 OK\r\n354 go\r\n"

    async def begin(dialogue: Dialogue) -> None:
        begun = asyncio.ensure_future(dialogue.begin(MAIL))
        await asyncio.sleep(0)
        for at in range(0, len(replies), size):
            dialogue.data_received(replies[at : at + size])
            await asyncio.sleep(0)
        await begun

    _, error = talk(begin, b"", pipelined=True)
    assert error is None


@pytest.mark.parametrize(
    ("answers", "said", "code"),
    [
        ([b"550 no\r\n"], 1, 550),
        ([b"250 OK\r\n", b"451 later\r\n"], 2, 451),
        ([b"250 OK\r\n", b"250 OK\r\n", b"554 no\r\n"], 3, 554),
        ([b"250 OK\r\n", b"250 OK\r\n", b"250 no\r\n"], 3, 250),
        ([b"250 OK\r\n", b"250 OK\r\n", b"354 go\r\n", b"452 full\r\n"], 4, 452),
    ],
)
def test_the_first_refusal_ends_the_mail(answers: list[bytes], said: int, code: int) -> None:
    line, error = talk(whole_mail, *answers)
    assert isinstance(error, ReplyError)
    assert error.code == code
    assert len(line.said) == said


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"550 no\r\n503 order\r\n503 order\r\n", 550),
        (b"250 OK\r\n451 later\r\n554 no valid recipients\r\n", 451),
        (b"250 OK\r\n250 OK\r\n452 full\r\n", 452),
    ],
)
def test_a_refusal_among_commands_that_went_together_is_the_first_one(answer: bytes, code: int) -> None:
    line, error = talk(whole_mail, answer, pipelined=True)
    assert isinstance(error, ReplyError)
    assert error.code == code
    assert line.said == [b"".join(NAMED)]


def test_a_server_that_waits_for_a_text_without_recipient_gets_none() -> None:
    line, error = talk(
        whole_mail, b"250 OK\r\n550 gone\r\n354 go\r\n", b"554 no valid recipients\r\n", pipelined=True
    )
    assert isinstance(error, ReplyError)
    assert error.code == 550
    assert line.said == [b"".join(NAMED), b".\r\n"]


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_good_bye_with_a_code_is_a_refusal_and_one_without_is_a_loss(*, pipelined: bool) -> None:
    async def begin(dialogue: Dialogue) -> None:
        begun = asyncio.ensure_future(dialogue.begin(MAIL))
        await asyncio.sleep(0)
        dialogue.data_received(b"421 closing\r\n")
        dialogue.connection_lost(None)
        await begun

    _, error = talk(begin, b"", pipelined=pipelined)
    assert isinstance(error, ReplyError)
    assert error.code == 421
    _, error = talk(whole_mail, None, pipelined=pipelined)
    assert isinstance(error, LostError)


def test_a_connection_lost_under_the_text_is_a_loss() -> None:
    line, error = talk(whole_mail, b"250 OK\r\n", b"250 OK\r\n", b"354 go\r\n", None)
    assert isinstance(error, LostError)
    assert len(line.said) == 4


@pytest.mark.parametrize(
    "said", [b"421 idle too long\r\n", b"\r\n", b"250 what\r\n", b"x" * (MOST_REPLY + 1)]
)
def test_what_comes_unasked_or_is_no_reply_ends_the_connection(said: bytes) -> None:
    async def hear(dialogue: Dialogue) -> bool:
        dialogue.data_received(said)
        return dialogue.is_open

    _, is_open = talk(hear)
    assert is_open is False
    _, error = talk(lambda dialogue: dialogue.command(b"NOOP"), b"HTTP/1.1 400\r\n")
    assert isinstance(error, LostError)


def test_nothing_is_said_on_a_connection_that_ended() -> None:
    async def say(dialogue: Dialogue) -> None:
        dialogue.eof_received()
        await dialogue.begin(MAIL)

    line, error = talk(say)
    assert isinstance(error, LostError)
    assert line.said == []


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b".dot\r\n.\r\nx\r\n", b"..dot\r\n..\r\nx\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"a\n.\nMAIL FROM:<x@y>\r\n", b"a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
    ],
)
def test_a_text_cannot_end_itself(content: bytes, sent: bytes) -> None:
    line, error = talk(lambda dialogue: dialogue.finish(content), b"250 kept\r\n")
    assert error is None
    assert line.said == [sent]


@pytest.mark.parametrize(
    "address", ["a@b>\r\nRCPT TO:<c@d", "a b@c", "a@b\0", "<a@b", "a@b\n", "ю@b.example"]
)
def test_an_address_that_is_a_command_is_not_said(address: str) -> None:
    for mail in (Outgoing(address, MAIL.recipient, b""), Outgoing("", address, b"")):
        line, error = talk(lambda dialogue, mail=mail: dialogue.begin(mail), b"250 OK\r\n")  # type: ignore[misc]
        assert isinstance(error, ValueError)
        assert line.said == []
        assert address not in str(error)
