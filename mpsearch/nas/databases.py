"""Databases as storages: which driver, how long to wait, and one worker at a time in SQLite."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, RDBStorage

from mpsearch.core.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

_DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("MySQLdb", "pymysql"),
            "mariadb": ("MySQLdb", "pymysql")}
_DIALECTS = {"MySQLdb": "mysqldb"}
_CONNECT_S = 10
_LOCKED_S = 60.0
_TRIES = 8
_RACES = ("exists", "duplicate", "unique", "locked", "deadlock", "concurrently")
"""What a database says where another worker made the same table at the same time."""


def database(text: str) -> BaseStorage:
    """The database at the URL *text*; its tables are made where there are none.

    Raises:
        BadInput: a URL without a file or database.
        Exception: what drivers raise.
    """
    from sqlalchemy.engine import make_url

    url = _with_driver(make_url(text))
    sqlite = url.get_backend_name() == "sqlite"
    if not url.database or url.database == ":memory:":
        raise BadInput("name a file, as sqlite:///study.db" if sqlite else
                       "name a database, as postgresql://user@host/database")
    storage = _made(url.render_as_string(hide_password=False), {
        "pool_pre_ping": not sqlite, "connect_args": _waits(url)})
    if sqlite:
        _one_at_a_time(storage.engine)
    return optuna.storages.get_storage(storage)


def _with_driver(url: URL) -> URL:
    """The URL with a driver that is installed, where it names none."""
    if "+" in url.drivername:
        return url
    for package in _DRIVERS.get(url.drivername, ()):
        if find_spec(package):
            return url.set(drivername=f"{url.drivername}+{_DIALECTS.get(package, package)}")
    return url


def _waits(url: URL) -> dict[str, Any]:
    """How long the driver may take, by the name that it has for that."""
    driver = url.get_dialect().driver
    if url.get_backend_name() == "sqlite":
        return {"timeout": _LOCKED_S}
    known = {"psycopg", "psycopg2", "pymysql", "mysqldb"}
    return {"connect_timeout": _CONNECT_S} if driver in known else {}


def _made(url: str, settings: dict[str, Any]) -> RDBStorage:
    """Workers that start together may all want to make the tables: the late ones try again."""
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(url, engine_kwargs=settings)
        except Exception as error:
            said = f"{error} {error.__cause__}".lower()
            if not left or not any(word in said for word in _RACES):
                raise
            time.sleep(0.25)
    raise AssertionError("unreachable")


def _one_at_a_time(engine: Engine) -> None:
    """Transactions that hold SQLite's lock from their beginning.

    SQLite knows no lock of a row. Without this, two workers read that a trial waits and both take
    it.
    """
    from sqlalchemy import event

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing on its own

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    engine.dispose()  # connections from before
