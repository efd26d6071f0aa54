"""Memory that no process shows, and memory that is shown twice: where no cgroup counts, the watcher must."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from attacker import attack, kind

from hagane.sandbox import LocalProvider, SandboxConfig


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalProvider]:
    provider = LocalProvider(SandboxConfig(memory_mb=512, timeout=20.0))
    yield provider
    asyncio.run(provider.close())


def test_shared_memory_without_a_file_is_refused(sandbox: LocalProvider) -> None:
    # It could be filled and unmapped in part: no resident set shows it, and no quota bounds it.
    assert kind(attack(sandbox, "mmap.mmap(-1, 1 << 20)")) == "PermissionError"
    assert kind(attack(sandbox, "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 1 << 20)")) == "PermissionError"
    private = "len(mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))"
    assert attack(sandbox, f"print({private})").error is None


def test_shared_memory_of_the_library_still_works(sandbox: LocalProvider) -> None:
    code = """
    from multiprocessing import Value, shared_memory
    block = shared_memory.SharedMemory(create=True, size=1 << 20)
    block.buf[0] = 7
    number = Value("i", 0)
    def work():
        number.value = block.buf[0]
    child(work)
    os.wait()
    print(number.value)
    block.close()
    block.unlink()
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("7\n", None), result.stderr


def test_huge_pages_of_the_hosts_pool_are_refused(sandbox: LocalProvider) -> None:
    code = "mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)"
    result = attack(sandbox, code)
    # ENOMEM is what an empty pool says; EPERM comes from the filter, before the pool is asked.
    assert result.error == "PermissionError: [Errno 1] Operation not permitted"


def test_page_tables_count_as_memory(sandbox: LocalProvider) -> None:
    code = """
    def touch():
        size = 200 << 30
        area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
        area.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size, 2 << 20):
            area[at]
        time.sleep(60)
    for _ in range(8):
        child(touch)
    time.sleep(60)
    """
    assert kind(attack(sandbox, code)) == "MemoryLimit"


def test_buffers_of_sockets_count_as_memory(sandbox: LocalProvider) -> None:
    code = """
    held = []
    def fill():
        for _ in range(200):
            pair = socket.socketpair()
            held.append(pair)
            pair[0].setblocking(False)
            try:
                while True:
                    pair[0].send(bytes(4096))
            except BlockingIOError:
                pass
        time.sleep(60)
    for _ in range(6):
        child(fill)
    time.sleep(60)
    """
    assert kind(attack(sandbox, code)) == "MemoryLimit"


def test_a_processs_memory_counts_after_its_first_thread_has_ended(sandbox: LocalProvider) -> None:
    code = """
    def hide():
        def hold():
            time.sleep(0.2)
            held = bytearray(300 << 20)
            time.sleep(60)
        threading.Thread(target=hold).start()
        C.syscall(exit)
    for _ in range(4):
        child(hide)
    time.sleep(60)
    """
    assert kind(attack(sandbox, code)) == "MemoryLimit"


def test_a_child_that_borrows_memory_does_not_count_twice(sandbox: LocalProvider) -> None:
    # As every subprocess does between vfork and execve; here for as long as it takes to be looked at.
    code = """
    held = bytearray(300 << 20)
    stack = ctypes.create_string_buffer(1 << 20)
    sleep = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: time.sleep(0.5) or 0)
    CLONE_VM = 0x100
    C.clone(sleep, ctypes.c_void_p(ctypes.addressof(stack) + (1 << 20) - 64), CLONE_VM | signal.SIGCHLD, None)
    time.sleep(1)
    print("alive")
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("alive\n", None)


def test_a_mapped_file_does_not_count_twice(sandbox: LocalProvider) -> None:
    code = """
    with open("/dev/shm/x", "w+b") as file:
        file.truncate(200 << 20)
        area = mmap.mmap(file.fileno(), 0)
    for at in range(0, len(area), 4096):
        area[at] = 1
    held = bytearray(200 << 20)
    time.sleep(0.2)
    print("alive")
    """
    result = attack(sandbox, code)
    assert (result.stdout, result.error) == ("alive\n", None)


def test_the_code_is_what_the_kernel_kills_first(sandbox: LocalProvider) -> None:
    code = """
    print(open("/proc/self/oom_score_adj").read().strip())
    open("/proc/self/oom_score_adj", "w").write("0")
    """
    result = attack(sandbox, code)
    assert (result.stdout, kind(result)) == ("1000\n", "PermissionError")
