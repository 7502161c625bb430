"""Search in Russian and English, over what customers and operators wrote, within the caller's reach."""

import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.analytics.tests.door import Door, problem
from shared.chassis.tests.plans import looked_at, never_analyse

from deskline_analytics.queries import searching
from deskline_analytics.queries.visibility import Reach

pytestmark = pytest.mark.component

EVERYWHERE = 400


class Desk:
    """A story whose tickets hold given words."""

    def __init__(self, story: Any) -> None:
        self.story = story.staff()

    def ticket(self, subject: str, *texts: str) -> UUID:
        """A ticket whose first message is the first text and whose others are by its contact."""
        story = self.story
        ticket_id = story.open()
        owner, stream, opened = story.told[-1]
        first, *others = texts or ("",)
        message = opened.message.model_copy(update={"text": first})
        changed = opened.model_copy(update={"subject": subject, "message": message})
        story.told[-1] = owner, stream, changed
        story.tickets[ticket_id] = changed
        for text in others:
            story.say_reply(ticket_id, story.message().model_copy(update={"text": text}))
        return UUID(str(ticket_id))

    def answer(self, ticket_id: UUID, text: str) -> None:
        self.story.answer(ticket_id)
        owner, stream, fact = self.story.told[-1]
        self.story.told[-1] = owner, stream, fact.model_copy(update={"text": text})


@pytest.fixture
def desk(make_story: Any) -> Desk:
    return Desk(make_story(4))


@pytest.fixture
def opened(desk: Desk, shared_rig: Any, fill: Any) -> Any:
    """Opens the door once the story is told."""
    return lambda: Door(shared_rig, fill(shared_rig, desk.story))


def ids(answer: Any) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {item["ticket_id"] for item in answer.json()["items"]}


def test_words_are_found_in_all_their_forms(desk: Desk, opened: Any) -> None:
    printer = str(desk.ticket("Не работают принтеры", "Сломался третий принтер"))
    invoice = str(desk.ticket("Вопрос", "Пришлите счёт за январь"))
    english = str(desk.ticket("Cannot log in", "My passwords were rejected"))
    answered = desk.ticket("Пусто", "-")
    desk.answer(answered, "Мы починили маршрутизаторы, the routers work again")
    accented = str(desk.ticket("Menu", "Les cafés sont fermés"))
    door = opened()
    for text, expected in {
        "принтера": printer,
        "ПРИНТЕРОВ": printer,
        "работает": printer,
        "счета": invoice,
        "счет": invoice,
        "password": english,
        "rejecting password": english,
        "маршрутизатор": str(answered),
        "router": str(answered),
        "café": accented,
    }.items():
        assert ids(door.search(text)) == {expected}, text
    for text in ("холодильник", "refrigerator", "принтер счёт"):
        assert ids(door.search(text)) == set(), text
    assert ids(door.search("принтер or счёт")) == {printer, invoice}
    assert ids(door.search('"третий принтер"')) == {printer}
    assert ids(door.search('"принтер третий"')) == set()


def test_without_a_word_means_without_all_its_forms(desk: Desk, opened: Any) -> None:
    desk.ticket("Заявка", "Принтера нет")
    other = str(desk.ticket("Заявка", "Сканера нет"))
    desk.ticket("Request", "Заявка: printers")
    door = opened()
    assert ids(door.search("заявка -принтеры -printer")) == {other}


@pytest.mark.parametrize("text", ["и", "the", "-", '"', "!!!", "\0", "...", "'; DROP TABLE x; --"])
def test_what_holds_no_word_finds_nothing(desk: Desk, opened: Any, text: str) -> None:
    desk.ticket("Тема", "и вот the text")
    answer = opened().search(text)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) <= 1


