"""The whole repository's tests share one stack, stopped when the session ends."""

from deskline_local.testing import stop_session_stack


def pytest_sessionfinish() -> None:
    stop_session_stack()
