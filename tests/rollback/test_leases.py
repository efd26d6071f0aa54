"""Who may drive a thread, and what becomes of those who may no longer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_helpers import Opener, begin, commit

from hagane._core import Blob
from hagane.errors import LeaseHeld, LeaseLost, UnknownRun
from hagane.rollback import Claim, SqliteStore, Store

LONG = 3600.0


def test_a_live_owner_is_not_disturbed(store: Store) -> None:
    begin(store, claim=Claim("first", LONG))
    for newcomer in (lambda: begin(store, "s", claim=Claim("second")), lambda: store.adopt("t", Claim("second"))):
        with pytest.raises(LeaseHeld, match=r"driven by \"first\" \(pid \d+ on .*more seconds"):
            newcomer()
    assert [run.run_id for run in store.runs()] == ["r"]
    lease = store.lease("t")
    assert lease is not None
    assert (lease.owner, lease.pid, lease.epoch) == ("first", os.getpid(), 1)


def test_superseding_fences_the_owner_off(store: Store) -> None:
    epoch = begin(store, claim=Claim("first", LONG))
    head = store.adopt("t", Claim("second", on_conflict="supersede"))
    assert head.epoch == epoch + 1
    with pytest.raises(LeaseLost):
        commit(store, epoch)
    for fenced in (lambda: store.renew("t", epoch), lambda: store.release("t", epoch)):
        with pytest.raises(LeaseLost):
            fenced()
    assert store.head("t").last_seq == 1
    commit(store, head.epoch)


def test_an_owner_may_take_its_own_thread_again(store: Store) -> None:
    begin(store, claim=Claim("me", LONG))
    assert store.adopt("t", Claim("me", LONG)).epoch == 2


def test_a_lease_that_is_over_binds_nobody(store: Store) -> None:
    begin(store, claim=Claim("first", 0.05))
    deadline = time.monotonic() + 30
    while True:
        try:
            assert store.adopt("t", Claim("second")).epoch == 2
            return
        except LeaseHeld:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_every_write_and_a_renewal_prolong_a_lease(store: Store) -> None:
    epoch = begin(store, claim=Claim("me", LONG))
    ends = [lease_end(store)]
    # SQLite's clock counts milliseconds.
    time.sleep(0.005)
    commit(store, epoch)
    ends.append(lease_end(store))
    time.sleep(0.005)
    ends.append(store.renew("t", epoch))
    assert ends == sorted(set(ends))
    assert lease_end(store) == ends[-1]


def lease_end(store: Store) -> int:
    lease = store.lease("t")
    assert lease is not None
    return lease.expires_at


@pytest.mark.parametrize("status", ["success", "escalated", "failed"])
def test_the_end_of_a_run_ends_its_lease(store: Store, status: str) -> None:
    epoch = begin(store, claim=Claim("me", LONG))
    commit(store, epoch, status=status)
    assert store.lease("t") is None
    store.adopt("t", Claim("other"))


def test_a_lease_can_be_given_up(store: Store) -> None:
    epoch = begin(store, claim=Claim("me", LONG))
    store.release("t", epoch)
    assert store.lease("t") is None
    begin(store, "s", claim=Claim("other"))


def test_without_a_claim_there_is_no_lease(store: Store) -> None:
    begin(store, claim=Claim("me", LONG))
    store.adopt("t")
    assert store.lease("t") is None
    with pytest.raises(UnknownRun):
        store.lease("nobody")


def test_a_claim_that_cannot_be_meant_is_refused() -> None:
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cannot last"):
            Claim("me", seconds)
    with pytest.raises(ValueError, match='must be "reject" or "supersede"'):
        Claim("me", on_conflict="wait")


HOLDER = """
import os, signal, sys, time
from hagane.rollback import Claim, PostgresStore, SqliteStore
sys.path.insert(0, sys.argv[3])
from store_helpers import begin
kind, place = sys.argv[1], sys.argv[2]
store = SqliteStore(place) if kind == "sqlite" else PostgresStore(place.split("|")[0], schema=place.split("|")[1])
begin(store, claim=Claim("child", 3600.0), x=1)
print("held", flush=True)
time.sleep(3600)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Opener]:
    """Kind, place for another process, and what opens it here."""
    opener = request.getfixturevalue(f"{request.param}_opener")
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "runs.db"), opener
    return "postgres", "|".join(request.getfixturevalue("postgres_place")), opener


