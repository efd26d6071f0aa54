"""A connection that breaks: tried again within a budget, written once, and a clear error after that."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from cutting_proxy import CuttingProxy
from store_helpers import Opener, begin, commit, values

from hagane._core import Blob
from hagane.errors import ForkError, StoreCorrupt, StoreError, StoreVersionError
from hagane.rollback import Claim, PostgresStore, Store

Connect = Callable[..., PostgresStore]


@pytest.fixture
def proxy(postgres_place: tuple[str, str]) -> Iterator[CuttingProxy]:
    parts = urlsplit(postgres_place[0])
    assert parts.hostname is not None
    assert parts.port is not None
    made = CuttingProxy((parts.hostname, parts.port))
    yield made
    made.close()


@pytest.fixture
def connect(proxy: CuttingProxy, postgres_place: tuple[str, str]) -> Iterator[Connect]:
    url, schema = postgres_place
    parts = urlsplit(url)
    through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}"), query="sslmode=disable")
    made: list[Store] = []

    def connect_through(retry_seconds: float = 30.0) -> PostgresStore:
        made.append(PostgresStore(through.geturl(), schema=schema, retry_seconds=retry_seconds))
        return made[-1]

    yield connect_through
    for one in made:
        one.close()


def test_a_lost_connection_is_opened_again(connect: Connect, proxy: CuttingProxy) -> None:
    store = connect()
    epoch = begin(store, n=0)
    proxy.cut()
    commit(store, epoch, 2, n=1)
    assert values(store, store.head("t").checkpoint) == {"n": 1}


@pytest.mark.parametrize("delivered", [False, True], ids=["before the server got it", "after the server did it"])
@pytest.mark.parametrize("statement", [b"BEGIN", b"commit_1", b"COMMIT\0"])
def test_a_commit_whose_connection_breaks_is_written_once(
    connect: Connect, proxy: CuttingProxy, statement: bytes, delivered: bool
) -> None:
    store = connect()
    epoch = begin(store, n=0)
    proxy.cut_at(statement, delivered=delivered)
    checkpoint, size = commit(store, epoch, 2, n="one" * 100)
    assert proxy.cuts == 1
    assert next(one.checkpoint for one in store.checkpoints()) == checkpoint == store.head("t").checkpoint
    assert (len(store.checkpoints()), size > 0) == (2, True)
    assert [seq for seq, *_ in store.events("r")] == [1, 2]


def test_parts_that_others_freed_are_sent_again(postgres_opener: Opener) -> None:
    store, text = postgres_opener(), ["part " * 100 + str(number) for number in range(100)]
    epoch = begin(store, text=[])
    commit(store, epoch, 2, status="success", text=text)
    assert postgres_opener().prune(at=10, max_age_seconds=0).blobs > 1
    assert store.usage().blobs == 0
    epoch = begin(store, "again", text=[])
    checkpoint, size = commit(store, epoch, 2, run="again", text=text)
    assert values(store, checkpoint) == {"text": text}
    assert size > 0
    assert commit(store, epoch, 3, run="again", text=text)[1] == 0


def test_tables_without_the_function_of_this_version_get_it(postgres_place: tuple[str, str]) -> None:
    import psycopg

    url, schema = postgres_place
    epoch = begin(PostgresStore(url, schema=schema), n=0)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(f'DROP FUNCTION "{schema}".commit_1')
    commit(PostgresStore(url, schema=schema), epoch, 2, n=1)
    assert values(PostgresStore(url, schema=schema), 2) == {"n": 1}


def test_a_run_whose_beginning_breaks_begins_once(connect: Connect, proxy: CuttingProxy) -> None:
    store = connect()
    proxy.cut_at(b"COMMIT\0", delivered=True)
    assert begin(store, n=0, claim=Claim("me")) == 1
    assert (proxy.cuts, len(store.runs()), len(store.checkpoints())) == (1, 1, 1)


def test_a_document_is_put_once_and_taken_though_the_answer_is_lost(connect: Connect, proxy: CuttingProxy) -> None:
    store = connect()
    proxy.cut_at(b"COMMIT\0", delivered=True)
    assert store.put("c", "a", "k", Blob("decision"), at=1, once=True)
    proxy.cut_at(b"COMMIT\0", delivered=True)
    assert [one.blob.value() for one in store.remove("c", "a", "k")] == ["decision"]
    assert proxy.cuts == 2
    assert store.documents("c") == []


def during(proxy: CuttingProxy, write: Callable[[], object], other: Callable[[], object]) -> tuple[object, object]:
    """What a write gives whose COMMIT arrives and whose answer is lost, and what another does before it is repeated."""
    proxy.cut_at(b"COMMIT\0", delivered=True)
    told: list[object] = []
    writer = threading.Thread(target=lambda: told.append(write()))
    proxy.refuse_after_cut = True
    writer.start()
    while proxy.cuts == 0:
        time.sleep(0.002)
    time.sleep(0.2)
    got = other()
    proxy.refusing = False
    writer.join()
    return told[0], got


def taken(store: Store) -> list[object]:
    return [one.blob.value() for one in store.remove("c", "t", "k")]


def test_what_a_consumer_took_is_not_put_again(connect: Connect, proxy: CuttingProxy, postgres_opener: Opener) -> None:
    far, near = connect(), postgres_opener()
    put = lambda: far.put("c", "t", "k", Blob("approve"), at=1, once=True)  # noqa: E731
    assert during(proxy, put, lambda: taken(near)) == (True, ["approve"])
    assert taken(near) == []


def test_a_repeated_put_does_not_replace_what_came_after_it(
    connect: Connect, proxy: CuttingProxy, postgres_opener: Opener
) -> None:
    far, near = connect(), postgres_opener()
    put = lambda: far.put("c", "t", "k", Blob("old"), at=1)  # noqa: E731
    assert during(proxy, put, lambda: near.put("c", "t", "k", Blob("new"), at=2)) == (True, True)
    assert taken(near) == ["new"]


def test_what_was_taken_is_not_tidied_away_before_its_consumer_has_it(
    connect: Connect, proxy: CuttingProxy, postgres_opener: Opener
) -> None:
    far, near = connect(), postgres_opener()
    near.put("c", "t", "k", Blob("approve"), at=1)
    assert during(proxy, lambda: taken(far), lambda: near.prune(at=1).blobs) == (["approve"], 0)


def test_what_documents_and_short_lives_leave_is_freed(postgres_opener: Opener) -> None:
    store = postgres_opener()
    for number in range(400):
        store.put("c", "t", f"k{number % 3}", Blob(os.urandom(2000)), at=number, keep=2)
    # One write of 16 frees all, by chance: that none of 200 did has a probability of 2 in a million.
    assert (store.usage().documents, store.usage().blobs < 400) == (2, True)
    for run in range(30):
        process = postgres_opener(keep=2)
        epoch = begin(process, f"r{run}", n=0)
        for seq in range(2, 12):
            commit(process, epoch, seq, run=f"r{run}", noise=os.urandom(2000))
        process.close()
    assert store.usage().blobs < 200


def test_tables_of_the_previous_format_are_brought_up_to_date(postgres_place: tuple[str, str]) -> None:
    url, schema = postgres_place
    epoch = begin(PostgresStore(url, schema=schema), n=0)
    change(postgres_place, "UPDATE hagane_meta SET value = 2")
    change(postgres_place, "DROP TABLE writes")
    store = PostgresStore(url, schema=schema)
    commit(store, epoch, 2, n=1)
    assert store.put("c", "t", "k", Blob(1), at=1, epoch=epoch)
    assert values(store, 2) == {"n": 1}


def test_a_server_that_comes_back_in_time_is_waited_for(connect: Connect, proxy: CuttingProxy) -> None:
    store = connect()
    epoch = begin(store, n=0)
    proxy.refusing = True
    proxy.cut()
    back = threading.Timer(0.5, setattr, (proxy, "refusing", False))
    back.start()
    commit(store, epoch, 2, n=1)
    back.join()
    assert store.head("t").last_seq == 2


def test_after_the_budget_the_error_is_clear_and_the_run_can_be_resumed(connect: Connect, proxy: CuttingProxy) -> None:
    store = connect(retry_seconds=0.3)
    epoch = begin(store, n=0)
    proxy.refusing = True
    proxy.cut()
    with pytest.raises(StoreError, match="until retry_seconds were spent; the run can be resumed") as failed:
        commit(store, epoch, 2, n=1)
    assert "hagane:" not in str(failed.value)
    proxy.refusing = False
    commit(store, epoch, 2, n=1)
    assert values(store, store.head("t").checkpoint) == {"n": 1}


def test_a_session_that_the_server_ends_is_opened_again(postgres_place: tuple[str, str]) -> None:
    import psycopg

    url, schema = postgres_place
    store = PostgresStore(f"{url}?application_name={schema}", schema=schema)
    epoch = begin(store, n=0)
    with psycopg.connect(url, autocommit=True) as other:
        ended = other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [schema]
        )
        assert ended.fetchall() == [(True,)]
    commit(store, epoch, 2, n=1)
    store.close()
    with pytest.raises(StoreError, match="it was closed"):
        store.runs()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("hagane:", "hagane:wrong"), r"password authentication failed.*check the user"),
        (lambda url: url + "_missing", r"does not exist.*create the database"),
        (lambda url: url + "?sslmode=verify-full", "add sslrootcert=FILE"),
        (lambda url: url + "?sslmode=maybe", "is none of disable"),
        (lambda url: url + "?channel_binding=require", "take it out of the address"),
        (lambda url: url + "?sslmode=verify-ca&sslrootcert=/nonexistent.pem", "/nonexistent.pem"),
        (lambda url: url + "?sslmode=require", "does not support TLS.*check sslmode"),
        (lambda _: "host=localhost", "must be a URL"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(
    postgres_place: tuple[str, str], change: Callable[[str], str], message: str
) -> None:
    url, schema = postgres_place
    with pytest.raises(StoreError, match=message):
        PostgresStore(change(url), schema=schema, retry_seconds=3600.0)


def test_names_that_sql_could_take_for_more_are_refused(postgres_place: tuple[str, str]) -> None:
    for schema in ("", 'x"; DROP SCHEMA public; --', "a b"):
        with pytest.raises(StoreError, match="no plain name"):
            PostgresStore(postgres_place[0], schema=schema)
    with pytest.raises(ValueError, match="retry_seconds is -1"):
        PostgresStore(postgres_place[0], retry_seconds=-1)


def change(place: tuple[str, str], statement: str) -> None:
    import psycopg

    with psycopg.connect(place[0], autocommit=True) as raw:
        raw.execute(f"SET search_path TO {place[1]}")
        raw.execute(statement)


def test_a_newer_format_is_refused(postgres_place: tuple[str, str]) -> None:
    url, schema = postgres_place
    store = PostgresStore(url, schema=schema)
    begin(store, n=0)
    change(postgres_place, "UPDATE checkpoints SET format = 9")
    with pytest.raises(StoreVersionError, match="format 9"):
        store.load(1)
    change(postgres_place, "UPDATE hagane_meta SET value = 7")
    store.close()
    with pytest.raises(StoreVersionError, match="format 7"):
        PostgresStore(url, schema=schema)


def test_damage_is_noticed(postgres_place: tuple[str, str]) -> None:
    url, schema = postgres_place
    store = PostgresStore(url, schema=schema)
    begin(store, n="x" * 300)
    change(postgres_place, r"UPDATE blobs SET stored = '\x020000a178'")
    with pytest.raises(StoreCorrupt, match="does not match its address"):
        store.load(1)["n"].value()
    change(postgres_place, "DELETE FROM blobs")
    with pytest.raises(StoreCorrupt, match="is missing"):
        store.load(1)
    change(postgres_place, "UPDATE runs SET status = 'glorious'")
    with pytest.raises(StoreCorrupt, match="glorious"):
        store.head("t")
    store.close()


def test_two_that_create_the_tables_together_both_succeed(postgres_place: tuple[str, str]) -> None:
    url, schema = postgres_place
    together, made = threading.Barrier(4), []

    def create() -> None:
        together.wait()
        made.append(PostgresStore(url, schema=schema))

    threads = [threading.Thread(target=create) for _ in range(4)]
    [one.start() for one in threads]  # type: ignore[func-returns-value]
    [one.join() for one in threads]  # type: ignore[func-returns-value]
    assert len(made) == 4
    [one.close() for one in made]  # type: ignore[func-returns-value]


def test_a_connection_does_not_cross_a_fork(postgres_place: tuple[str, str]) -> None:
    import os

    url, schema = postgres_place
    store = PostgresStore(url, schema=schema)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            store.runs()
        except ForkError as error:
            os.write(writing, str(error).encode())
        del store
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as said:
        assert b"open it again after the fork" in said.read()
    assert store.runs() == []
    store.close()
