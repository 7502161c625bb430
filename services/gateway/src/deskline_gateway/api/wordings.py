"""What the door says when it refuses, in both languages: a title, and a sentence that says what to do."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from deskline_gateway.domain.languages import Language


class Said(NamedTuple):
    """One refusal in one language; values are filled in by name."""

    title: str
    detail: str


class Wording(NamedTuple):
    """One refusal in both."""

    en: Said
    ru: Said

    def said(self, language: Language) -> Said:
        """It in one of them."""
        return self.ru if language == "ru" else self.en


WORDINGS: Final[Mapping[str, Wording]] = {
    "token_refused": Wording(
        Said(
            "A valid API token is needed",
            "Send `Authorization: Bearer <token>` with a token that is known, not expired and not revoked;"
            " an administrator makes one with `deskline-gateway token create`.",
        ),
        Said(
            "Нужен действующий токен API",
            "Передайте `Authorization: Bearer <токен>` с известным, не истёкшим и не отозванным токеном;"
            " администратор создаёт его командой `deskline-gateway token create`.",
        ),
    ),
    "role_refused": Wording(
        Said(
            "This token's roles do not include this route",
            "It is for: {allowed}. Ask an administrator for a token with one of these roles.",
        ),
        Said(
            "Роли этого токена не дают доступа к этому адресу",
            "Он открыт для: {allowed}. Попросите у администратора токен с одной из этих ролей.",
        ),
    ),
    "rate_limited": Wording(
        Said(
            "Too many requests",
            "Nothing was done; send the request again after the time in Retry-After, and fewer from then on.",
        ),
        Said(
            "Слишком много запросов",
            "Ничего не сделано; повторите запрос через время из Retry-After и дальше шлите их реже.",
        ),
    ),
    "too_many_streams": Wording(
        Said(
            "Too many live views are open with this token",
            "Close one of them, or watch a queue instead of its tickets; then try again after Retry-After.",
        ),
        Said(
            "С этим токеном открыто слишком много живых лент",
            "Закройте одну из них или следите за очередью вместо её обращений; повторите через Retry-After.",
        ),
    ),
    "invalid_request": Wording(
        Said("The request is not as this route takes it", "Correct {field}: {message}."),
        Said("Запрос составлен не так, как ожидает этот адрес", "Исправьте {field}: {message}."),
    ),
    "invalid_header": Wording(
        Said("A header can't be passed on", "The header {header} {reason}."),
        Said("Заголовок нельзя передать дальше", "Заголовок {header} {reason}."),
    ),
    "invalid_query": Wording(
        Said(
            "The query string can't be passed on",
            "Percent-encode everything in it but letters, digits and the signs that RFC 3986 allows,"
            " and keep it under 8 KiB.",
        ),
        Said(
            "Строку запроса нельзя передать дальше",
            "Закодируйте в ней всё, кроме букв, цифр и знаков, разрешённых RFC 3986, и уложитесь в 8 КиБ.",
        ),
    ),
    "body_too_slow": Wording(
        Said("The body did not come in time", "Nothing was done; send the request again."),
        Said("Тело запроса не пришло вовремя", "Ничего не сделано; отправьте запрос ещё раз."),
    ),
    "overloaded": Wording(
        Said(
            "Too many requests at this moment",
            "Nothing was done; send the request again after the time in Retry-After.",
        ),
        Said(
            "Сейчас слишком много запросов",
            "Ничего не сделано; повторите запрос через время из Retry-After.",
        ),
    ),
    "tokens_unavailable": Wording(
        Said(
            "The gateway can't check tokens at this moment",
            "Nothing was done and your token was not judged; send the request again after the time in"
            " Retry-After.",
        ),
        Said(
            "Сейчас шлюз не может проверить токены",
            "Ничего не сделано, ваш токен не проверялся; повторите запрос через время из Retry-After.",
        ),
    ),
    "owner_unavailable": Wording(
        Said(
            "The service {owner} can't answer at this moment",
            "Nothing was changed; send the request again after the time in Retry-After.",
        ),
        Said(
            "Сервис {owner} сейчас не может ответить",
            "Ничего не изменено; повторите запрос через время из Retry-After.",
        ),
    ),
    "owner_asks_to_wait": Wording(
        Said(
            "The service {owner} can't answer at this moment",
            "Send the request again after the time in Retry-After, a command with the same Idempotency-Key.",
        ),
        Said(
            "Сервис {owner} сейчас не может ответить",
            "Повторите запрос через время из Retry-After, команду — с тем же Idempotency-Key.",
        ),
    ),
    "outcome_unknown": Wording(
        Said(
            "The service {owner} took the command and gave no answer",
            "It may have been carried out. Send it again with the same Idempotency-Key: it is done once.",
        ),
        Said(
            "Сервис {owner} принял команду и не ответил",
            "Возможно, она выполнена. Повторите её с тем же Idempotency-Key: она выполнится один раз.",
        ),
    ),
    "put_outcome_unknown": Wording(
        Said(
            "The service {owner} took the change and gave no answer",
            "It may have been made. Read what is there now, and send it again where it was not.",
        ),
        Said(
            "Сервис {owner} принял изменение и не ответил",
            "Возможно, оно сделано. Прочитайте, что там сейчас, и повторите, если изменения нет.",
        ),
    ),
    "version_pending": Wording(
        Said(
            "That version of the ticket has not come here yet",
            "Ask again after the time in Retry-After, or leave min_version out and take what is known now.",
        ),
        Said(
            "Эта версия обращения сюда ещё не пришла",
            "Повторите запрос через время из Retry-After или спросите без min_version то, что уже известно.",
        ),
    ),
    "owner_failed": Wording(
        Said(
            "The service {owner} failed",
            "The failure is in its log under the trace_id; a command may be sent again with the same"
            " Idempotency-Key.",
        ),
        Said(
            "В сервисе {owner} произошла ошибка",
            "Она записана в его журнале под trace_id; команду можно повторить с тем же Idempotency-Key.",
        ),
    ),
    "owner_unreadable": Wording(
        Said(
            "The service {owner} gave an answer that can't be passed on",
            "This is a fault of the deployment; tell the operations team the trace_id.",
        ),
        Said(
            "Ответ сервиса {owner} нельзя передать дальше",
            "Это ошибка установки; сообщите trace_id тем, кто её обслуживает.",
        ),
    ),
}

TERMS: Final[Mapping[str, str]] = {
    "it should be a UUID": "нужен UUID",
    "it should be a positive whole number": "нужно целое положительное число",
    "it should be a word of a-z, 0-9 and underscore": "нужно слово из a-z, 0-9 и подчёркивания",
    "it should be ru or en": "нужно ru или en",
    "came more than once": "пришёл больше одного раза",
    "is longer than 1024 characters": "длиннее 1024 символов",
    "holds characters other than printable ASCII": "содержит не только печатные символы ASCII",
}
"""What is filled in, in Russian."""

OF_CHASSIS: Final[Mapping[str, Wording]] = {
    "not_found": Wording(
        Said(
            "Not Found",
            "There is nothing at this address; the API's description lists the addresses that exist.",
        ),
        Said("Не найдено", "По этому адресу ничего нет; существующие адреса перечислены в описании API."),
    ),
    "method_not_allowed": Wording(
        Said(
            "Method Not Allowed",
            "This address does not take this method; the Allow header lists those it takes.",
        ),
        Said(
            "Метод не поддерживается",
            "Этот адрес не принимает такой метод; принимаемые перечислены в заголовке Allow.",
        ),
    ),
    "body_too_large": Wording(
        Said(
            "The body is too large",
            "limit_bytes says how much may be sent here; an operator's text may have 64 KiB.",
        ),
        Said(
            "Тело запроса слишком велико",
            "В limit_bytes сказано, сколько можно прислать сюда; текст сотрудника — до 64 КиБ.",
        ),
    ),
    "internal_error": Wording(
        Said(
            "The service failed; the failure is logged",
            "This is our failure, not yours; tell the operations team the trace_id.",
        ),
        Said(
            "Ошибка сервиса; она записана в журнал",
            "Это наша ошибка, не ваша; сообщите trace_id тем, кто обслуживает систему.",
        ),
    ),
    "bad_request": Wording(
        Said("Bad Request", "The request can't be read; check its syntax."),
        Said("Неверный запрос", "Запрос не удаётся прочитать; проверьте его синтаксис."),
    ),
}
"""What is added to problems of the chassis, which know no details of this door."""