def test_a_dead_owner_on_this_boot_is_replaced_at_once(shared: tuple[str, str, Opener]) -> None:
    kind, place, opener = shared
    opener().close()
    command = [sys.executable, "-c", HOLDER, kind, place, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        store = opener()
        with pytest.raises(LeaseHeld, match=f"pid {child.pid} "):
            store.adopt("t", Claim("me"))
        child.kill()
        # Not waited for: a process that nobody has buried yet is dead all the same.
        while Path(f"/proc/{child.pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z":
            time.sleep(0.01)
        assert store.adopt("t", Claim("me")).epoch == 2
        store.close()


@pytest.mark.parametrize("strange", ["boot", "started"])
def test_another_boot_is_waited_for_and_a_reused_pid_is_not(
    tmp_path: Path, strange: str, sqlite_opener: Opener
) -> None:
    import sqlite3

    store = sqlite_opener()
    begin(store, claim=Claim("first", LONG))
    with sqlite3.connect(tmp_path / "runs.db") as raw:
        raw.execute(f"UPDATE threads SET {strange} = '12345'")
    raw.close()
    if strange == "boot":
        with pytest.raises(LeaseHeld):
            store.adopt("t", Claim("second"))
    else:
        store.adopt("t", Claim("second"))
    store.close()


def test_two_that_begin_on_a_new_thread_are_one_owner_and_one_refusal(opened: Opener) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stores = [opened() for _ in range(4)]

    def attempt(number: int, thread: str) -> bool:
        try:
            begin(stores[number], f"{thread}-{number}", thread, claim=Claim(f"owner {number}", LONG))
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        for round_ in range(20):
            taken = list(pool.map(attempt, range(4), [f"t{round_}"] * 4))
            assert taken.count(True) == 1


def test_an_epoch_that_was_given_is_never_given_again(store: Store) -> None:
    begin(store, claim=Claim("old", LONG))
    old = store.adopt("t", Claim("old", LONG)).epoch
    commit(store, old, 2, "success")
    assert store.prune(at=10, max_age_seconds=0).runs == 1
    new = begin(store, "again", claim=Claim("new", LONG))
    assert new > old
    for stale in (
        lambda: store.release("t", old),
        lambda: store.renew("t", old),
        lambda: store.put("c", "t", "k", Blob("stale"), at=1, epoch=old),
    ):
        with pytest.raises(LeaseLost):
            stale()
    lease = store.lease("t")
    assert lease is not None
    assert lease.owner == "new"
    commit(store, new, 2, run="again")


HIDDEN = """
import os, sys
from hagane.errors import LeaseHeld
from hagane.rollback import Claim, SqliteStore
os.setgroups([]), os.setgid(65534), os.setuid(65534)
assert not os.path.exists(f"/proc/{sys.argv[2]}")
try:
    SqliteStore(sys.argv[1]).adopt("t", Claim("thief"))
except LeaseHeld:
    print("held")
"""


def test_an_owner_that_the_system_hides_is_not_dead(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    begin(store, claim=Claim("owner", LONG))
    # Another user has to get at the file, which is opened before he becomes another.
    for place in (path, *tmp_path.glob("runs.db-*")):
        place.chmod(0o666)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    tmp_path.chmod(0o777)
    hide = 'mount -o remount,hidepid=2 /proc && exec "$0" "$@"'
    command = ["unshare", "--mount", "sh", "-c", hide, sys.executable, "-c", HIDDEN, str(path), str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip("needs the right to hide processes: root")
    assert done.stdout == "held\n", done.stderr