def test_the_subject_weighs_more_and_the_newer_comes_first(desk: Desk, opened: Any) -> None:
    old = str(desk.ticket("Прочее", "Нужна лицензия на программу"))
    new = str(desk.ticket("Прочее", "Нужна лицензия на программу"))
    best = str(desk.ticket("Лицензия на программу", "Нужна"))
    items = opened().search("лицензия").json()["items"]
    assert [item["ticket_id"] for item in items] == [best, new, old]
    assert [item["relevance"] for item in items][1:] == [items[1]["relevance"]] * 2
    assert items[0]["subject"] == "Лицензия на программу"


def test_pages_together_are_the_whole_whatever_is_written_meanwhile(
    desk: Desk, shared_rig: Any, fill: Any
) -> None:
    words = random.Random(1)
    for number in range(17):
        text = " ".join(words.choices(["договор", "оплата", "срок", "печать"], k=4))
        desk.ticket(f"Тема {number}", "договор аренды и обслуживания", text)
    door = Door(shared_rig, fill(shared_rig, desk.story))
    whole = [item["ticket_id"] for item in door.search("договор", limit=100).json()["items"]]
    assert len(whole) == 17
    first = door.search("договор", limit=5).json()
    # The last of the list becomes the best, for whoever begins anew.
    desk.story.say_reply(UUID(whole[-1]), desk.story.message().model_copy(update={"text": "договор"}))
    fill(shared_rig, desk.story)
    found, cursor = [item["ticket_id"] for item in first["items"]], first["next_cursor"]
    while cursor is not None:
        page = door.search("договор", limit=5, cursor=cursor).json()
        found, cursor = found + [item["ticket_id"] for item in page["items"]], page["next_cursor"]
    assert found == whole
    assert door.search("договор").json()["items"][0]["ticket_id"] == whole[-1]
    problem(door.search("оплата", cursor=first["next_cursor"]), 400, "bad_cursor")
    problem(door.search("договор", cursor="x"), 400, "bad_cursor")
    problem(door.search("договор", open=True, cursor=first["next_cursor"]), 400, "bad_cursor")


def test_a_search_respects_the_callers_reach(desk: Desk, opened: Any) -> None:
    mine, others = desk.ticket("договор"), desk.ticket("договор")
    desk.story.offer(mine, desk.story.operators[0])
    desk.story.accept(mine)
    door = opened()
    actor = desk.story.operators[0]
    assert ids(door.search("договор", actor=actor)) == {str(mine), str(others)}
    assert ids(door.search("договор", scope="own", actor=actor)) == {str(mine)}
    assert ids(door.search("договор", scope="own", actor=uuid4())) == set()
    assert ids(door.search("договор", scope="nonsense", actor=actor)) == set()


def test_open_tickets_alone_or_the_others(desk: Desk, opened: Any) -> None:
    going, over = desk.ticket("договор"), desk.ticket("договор")
    desk.story.move(over, "resolved")
    door = opened()
    assert ids(door.search("договор", open=True)) == {str(going)}
    assert ids(door.search("договор", open=False)) == {str(over)}


