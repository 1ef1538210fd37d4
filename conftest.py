"""Fixtures that every suite may use: people, clusters in memory, real control planes on demand."""

import gc
import os

import hypothesis
import pytest
from django.db import connections

pytest_plugins = ["tests.people", "tests.fleet", "tests.live.control_plane"]


def pytest_configure() -> None:
    """Nothing that a test writes has to outlive a power cut: no disk is waited for.

    How long an example takes says what else the machine does, not whether a law holds.
    """
    os.fsync = lambda fd: None
    hypothesis.settings.register_profile(
        "laws", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("laws")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: modules and many thousand tests."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests passed only at the second time, and how they had failed."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"rerun: {report.nodeid} had failed", yellow=True)
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite in a file: one in memory lets no two threads write."""
    for connection in connections.all():
        if connection.vendor == "sqlite":
            path = tmp_path_factory.mktemp("database") / "kubenova.sqlite3"
            connection.settings_dict["TEST"]["NAME"] = str(path)
            connection.settings_dict["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
