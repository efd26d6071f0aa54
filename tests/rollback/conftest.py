"""The same expectations of every store: `store` is one, `opened` opens more handles on one database."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hagane.rollback import MemoryStore, PostgresStore, SqliteStore, Store

sys.path.insert(0, str(Path(__file__).parent))

from store_helpers import Opener


def drop_schema(url: str, schema: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@pytest.fixture
def sqlite_opener(tmp_path: Path) -> Opener:
    return lambda **options: SqliteStore(tmp_path / "runs.db", **options)


@pytest.fixture
def postgres_place(service: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The address of PostgreSQL and a schema that is gone after the test."""
    pytest.importorskip("psycopg")
    url, schema = service("postgres"), f"test_{uuid.uuid4().hex}"
    yield url, schema
    drop_schema(url, schema)


@pytest.fixture
def postgres_opener(postgres_place: tuple[str, str]) -> Opener:
    url, schema = postgres_place
    return lambda **options: PostgresStore(url, schema=schema, **options)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens handles on one database that several processes can share; all are closed after the test."""
    open_one: Opener = request.getfixturevalue(f"{request.param}_opener")
    handles: list[Store] = []

    def open_and_keep(**options: Any) -> Store:
        handles.append(open_one(**options))
        return handles[-1]

    yield open_and_keep
    for handle in handles:
        handle.close()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make_store(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Makes a store of each kind with the options given; once in a test."""
    if request.param == "memory":
        yield MemoryStore
        return
    open_one: Opener = request.getfixturevalue(f"{request.param}_opener")
    made: list[Store] = []

    def make(**options: Any) -> Store:
        made.append(open_one(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def store(make_store: Opener) -> Store:
    return make_store()
