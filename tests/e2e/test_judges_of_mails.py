"""I7 and I16 are judged by mails and by the events that tell of them: each break of either is found."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.e2e.histories import SECOND, START, History, whole, wrong_in
from tests.judging import notifications
from tests.judging.notifications import Arrival

pytestmark = pytest.mark.unit


def repeats(history: History, arrived: list[Arrival], deaths: list[datetime]) -> set[str]:
    return wrong_in(notifications.check_repeats, history.topics["notify"], arrived, deaths)


def test_a_mail_that_came_again_needs_the_death_of_its_sender_between() -> None:
    history = whole()
    sent = history.named("notify", "NotificationSent").time
    early, late = sent - 20 * SECOND, sent - SECOND
    copies = [Arrival("<0@desk.example>", early), Arrival("<0@desk.example>", late)]
    assert repeats(history, copies, [early + SECOND]) == set()
    # Without a death, with one before both, and with one after the mail was committed.
    assert repeats(history, copies, []) == {"I7 repeat"}
    assert repeats(history, copies, [early - 2 * SECOND]) == {"I7 repeat"}
    after = [copies[0], Arrival("<0@desk.example>", sent + 9 * SECOND)]
    assert repeats(history, after, [sent + 5 * SECOND]) == {"I7 repeat"}
    assert repeats(history, [*copies, replace(copies[1], at=late + SECOND)], [early + SECOND]) == {
        "I7 repeat"
    }


def test_one_death_repeats_no_more_than_was_under_way() -> None:
    most = notifications.REPEATS_PER_DEATH
    for count, wrong in ((most, set()), (most + 1, {"I7 repeats"})):
        mails = [f"<{number}@x.example>" for number in range(count)]
        arrived = [Arrival(mail, START + turn * 20 * SECOND) for mail in mails for turn in (0, 1)]
        assert repeats(History(), arrived, [START + SECOND]) == wrong


def test_of_several_deaths_each_excuses_its_share() -> None:
    most = notifications.REPEATS_PER_DEATH
    first, second = START + SECOND, START + 5 * SECOND
    # Some lie between both deaths' times and wait from the first on, some were sent after the first.
    for later, wrong in ((most, set()), (most + 1, {"I7 repeats"})):
        begun = {f"<{number}@early.example>": START for number in range(most)}
        begun |= {f"<{number}@late.example>": START + 3 * SECOND for number in range(later)}
        arrived = [Arrival(mail, at) for mail, at in begun.items()]
        arrived += [Arrival(mail, START + 20 * SECOND) for mail in begun]
        assert repeats(History(), arrived, [first, second]) == wrong


def test_arrivals_are_read_from_a_maildir(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    name = f"{int(START.timestamp() * 1e9)}.1.host"
    (tmp_path / "new" / name).write_bytes(b"Delivered-To: a@x\r\nMessage-ID: <7@desk.example>\r\n\r\nx")
    assert notifications.arrivals(tmp_path) == [Arrival("<7@desk.example>", START)]


def test_a_mail_without_its_event_and_an_event_without_its_mail_are_found() -> None:
    history = whole()
    letters = [SimpleNamespace(message_id=f"<{number}@desk.example>") for number in range(3)]

    def judged(letters: list[SimpleNamespace], most: int = 0) -> set[str]:
        topics = history.topics
        return wrong_in(notifications.check_notifications, topics["notify"], topics["tickets"], letters, most)

    assert judged(letters) == set()
    assert judged(letters[1:]) == {"I7 wire"}
    assert judged([*letters, letters[0]]) == {"I7 wire"}
    assert judged([*letters, letters[0]], 1) == set()


def test_a_mail_that_tells_of_what_was_known_before_is_found() -> None:
    history = whole()
    notify = history.topics["notify"]
    opened = history.named("tickets", "TicketOpened").id
    mail = "<0@desk.example>"
    assert wrong_in(notifications.check_quiet, notify, [mail], {"another"}) == set()
    assert wrong_in(notifications.check_quiet, notify, [mail], {opened}) == {"I16 quiet"}
    assert wrong_in(notifications.check_quiet, notify, ["<unknown@x>"], {"another"}) == {"I16 quiet"}
