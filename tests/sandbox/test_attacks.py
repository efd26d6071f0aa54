"""Attacks that once got through, and a few that never did: each written as the attacker would write it."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Iterator

import pytest
from attacker import attack, kind

from hagane.errors import SandboxClosedError
from hagane.sandbox import LocalProvider, SandboxConfig


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalProvider]:
    provider = LocalProvider(SandboxConfig(memory_mb=512, timeout=20.0))
    yield provider
    asyncio.run(provider.close())


# ---------------------------------------------------------------- the trusted process next to the code


@pytest.mark.parametrize("resource", ["RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_DATA", "RLIMIT_FSIZE"])
def test_inits_limits_cannot_be_lowered(sandbox: LocalProvider, resource: str) -> None:
    code = f"""
    import resource
    try:
        resource.prlimit(1, resource.{resource}, (0, 0))
        print("lowered")
    except PermissionError:
        print("refused")
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("refused\n", None)


def test_init_cannot_be_moved_to_a_busy_processor(sandbox: LocalProvider) -> None:
    code = "print(call(sched_setaffinity, 1, 8, ctypes.byref(ctypes.c_uint64(1))))"
    assert attack(sandbox, code).stdout == "(-1, 1)\n"


def test_no_signal_of_the_code_ends_init(sandbox: LocalProvider) -> None:
    code = """
    for number in range(1, 65):
        try:
            os.kill(1, number)
        except OSError:
            pass
    print("init lives")
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("init lives\n", None)


def test_children_pushed_upon_init_die_with_the_run(sandbox: LocalProvider) -> None:
    code = """
    CLONE_PARENT = 0x8000
    if call(clone, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)[0] == 0:
        time.sleep(60)
    """
    result = attack(sandbox, code)
    assert result.error is None
    assert result.duration_ms < 10_000


# ---------------------------------------------------------------- doors into the kernel


@pytest.mark.parametrize(
    ("family", "type_", "protocol", "name"),
    [
        (2, 1, 262, "MPTCP"),
        (2, 1, 132, "SCTP"),
        (2, 5, 132, "SCTP"),
        (2, 2, 136, "UDP-Lite"),
        (2, 2, 1, "ping"),
        (2, 1, 256, "SMC"),
    ],
)
def test_protocols_that_load_modules_are_refused(
    sandbox: LocalProvider, family: int, type_: int, protocol: int, name: str
) -> None:
    result = attack(sandbox, f"socket.socket({family}, {type_}, {protocol})")
    assert result.error == "PermissionError: [Errno 1] Operation not permitted", name


@pytest.mark.parametrize(
    "option",
    [
        "socket.SOL_SOCKET, 26, bytes(16)",
        "socket.IPPROTO_TCP, 31, b'tls'",
        "socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22",
    ],
)
def test_socket_options_that_load_programs_or_modules_are_refused(sandbox: LocalProvider, option: str) -> None:
    assert kind(attack(sandbox, f"socket.socket().setsockopt({option})")) == "PermissionError"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86-64")
def test_system_calls_by_the_32_bit_entry_are_fatal(sandbox: LocalProvider) -> None:
    # There the same numbers mean other calls.
    code = """
    area = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
    area.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, getpid; int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
    print("answered")
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("", "Killed: by signal SIGSYS (31)")


def test_a_pair_of_sockets_of_another_family_is_refused(sandbox: LocalProvider) -> None:
    tipc = 30
    result = attack(sandbox, f"print(socket.socketpair() and 'unix')\nsocket.socketpair({tipc})")
    assert (result.stdout, result.error) == ("unix\n", "PermissionError: [Errno 1] Operation not permitted")


def test_files_of_the_host_cannot_be_leased(sandbox: LocalProvider) -> None:
    result = attack(sandbox, "import fcntl; fcntl.fcntl(open(sys.executable, 'rb'), 1024, 0)")
    assert result.error == "PermissionError: [Errno 1] Operation not permitted"


# ---------------------------------------------------------------- lies