HOSTILE = {
    "nul": "договор \0 печать",
    "long_word": "x" * 60_000 + " договор",
    "long_text": "договор " * 100_000,
    "many_words": " ".join(f"слово{number}-word{number}" for number in range(6000)),
    "addresses": " ".join(f"https://h{n}.example.org/a-b/{n}?q={n}&x=y" for n in range(1500)),
    "signs": "<<<>>> & | ! :* (((" * 3000,
    "letters": "".join(map(chr, range(1, 0xD800, 3))),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_text_keeps_a_ticket_from_being_found(desk: Desk, opened: Any, kind: str) -> None:
    ticket_id = desk.ticket(f"лицензия {HOSTILE[kind][:200]}", HOSTILE[kind])
    desk.answer(ticket_id, HOSTILE[kind])
    assert str(ticket_id) in ids(opened().search("лицензии"))


def test_who_may_not_read_customers_words_may_not_search(desk: Desk, opened: Any) -> None:
    desk.ticket("договор")
    door = opened()
    problem(door.search("договор", role=None), 401, "identity_refused")
    for role in ("analyst", "system"):
        problem(door.search("договор", role=role), 403, "not_permitted")
    for role in ("operator", "lead", "admin"):
        assert len(ids(door.search("договор", role=role))) == 1


@pytest.mark.parametrize(
    "more", [{"text": ""}, {"text": "x" * 501}, {"limit": 0}, {"limit": 101}, {"all": 1}]
)
def test_what_a_search_does_not_take_is_refused(desk: Desk, opened: Any, more: dict[str, Any]) -> None:
    desk.ticket("договор")
    assert problem(opened().search(**({"text": "x"} | more)), 422, "invalid_request")["errors"]


def test_an_answer_is_not_kept_on_the_way(desk: Desk, opened: Any) -> None:
    desk.ticket("договор")
    assert opened().search("договор").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("words", ["касса", "касса or чек", "-весна"])
def test_words_that_are_everywhere_are_read_from_the_newest_on(
    desk: Desk, shared_rig: Any, fill: Any, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    tickets = [str(desk.ticket("касса", "и чек")) for _ in range(EVERYWHERE)]
    # A sample this small is less than a page of the table, if autovacuum has told how large that is.
    monkeypatch.setattr(searching, "_SHARE", "SELECT 100")
    never_analyse(shared_rig.analytics.owner_url, "ticket_documents")
    fill(shared_rig, desk.story)
    for name, value in {"MAX_RANKED": 20, "SAMPLE": 20, "MAX_READ": 100}.items():
        monkeypatch.setattr(searching, name, value)

    with shared_rig.database.transaction() as connection:

        def found() -> list[str]:
            asked = searching.Search(searching.compile_words(connection, words), datetime.now(UTC))
            page, _ = searching.search(connection, asked, Reach("number IS NOT NULL", {}), None, 50)
            assert all("ranked" not in one for one in page)
            return [str(one["ticket_id"]) for one in page]

        before = looked_at(connection, "ticket_documents")
        newest = found()
        read = looked_at(connection, "ticket_documents") - before
        assert len(newest) == 20
        assert set(newest) <= set(tickets)
        assert read <= EVERYWHERE / 2
        # Where reading on brings too few, the index on words is asked: the same are found.
        monkeypatch.setattr(searching, "MAX_READ", 10)
        assert found() == newest


def test_a_word_that_a_sample_holds_and_few_messages_is_found_as_well(
    desk: Desk, shared_rig: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = str(desk.ticket("касса", "старая"))
    for _ in range(30):
        desk.ticket("принтер", "новый")
    fill(shared_rig, desk.story)
    for name, value in {"COMMON": 1, "MAX_READ": 5}.items():
        monkeypatch.setattr(searching, name, value)
    with shared_rig.database.transaction() as connection:
        asked = searching.Search(searching.compile_words(connection, "касса"), datetime.now(UTC))
        page, _ = searching.search(connection, asked, Reach("number IS NOT NULL", {}), None, 50)
    assert [str(one["ticket_id"]) for one in page] == [old]


def test_messages_of_a_small_company_are_read_once(
    desk: Desk, shared_rig: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = {str(desk.ticket("касса", "и чек")) for _ in range(30)}
    fill(shared_rig, desk.story)
    ways: list[tuple[str, str]] = []
    ranked = searching._ranked

    def noted(connection: Any, way: tuple[str, str], *others: Any, **more: Any) -> Any:
        ways.append(way)
        return ranked(connection, way, *others, **more)

    monkeypatch.setattr(searching, "_ranked", noted)
    with shared_rig.database.transaction() as connection:
        asked = searching.Search(searching.compile_words(connection, "касса"), datetime.now(UTC))
        page, _ = searching.search(connection, asked, Reach("number IS NOT NULL", {}), None, 50)
    assert {str(one["ticket_id"]) for one in page} == tickets
    assert ways == [searching._NEWEST]
