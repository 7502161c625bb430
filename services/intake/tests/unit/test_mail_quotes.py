"""The reply without its quotes, in the shapes that Russian and English clients write."""

from textwrap import dedent

import pytest

from deskline_intake.domain.html import html_to_text
from deskline_intake.domain.quotes import strip_quotes

pytestmark = pytest.mark.unit

REPLY = "Спасибо, заработало.\n\nНо принтер всё ещё молчит."
QUOTE = "> Здравствуйте!\n> Перезагрузите терминал.\n>\n> С уважением, поддержка"

ATTRIBUTIONS = {
    "gmail ru": "пн, 15 янв. 2024 г. в 10:00, Поддержка <support@example.ru>:",
    "gmail ru old": "15 января 2024 г., 10:00 пользователь Поддержка <support@example.ru> написал:",
    "gmail ru wrapped": "пн, 15 янв. 2024 г. в 10:00, Служба технической поддержки\n<support@example.ru>:",
    "gmail en": "On Mon, Jan 15, 2024 at 10:00 AM Support <support@example.ru> wrote:",
    "gmail en wrapped": "On Mon, Jan 15, 2024 at 10:00 AM Technical Support <support@example.ru>\nwrote:",
    "gmail en wrapped thrice": "On Mon, Jan 15, 2024 at 10:00 AM\nSupport\n<support@example.ru> wrote:",
    "apple ru": "15 янв. 2024 г., в 10:00, Поддержка <support@example.ru> написал(а):",
    "apple en": "On 15 Jan 2024, at 10:00, Support <support@example.ru> wrote:",
    "thunderbird ru": "15.01.2024 10:00, Поддержка пишет:",
    "thunderbird en": "On 1/15/24 10:00, Support wrote:",
    "yandex": '15.01.2024, 10:00, "Поддержка" <support@example.ru>:',
    "mail.ru": "Понедельник, 15 января 2024, 10:00 +03:00 от Поддержка <support@example.ru>:",
    "yahoo": "On Monday, January 15, 2024 at 10:00:00 AM GMT+3, Support <support@example.ru> wrote:",
    "the bat": "Вы писали 15 января 2024 г., 10:00:00:",
    "plain verb": "Поддержка писал(а):",
}


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS)
def test_a_quote_under_its_attribution_is_dropped(attribution: str) -> None:
    assert strip_quotes(f"{REPLY}\n\n{attribution}\n\n{QUOTE}\n") == REPLY
    assert strip_quotes(f"{REPLY}\n{attribution}\n{QUOTE}") == REPLY


UNDOUBTED = ["gmail ru", "gmail en", "gmail en wrapped", "apple ru", "apple en", "yandex", "mail.ru"]


@pytest.mark.parametrize("client", UNDOUBTED)
def test_an_attribution_that_names_moment_and_address_needs_no_marks_below(client: str) -> None:
    unmarked = QUOTE.replace("> ", "").replace(">", "")

    assert strip_quotes(f"{REPLY}\n\n{ATTRIBUTIONS[client]}\n\n{unmarked}") == REPLY


OUTLOOK_RU = """\
От: Поддержка <support@example.ru>
Отправлено: 15 января 2024 г. 10:00
Кому: Иван Петров <ivan@zavod.ru>
Тема: Терминал

Перезагрузите терминал."""

SEPARATED = {
    "outlook ru": OUTLOOK_RU,
    "outlook ru line": f"{'_' * 32}\n{OUTLOOK_RU}",
    "outlook ru old": f"-----Исходное сообщение-----\n{OUTLOOK_RU}",
    "outlook ru express": f"----- Исходное сообщение ----- \n{OUTLOOK_RU}",
    "outlook en": "From: Support <s@example.ru>\nSent: Monday, January 15, 2024 10:00 AM\n"
    "To: Ivan <ivan@zavod.ru>\nSubject: Terminal\n\nReboot it.",
    "outlook en bold": "*From:* Support <s@example.ru>\n*Sent:* Monday\n*To:* I\n*Subject:* x\n\nReboot.",
    "outlook en old": "-----Original Message-----\nFrom: Support\n\nReboot it.",
    "date first": "Date: Mon, 15 Jan 2024\nFrom: s@example.ru\nTo: ivan@zavod.ru\nSubject: x\n\nReboot it.",
    "thunderbird forward": "-------- Перенаправленное сообщение --------\nТема: x\n\nПерезагрузите.",
    "mail.ru forward": "-------- Пересылаемое сообщение --------\nОт: Поддержка\n\nПерезагрузите.",
    "yandex forward": "-------- Пересылаемое сообщение --------\n15.01.2024, Поддержка:\n\nПерезагрузите.",
    "gmail forward": "---------- Forwarded message ---------\nFrom: Support\n\nReboot it.",
    "apple forward": "Begin forwarded message:\n\nFrom: Support\nSubject: x\nDate: y\n\nReboot it.",
    "apple forward ru": "Начало переадресованного сообщения:\n\nОт: Поддержка\nТема: x\n\nПерезагрузите.",
}