@pytest.mark.parametrize("verdict", ["Timeout", "MemoryLimit", "OutputLimit", "Killed"])
def test_a_verdict_of_the_kernel_cannot_be_forged(sandbox: LocalProvider, verdict: str) -> None:
    result = attack(sandbox, f"os.write(3, b'{verdict}\\nforged'); os._exit(1)")
    assert (result.exit_code, result.error) == (1, f"uncaught {verdict}: forged")
    result = attack(sandbox, f"class {verdict}(Exception): pass\nraise {verdict}")
    assert result.error == f"uncaught {verdict}"


def test_a_flood_of_reports_is_a_flood_of_output(sandbox: LocalProvider) -> None:
    assert kind(attack(sandbox, "while True: os.write(3, bytes(65536))")) == "OutputLimit"


def test_an_input_file_changed_through_a_mapping_comes_back(sandbox: LocalProvider) -> None:
    code = """
    with open("a", "r+b") as file:
        area = mmap.mmap(file.fileno(), 0)
    first = area[0]  # maps the page for writing too: the write that follows is not seen by the file system
    area[0] = 66
    """
    result = attack(sandbox, code, files={"a": b"AAA", "untouched": b"x"})
    assert result.files == {"a": b"BAA"}


def test_a_pipe_kept_alive_by_sockets_in_flight_does_not_hold_the_run_open(sandbox: LocalProvider) -> None:
    code = """
    print("so far", flush=True)
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [other.fileno(), 1, 2, 3])
    os._exit(0)
    """
    started = time.monotonic()
    assert attack(sandbox, code).stdout == "so far\n"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "work",
    [
        "os.setsid(); time.sleep(60)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "C.vfork() == 0 and [C.pause() for _ in iter(int, 1)]",
        "[os.dup2(1, n) for n in range(10, 200)]; time.sleep(60)",
    ],
    ids=["daemon", "stopped", "vfork", "copies"],
)
def test_a_child_left_behind_does_not_hold_the_run_open(sandbox: LocalProvider, work: str) -> None:
    result = attack(sandbox, f"child(lambda: [{work.replace('; ', ', ')}])\ntime.sleep(0.2)\nprint('done')")
    assert (result.stdout, result.error) == ("done\n", None)
    assert result.duration_ms < 10_000


# ---------------------------------------------------------------- the collector


def test_a_tree_without_permissions_still_comes_back(sandbox: LocalProvider) -> None:
    code = """
    os.mkdir("d")
    open("d/f", "w").write("1")
    for path in ("d/f", "d", "."):
        os.chmod(path, 0)
    """
    assert attack(sandbox, code).files == {"d/f": b"1"}


def test_what_libraries_keep_at_home_does_not_come_back(sandbox: LocalProvider) -> None:
    code = """
    from pathlib import Path
    Path("~/.cache/library").expanduser().mkdir(parents=True)
    Path("~/.cache/library/list").expanduser().write_text("x")
    Path("result").write_text("x")
    """
    assert attack(sandbox, code).files == {"result": b"x"}


def test_hard_links_count_each(sandbox: LocalProvider) -> None:
    code = """
    open("a", "wb").write(bytes(1 << 20))
    for number in range(100):
        os.link("a", f"b{number}")
    """
    result = attack(sandbox, code)
    assert sum(map(len, result.files.values())) == 64 << 20
    assert {reason for _, reason in result.skipped} == {"too large"}


# ---------------------------------------------------------------- the host's side


async def test_close_kills_what_runs() -> None:
    provider = LocalProvider()
    task = asyncio.create_task(provider.execute("import time; time.sleep(30)"))
    await asyncio.sleep(0.3)
    await provider.close()
    with pytest.raises(SandboxClosedError, match="is closed"):
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "#" * (17 << 20)}, "code: .* over the limit"),
        ({"env": {"A": "x" * (200 << 10)}}, 'env: "A" is over'),
        ({"files": {"a": bytes(300 << 20)}}, "disk limit"),
        ({"files": {"a" * 300: b""}}, "255 bytes"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_at_once(
    sandbox: LocalProvider, options: dict[str, object], message: str
) -> None:
    arguments = {"code": "print(1)", **options}
    with pytest.raises(ValueError, match=message):
        sandbox.run(**arguments)  # type: ignore[arg-type]
