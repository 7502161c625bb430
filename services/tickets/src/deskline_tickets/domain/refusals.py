"""Why a command is refused: stable codes, with sentences that help in English and Russian."""

from typing import ClassVar, Final

from deskline_events.tickets import Stage

Detail = str | int | list[str]


class Refusal(Exception):  # noqa: N818 - an answer of the domain, not an error of the program
    """A command that the ticket does not accept; nothing changed."""

    code: ClassVar[str] = "refused"

    def details(self) -> dict[str, Detail]:
        """What the caller can act on, in JSON types."""
        return {}

    @property
    def russian(self) -> str:
        """The Russian sentence for this code."""
        return RUSSIAN[self.code]


class TicketUnknown(Refusal):
    """There is no such ticket."""

    code = "ticket_unknown"

    def __init__(self) -> None:
        super().__init__("There is no such ticket.")


class StaleVersion(Refusal):
    """The command rests on a version that is not the current one."""

    code = "stale_version"

    def __init__(self, current: int) -> None:
        super().__init__(f"The ticket has changed and is at version {current}; read it and decide again.")
        self.current = current

    def details(self) -> dict[str, Detail]:
        return {"current": self.current}


class IllegalMove(Refusal):
    """The table of transitions has no such move for this actor."""

    code = "illegal_move"

    def __init__(self, stage: Stage, wanted: Stage, legal: tuple[Stage, ...]) -> None:
        super().__init__(f"A ticket in {stage} can't move to {wanted}; {_choices(legal)}.")
        self.stage = stage
        self.legal = legal

    def details(self) -> dict[str, Detail]:
        return {"stage": self.stage, "legal": list(self.legal)}


class MissingRequirement(Refusal):
    """The command lacks what its effect needs."""

    code = "missing_requirement"

    def __init__(self, requirement: str, advice: str) -> None:
        super().__init__(advice)
        self.requirement = requirement

    def details(self) -> dict[str, Detail]:
        return {"requirement": self.requirement}


class TicketEnded(Refusal):
    """The ticket's stage takes no such command."""

    code = "ticket_ended"

    def __init__(self, stage: Stage, legal: tuple[Stage, ...]) -> None:
        super().__init__(f"The ticket is {stage} and doesn't take this; {_choices(legal)}.")
        self.stage = stage
        self.legal = legal

    def details(self) -> dict[str, Detail]:
        return {"stage": self.stage, "legal": list(self.legal)}


class PersonErased(Refusal):
    """The person was erased: no text can be kept under their key any more."""

    code = "person_erased"

    def __init__(self) -> None:
        super().__init__("This person's data was erased; the ticket takes no more text.")


class NotPermitted(Refusal):
    """This actor may not do that."""

    code = "not_permitted"

    def __init__(self, action: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"You may not {action}; this is for: {', '.join(allowed)}.")
        self.allowed = allowed

    def details(self) -> dict[str, Detail]:
        return {"allowed": list(self.allowed)}


class TextTooLong(Refusal):
    """The text is longer than an event may carry."""

    code = "text_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The text is longer than {limit} bytes; send the rest as a file.")
        self.limit = limit

    def details(self) -> dict[str, Detail]:
        return {"limit": self.limit}


class OfferGone(Refusal):
    """The offer is not open any more, or never was."""

    code = "offer_gone"

    def __init__(self, stage: Stage) -> None:
        super().__init__("This offer is no longer open; the ticket may be offered to you again.")
        self.stage = stage

    def details(self) -> dict[str, Detail]:
        return {"stage": self.stage}


class QueueUnknown(Refusal):
    """There is no such queue, or it is not in use."""

    code = "queue_unknown"

    def __init__(self) -> None:
        super().__init__("There is no such queue in use; choose another.")


class NotThen(Refusal):
    """The ticket was not there at that moment, or never at that version."""

    code = "not_then"

    def __init__(self) -> None:
        super().__init__("There was no such ticket at that moment or version.")


class KeyReused(Refusal):
    """The idempotency key came before, with another command."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another command; give each command its own.")


def _choices(legal: tuple[Stage, ...]) -> str:
    return f"you can move it to: {', '.join(legal)}" if legal else "you can't move it anywhere from here"


RUSSIAN: Final[dict[str, str]] = {
    "refused": "Команда не принята.",
    "ticket_unknown": "Такого обращения нет.",
    "stale_version": "Обращение уже изменилось: прочитайте его и решите заново.",
    "illegal_move": "Из этой стадии такой переход невозможен; возможные переходы перечислены.",
    "missing_requirement": "Не хватает того, без чего команду нельзя выполнить.",
    "ticket_ended": "Обращение завершено и этого не принимает; возможные переходы перечислены.",
    "person_erased": "Данные этого человека удалены: новый текст в обращение добавить нельзя.",
    "not_permitted": "У вас нет права на это действие.",
    "offer_gone": "Предложение уже не действует: обращение могут предложить вам снова.",
    "queue_unknown": "Такой действующей очереди нет: выберите другую.",
    "not_then": "В тот момент или в той версии такого обращения не было.",
    "key_reused": "Этот ключ идемпотентности уже использован для другой команды.",
    "text_too_long": "Текст слишком длинный: приложите остаток файлом.",
}