@pytest.mark.parametrize("quoted", SEPARATED.values(), ids=SEPARATED)
def test_what_follows_a_separator_is_dropped(quoted: str) -> None:
    assert strip_quotes(f"{REPLY}\n\n{quoted}\n") == REPLY


@pytest.mark.parametrize("quoted", [*SEPARATED.values(), QUOTE, f"{ATTRIBUTIONS['gmail ru']}\n{QUOTE}"])
def test_a_message_of_nothing_but_quotes_is_shown_whole(quoted: str) -> None:
    assert strip_quotes(f"\n{quoted}\n\n") == quoted


def test_answers_between_quoted_lines_are_kept() -> None:
    text = dedent("""\
        15.01.2024 10:00, Поддержка пишет:
        > Какая модель?
        МТ-90.
        > Когда началось?

        Вчера вечером.
        > Спасибо
        """)

    assert strip_quotes(text) == "МТ-90.\n\nВчера вечером."


def test_an_answer_below_the_quote_is_kept() -> None:
    assert strip_quotes(f"{ATTRIBUTIONS['thunderbird en']}\n{QUOTE}\n\n{REPLY}") == REPLY


@pytest.mark.parametrize("mark", ["-- ", "--"])
def test_a_signature_is_dropped(mark: str) -> None:
    assert strip_quotes(f"{REPLY}\n\n{mark}\nИван Петров\n+7 495 000-00-00") == REPLY
    assert strip_quotes(f"{REPLY}\n{mark}\nИван\n\n{ATTRIBUTIONS['yandex']}\n{QUOTE}") == REPLY
    assert strip_quotes(f"{ATTRIBUTIONS['yandex']}\n{QUOTE}\n{REPLY}\n{mark}\nИван") == REPLY


def test_a_long_text_after_two_dashes_is_no_signature() -> None:
    text = "Запрос:\n--\n" + "\n".join(f"строка {n}" for n in range(100))

    assert strip_quotes(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my iPhone",
        "Sent from Mail for Windows",
        "Get Outlook for Android",
        "Отправлено с iPhone",
        "Отправлено с моего iPad",
        "Отправлено из мобильной Почты Mail.ru",
        "Отправлено из Mail.ru для Android",
        "Отправлено из Яндекс Почты",
    ],
)
def test_a_phones_advertisement_is_dropped(line: str) -> None:
    assert strip_quotes(f"{REPLY}\n\n{line}") == REPLY
    assert strip_quotes(f"{REPLY}\n\n{line}\n\n{ATTRIBUTIONS['apple ru']}\n{QUOTE}") == REPLY


@pytest.mark.parametrize(
    "text",
    [
        "Вчера бухгалтер пишет:\nне открывается отчёт.\nЧто делать?",
        "Клиент 5 января написал:\nверните деньги",
        "Отправлено с нашего склада вчера, не дошло.",
        "Шаги:\n1. Открыть\n2. Нажать\n\nОжидание:\nработает",
        "От: склада\nнужен ответ",
        "Тема: отчёт\nПрошу помочь",
        "from: we moved\nto: the new office, please change the address",
        "Ошибка a -> b и x>y",
        "-----\nтаблица\n-----",
        "Доступ 10:00 для ivan@zavod.ru нужен",
        "Original message was lost\nplease resend",
    ],
)
def test_a_persons_own_words_stay(text: str) -> None:
    assert strip_quotes(text) == text


