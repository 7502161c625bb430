"""The customers' mails of the demonstration, as the bytes that mail programs send."""

from email.message import EmailMessage
from email.policy import SMTP

SUPPORT = "support@desk.example"
ANNA = "anna@zavod.example"
BOB = "bob@workshop.example"
CLARA = "clara@press.example"
DMITRY = "dmitry@kassa.example"
VIP = "vip@desk.example"
FIRST_ID = "<printer-1@zavod.example>"


def russian() -> bytes:
    """windows-1251, HTML beside text, and an attachment."""
    mail = _mail("Анна Орлова", ANNA, "Принтер не печатает", FIRST_ID)
    text = "Добрый день!\r\nПринтер в бухгалтерии не печатает с утра, счёт во вложении.\r\n--\r\nАнна"
    mail.set_content(text, charset="windows-1251", cte="base64")
    html = "<p>Добрый день!</p><p>Принтер в <b>бухгалтерии</b> не печатает с утра, счёт во вложении.</p>"
    mail.add_alternative(html, subtype="html", charset="windows-1251", cte="quoted-printable")
    mail.add_attachment(b"%PDF-1.4 sample", maintype="application", subtype="pdf", filename="счёт.pdf")
    return mail.as_bytes(policy=SMTP)


def english() -> bytes:
    """A plain English mail; it is delivered twice."""
    mail = _mail("Bob Miller", BOB, "Cannot sign in", "<signin-1@workshop.example>")
    mail.set_content("Hello,\r\nsince this morning I cannot sign in to the portal.\r\nBob")
    return mail.as_bytes(policy=SMTP)


def unreadable() -> bytes:
    """A mail that claims a structure and an encoding that it does not have."""
    return (
        f"From: {CLARA}\r\nTo: {SUPPORT}\r\nSubject: =?no-such-charset?B?!!!!?=\r\n"
        "Message-ID: <broken-1@press.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="never"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + bytes(range(128, 256)) * 4


def reply() -> bytes:
    """Anna again, threaded by References, over a Russian quote."""
    return _anna_again(
        "<printer-2@zavod.example>",
        "Добавлю: мигает красная лампочка.\r\n\r\n"
        "21 ноября 2026 г., 10:15, Анна Орлова <anna@zavod.example> пишет:\r\n"
        "> Принтер в бухгалтерии не печатает с утра\r\n",
    )


def urgent() -> bytes:
    """Dmitry, whom nobody will answer."""
    mail = _mail("Дмитрий", DMITRY, "Касса стоит", "<kassa-1@kassa.example>")
    mail.replace_header("To", VIP)
    mail.set_content("Касса не открывает смену, очередь!", charset="utf-8", cte="base64")
    return mail.as_bytes(policy=SMTP)


def out_of_office(answered: str) -> bytes:
    """Anna's autoresponder, which answers one of our mails."""
    mail = _mail("Анна Орлова", ANNA, "Автоответ: Принтер не печатает", "<ooo-1@zavod.example>")
    mail["In-Reply-To"] = answered
    mail["References"] = f"{FIRST_ID} {answered}"
    mail["Auto-Submitted"] = "auto-replied"
    mail.set_content("Я в отпуске до понедельника.", charset="utf-8", cte="8bit")
    return mail.as_bytes(policy=SMTP)


def again() -> bytes:
    """Anna after the ticket was resolved: it opens again."""
    return _anna_again("<printer-3@zavod.example>", "Он снова не печатает!\r\n")


def _anna_again(message_id: str, text: str) -> bytes:
    mail = _mail("Анна Орлова", ANNA, "Re: Принтер не печатает", message_id)
    mail["In-Reply-To"] = FIRST_ID
    mail["References"] = FIRST_ID
    mail.set_content(text, charset="utf-8", cte="base64")
    return mail.as_bytes(policy=SMTP)


def _mail(name: str, address: str, subject: str, message_id: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"{name} <{address}>"
    mail["To"] = SUPPORT
    mail["Subject"] = subject
    mail["Message-ID"] = message_id
    mail["Date"] = "Sat, 21 Nov 2026 10:15:00 +0300"
    return mail
