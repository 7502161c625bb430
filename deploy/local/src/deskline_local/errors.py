# ruff: noqa: N818 - an error is named by what happened, as an event is
"""What can go wrong with the stack, each with a message that says what to do."""


class StackError(Exception):
    """The stack can't do what was asked."""


class StartFailed(StackError):
    """A server didn't answer in time or ended while starting; the message ends with its log."""


class PortTaken(StackError):
    """Another program listens on the port that a server is to have."""


class FolderInUse(StackError):
    """Another living process runs a stack in this folder."""


class NotRunning(StackError):
    """The server is down, and what was asked needs it up."""


class Unreadable(StackError):
    """What a server wrote can't be read from outside."""


class StillRunning(StackError):
    """The server is up, and what was asked needs it down."""


class NotControllable(StackError):
    """The servers belong to somebody else: they are used here, never stopped, killed or wiped."""


class StackUnavailable(StackError):
    """The kind of stack that was asked for can't be had on this machine."""


class JarsUnavailable(StackError):
    """Kafka's jars can't be downloaded, or what arrives isn't what the lock names."""