def test_the_bats_initials_mark_quotes() -> None:
    text = "Здравствуйте!\n\nВы писали 15 января 2024 г., 10:00:\n\nИП> Какая модель?\nИП> Где?\n\nМТ-90."

    assert strip_quotes(text) == "Здравствуйте!\n\nМТ-90."


HTML = {
    "gmail": """<div dir="ltr">{reply}</div><br>
        <div class="gmail_quote gmail_quote_container"><div class="gmail_attr">пн, 15 янв. 2024 г. в 10:00,
        Поддержка &lt;<a href="mailto:s@example.ru">s@example.ru</a>&gt;:<br></div>
        <blockquote class="gmail_quote" style="border-left:1px solid">{quote}</blockquote></div>""",
    "yandex": """<div>{reply}</div><div> </div>
        <div>15.01.2024, 10:00, "Поддержка" &lt;s@example.ru&gt;:</div><blockquote>{quote}</blockquote>""",
    "mail.ru": """<div>{reply}</div><blockquote style="border-left:1px solid #0857A6;margin:10px">
        Понедельник, 15 января 2024, 10:00 +03:00 от Поддержка &lt;s@example.ru&gt;:<br>
        <div>{quote}</div></blockquote>""",
    "outlook": """<html><head><style>p{{}}</style></head><body><p class=MsoNormal>{reply}</p>
        <div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class=MsoNormal>
        <b>From:</b> Support &lt;s@example.ru&gt;<br><b>Sent:</b> Monday<br><b>To:</b> Ivan<br>
        <b>Subject:</b> x</p></div></div><p class=MsoNormal>{quote}</p></body></html>""",
    "outlook.com": """<div>{reply}</div><div id=appendonsend></div><hr>
        <div id='divRplyFwdMsg'><b>Von:</b> Support<br><b>Gesendet:</b> Montag</div><div>{quote}</div>""",
    "apple": """{reply}<br><div><blockquote type='cite'>
        <div>On 15 Jan 2024, at 10:00, Support &lt;s@example.ru&gt; wrote:</div><br>
        <div>{quote}</div></blockquote></div>""",
    "thunderbird": """<p>{reply}</p><div class="moz-cite-prefix">15.01.2024 10:00, Поддержка пишет:<br></div>
        <blockquote type="cite" cite="mid:x">{quote}</blockquote>""",
    "yahoo": """<div>{reply}</div><div id="yahoo_quoted_1" class="yahoo_quoted">
        <div>On Monday, Support wrote:</div><div>{quote}</div></div>""",
}


@pytest.mark.parametrize("shape", HTML.values(), ids=HTML)
def test_the_quotes_of_html_mails_are_marked_and_dropped(shape: str) -> None:
    text = html_to_text(shape.format(reply="Спасибо, заработало.", quote="Перезагрузите терминал."), 100_000)

    assert "Перезагрузите терминал." in text
    assert strip_quotes(text) == "Спасибо, заработало."


def test_an_html_answer_between_quotes_is_kept() -> None:
    text = html_to_text(
        "<blockquote>A?</blockquote><div>МТ-90</div><blockquote>B?</blockquote><div>Склад</div>", 999
    )

    assert strip_quotes(text) == "МТ-90\n\nСклад"


def test_a_million_quoted_lines_leave_the_answer() -> None:
    assert strip_quotes("> x\n" * 1_000_000 + "ответ") == "ответ"


BLOCK = "From: x\nTo: y\nSubject: z"

