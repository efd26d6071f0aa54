"""`hagane serve-metrics`: a process of its own that shows what others count."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from metric_scrapes import Scrape

WORKER = (
    "from hagane.observability import get_metrics; get_metrics().counter('jobs_total', 'Jobs.', ['kind'])"
    ".inc(2, {'kind': 'k'}); print('counted', flush=True); input()"
)


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_MULTIPROC_DIR")}
    return {**kept, **more}


@contextmanager
def serving(*arguments, **more):
    """The command, with the URL that it has told."""
    command = [sys.executable, "-W", "error", "-m", "hagane", "serve-metrics", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**more)
    )
    try:
        yield process, re.fullmatch(r"metrics: (\S+)\n", process.stdout.readline())[1]
    finally:
        process.kill()
        process.communicate()


def scrape(url, token=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=20) as response:
        return Scrape(response.read().decode())


def worker(directory):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(HAGANE_MULTIPROC_DIR=directory),
    )


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_it_shows_the_sum_of_a_directorys_processes_living_and_dead(tmp_path, by):
    directory = str(tmp_path / "metrics")
    one, two = worker(directory), worker(directory)
    one.communicate("\n")
    assert (one.returncode, two.stdout.readline()) == (0, "counted\n")
    arguments, more = (["--dir", directory], {}) if by == "argument" else ([], {"HAGANE_MULTIPROC_DIR": directory})
    with serving(*arguments, **more) as (_, url):
        living = scrape(url).value("agentflow_jobs_total", kind="k")
        two.kill()
        two.communicate()
        seen = scrape(url)
        assert (living, seen.value("agentflow_jobs_total", kind="k")) == (4, 4)
        assert not any(name.startswith("process_") for name in seen.names())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_it_should_end(tmp_path, number):
    with serving("--dir", tmp_path) as (process, url):
        assert "hagane_multiprocess_files" in scrape(url).names()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_it_ends_by_itself_after_the_time_given(tmp_path):
    with serving("--dir", tmp_path, "--for", "0.2") as (process, _):
        assert process.wait(20) == 0


def test_the_token_comes_from_a_file(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with serving("--dir", tmp_path, "--bearer-token-file", token) as (_, url):
        with pytest.raises(urllib.error.HTTPError) as refused:
            scrape(url)
        refused.value.close()
        assert "hagane_multiprocess_files" in scrape(url, "s3cret").names()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dir", "/proc/nowhere"], "/proc/nowhere is no directory: name the one that the processes share"),
        (["--dir", "/dev/null"], "/dev/null is no directory"),
        (["--dir", "/proc/self/fd"], "cannot keep metrics of several processes in /proc/self/fd"),
        (["--host", "192.0.2.1"], "pass an address of this machine"),
        (["--bearer-token-file", "/nowhere"], "/nowhere"),
        (["--certificate", "/nowhere"], "both a certificate and its key"),
        (["--port", "65536"], "is not a port from 0 to 65535"),
        (["--for", "-1"], "is not a number of seconds"),
    ],
)
def test_what_must_be_put_right_first_is_said_in_one_line(tmp_path, arguments, said):
    # The last of an option counts.
    done = told("--dir", tmp_path, *arguments)
    assert said in done.stderr.splitlines()[-1]


def test_a_directory_must_be_named_and_is_not_made(tmp_path):
    assert "no directory to serve: name it with --dir or in HAGANE_MULTIPROC_DIR" in told().stderr
    assert "typo is no directory" in told("--dir", tmp_path / "typo").stderr
    assert not (tmp_path / "typo").exists()


def told(*arguments):
    """What the command says that cannot begin."""
    done = subprocess.run(
        [sys.executable, "-m", "hagane", "serve-metrics", "--for", "0", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done
