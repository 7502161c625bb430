"""The mails of the template: 1 KB of Russian, with words in it that each copy exchanges for its own."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

# What help desks are written to about.
TOPICS: Final = (
    "принтер касса склад накладная оплата доставка возврат договор счёт заявка клиент магазин терминал чек"
    " отчёт сервер пароль доступ почта сайт ошибка экран кнопка корзина заказ товар цена скидка карта банк"
    " перевод срок дата подпись печать акт сверка поставка машина водитель адрес телефон звонок очередь"
    " обновление версия модуль настройка резерв копия диск память сеть кабель роутер ключ лицензия токен"
)
WORDS: Final = tuple(TOPICS.split())
TEXT_BYTES: Final = 1024
MARKS: Final = 6
VOCABULARY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, its sender, and the marks in its subject and text."""

    sender: str
    content: bytes
    marks: tuple[str, ...]


def mark(number: int) -> str:
    """A word that stands for another one in each copy; the search takes it as it is."""
    return f"mkr{number:05}"


def word(number: int) -> str:
    """What stands there in a copy: one of twenty thousand, so that a search for one finds few."""
    return f"wrd{number % VOCABULARY:05}"


def letters(count: int, people: int, recipient: str) -> Iterator[Letter]:
    """So many mails by so many people, none of which continues another."""
    for number in range(count):
        marks = tuple(mark(number * MARKS + place) for place in range(MARKS))
        yield letter(number, f"person{number % people:04}@client.example", recipient, marks)


def letter(number: int, sender: str, recipient: str, marks: tuple[str, ...] = ("касса", "чек")) -> Letter:
    """One of them: the first marks stand in its subject, the others in its text."""
    chance = random.Random(number)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Клиент {number} <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = f"Обращение {marks[0]} {marks[1]}"
    mail["Message-ID"] = f"<template-{number:06}@client.example>"
    text = " ".join(marks[2:])
    while len(text.encode()) < TEXT_BYTES:
        text = f"{text} {chance.choice(WORDS)}"
    mail.set_content(text, cte="8bit")
    return Letter(sender, mail.as_bytes(policy=SMTP), marks)