# The text, and what of it is the sender's own.
SHAPES = {
    "a separator in stars": ("a\n*Original Message*\nb", "a"),
    "a bare separator before a block": ("a\nOriginal message\nFrom: x\nTo: y\nSubject: z\nb", "a"),
    "a bare separator before words": ("a\nForwarded message\nb", None),
    "a bare separator far from anything": ("a\nForwarded message" + 9 * "\n" + "b", None),
    "a separator in small letters": ("a\nforwarded message:\nb", "a"),
    "a line before a block": (f"a\n{30 * '_'}\n{BLOCK}", "a"),
    "a short line before a block": (f"a\n__\n{BLOCK}", "a\n__"),
    "a word before a block": (f"a\n_b\n{BLOCK}", "a\n_b"),
    "a line with a letter before a block": (f"a\n{30 * '_'}X\n{BLOCK}", f"a\n{30 * '_'}X"),
    "a line before words": (f"a\n{30 * '_'}\nb", None),
    "a device in between": ("a\nSent from my iPhone\nb", "a\nb"),
    "a block with a long sender": (f"a\nFrom: {'x' * 130}\nTo: y\nSubject: z", "a"),
    "a long line": (f"a\n{'x' * 130}\nb", None),
    "a block of three": ("a\nFrom: x\nTo: y\nSubject: z", "a"),
    "a block of two": ("a\nFrom: x\nTo: y", None),
    "a block that begins with its recipient": ("a\nTo: x\nFrom: y\nSubject: z", None),
    "a block without a sender": ("a\nSubject: x\nDate: y\nTo: z", None),
    "you wrote, within a sentence": ("You wrote to me\n> q", "You wrote to me"),
    "own words before a quote": ("See:\n> this\nDone", "See:\nDone"),
    "an address before a quote": ("Write to a@b.c:\n> q", "Write to a@b.c:"),
    "a day before a quote": ("On 15.01.2024 we meet:\n> q", "On 15.01.2024 we meet:"),
    "in three lines": ("a\nOn Mon, 15 Jan 2024 at 10:00\nAnn <a@b.c>\nwrote:\n> q", "a"),
    "a moment in two lines": ("a\nOn 15.01.2024 Ann <a@b.c>\nTue 10:00:\n> q", "a"),
    "in four lines": (
        "On Mon, 15 Jan 2024\nthe good\nAnn\nwrote:\n> q",
        "On Mon, 15 Jan 2024\nthe good\nAnn",
    ),
    "from the first line on": ("On 15.01.2024 10:00 Ann\nwrote:\n> q\na", "a"),
    "after an empty line": ("a\n\nAnn wrote:\n> q", "a"),
    "after another quote": ("> q\nAnn wrote:\n> q\na", "a"),
    "a day, an empty line": ("On 15.01.2024\n\nAnn wrote:\n> q", "On 15.01.2024"),
    "a day in a long line": (f"On 15.01.2024 {'x' * 390}\nAnn wrote:\n> q", f"On 15.01.2024 {'x' * 390}"),
    "a day within a line": ("Hello 15.01.2024\nAnn wrote:\n> q", "Hello 15.01.2024"),
    "no day above it": ("On the way home\nAnn wrote:\n> q", "On the way home"),
    "a day, an address, nothing marked": ("a\nOn 15.01.2024 Ann <a@b.c> wrote:\ntext", "a"),
    "a time, an address, nothing marked": ("a\nAt 10:00 Ann <a@b.c> wrote:\ntext", "a"),
    "an address, nothing marked": ("a\nAnn <a@b.c> wrote:\ntext", None),
    "a day, nothing marked": ("a\n15.01.2024 Ann wrote:\ntext", None),
    "both in the line above, nothing marked": ("Ann <a@b.c> 15.01.2024 said hi\nBob wrote:\ntext", None),
}


@pytest.mark.parametrize(("text", "own"), SHAPES.values(), ids=SHAPES)
def test_what_opens_a_quote_and_what_only_looks_like_it(text: str, own: str | None) -> None:
    assert strip_quotes(text) == (text if own is None else own)


@pytest.mark.parametrize(
    "first", ["From", "Sent", "Date", "Subject", "От", "От кого", "Отправитель", "Дата", "Тема"]
)
def test_a_block_begins_with_its_sender_its_day_or_its_subject(first: str) -> None:
    assert strip_quotes(f"a\n{first}: x\nFrom: y\nTo: z\nCc: w") == "a"


@pytest.mark.parametrize("sender", ["From", "От", "От кого", "Отправитель"])
def test_a_block_names_its_sender(sender: str) -> None:
    assert strip_quotes(f"a\nSubject: x\n{sender}: y\nTo: z") == "a"


def test_indented_lines_stay_indented() -> None:
    assert strip_quotes("x\n  a  \n> q") == "x\n  a"


@pytest.mark.parametrize(("lines", "dropped"), [(1, True), (29, True), (30, False)])
def test_a_signature_is_short_however_long_the_text_before_it(lines: int, dropped: bool) -> None:
    own = "\n".join(["own"] * 40)
    signed = f"{own}\n--" + "\nAnn" * lines
    assert strip_quotes(signed) == (own if dropped else signed)
