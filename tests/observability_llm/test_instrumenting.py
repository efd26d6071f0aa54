"""Switching measurement on and off: idempotent, reversible, and without importing anything."""

from __future__ import annotations

import subprocess
import sys
import threading

import anthropic._base_client
import openai
import openai._base_client
import pytest
from scripted_model_server import chat_answer

from hagane.observability import standard
from hagane.observability.llm import instrument_llm, uninstrument_llm

MESSAGES = [{"role": "user", "content": "hi"}]
CLASSES = [
    getattr(module, name)
    for module in (openai._base_client, anthropic._base_client)
    for name in ("SyncAPIClient", "AsyncAPIClient")
]


def functions() -> list[object]:
    return [vars(owner)["request"] for owner in CLASSES]


def run(program: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_very_original_functions_come_back(instrumented):
    before = functions()
    instrumented(["openai", "anthropic"])
    assert all(now is not then for now, then in zip(functions(), before, strict=True))
    uninstrument_llm()
    assert all(now is then for now, then in zip(functions(), before, strict=True))


def test_twice_is_once(server, instrumented, monkeypatch, model, counted):
    monkeypatch.setenv("no_proxy", "*")
    report = instrumented(["openai"])
    first = functions()
    assert instrumented(["openai"]) is report
    assert functions() == first
    server.answers = [chat_answer()]
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        client.chat.completions.create(model=model, messages=MESSAGES)
        uninstrument_llm()
        uninstrument_llm()
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert counted.calls == {"success": 1}


def test_many_threads_at_once_leave_one_layer(instrumented):
    before = functions()
    barrier = threading.Barrier(8)

    def switch() -> None:
        barrier.wait()
        for _ in range(50):
            instrument_llm(["openai", "anthropic"])

    threads = [threading.Thread(target=switch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [now.__wrapped__ for now in functions()] == before


def test_the_report_says_what_is_measured_and_what_is_awaited(instrumented):
    report = instrumented()
    assert {"openai", "anthropic"} <= set(report.active)
    assert "agentflow" in report.awaited
    assert report.failed == {}


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="'opnai' is no part"):
        instrument_llm(["opnai"])


def test_declared_models_are_there_at_zero(instrumented, model, counted, server):
    instrumented(["openai"], declare=[("openai", model)])
    from hagane.observability import get_metrics

    assert f'llm_request_total{{model="{model}",provider="openai",status="success"}} 0' in (
        get_metrics().to_prometheus()
    )


def test_a_first_call_is_an_increase_because_its_series_exist_while_it_runs(server, instrumented, model, counted):
    seen: list[str] = []

    def look(body: dict) -> tuple:
        from hagane.observability import get_metrics

        seen.append(get_metrics().to_prometheus())
        return chat_answer()

    instrumented(["openai"])
    server.answers = [look]
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert f'llm_request_total{{model="{model}",provider="127.0.0.1",status="success"}} 0' in seen[0]
    assert counted.calls == {"success": 1}


def test_nothing_is_imported_by_it_and_a_late_import_is_measured():
    program = """
import sys
from hagane.observability.llm import instrument_llm, uninstrument_llm
report = instrument_llm(["openai", "anthropic"])
assert "openai" not in sys.modules and "anthropic" not in sys.modules
assert report.awaited == ["openai", "anthropic"], report
import openai
assert report.active == ["openai"] and report.awaited == ["anthropic"], report
from openai._base_client import SyncAPIClient
import openai._base_client as home
assert home.__spec__.loader is home.__loader__
assert type(home.__loader__).__name__ == "SourceFileLoader"
request = SyncAPIClient.request
assert request.__wrapped__
uninstrument_llm()
assert SyncAPIClient.request is request.__wrapped__
import anthropic._base_client
assert not hasattr(anthropic._base_client.SyncAPIClient.request, "__wrapped__")
assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("hagane")]
print("ok")
"""
    assert run(program) == "ok"


def test_an_import_under_way_in_another_thread_is_waited_for(tmp_path):
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").write_text("")
    (tmp_path / "openai" / "_base_client.py").write_text(
        "import gate\ngate.loading.set()\nassert gate.go.wait(20)\n"
        "class SyncAPIClient:\n    def request(self): ...\n"
        "class AsyncAPIClient:\n    async def request(self): ...\n"
    )
    (tmp_path / "gate.py").write_text("import threading\nloading, go = threading.Event(), threading.Event()\n")
    program = f"""
import sys, threading
sys.path.insert(0, {str(tmp_path)!r})
import gate
from hagane.observability.llm import instrument_llm
importer = threading.Thread(target=lambda: __import__("openai._base_client"))
importer.start()
assert gate.loading.wait(20)
threading.Timer(0.2, gate.go.set).start()
report = instrument_llm(["openai"])
importer.join()
assert report.active == ["openai"], report
import openai._base_client as home
assert home.SyncAPIClient.request.__wrapped__
print("ok")
"""
    assert run(program) == "ok"


def test_a_package_of_an_unknown_make_is_reported_and_left_alone(tmp_path):
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").write_text("")
    (tmp_path / "openai" / "_base_client.py").write_text("class SyncAPIClient:\n    def request(self): ...\n")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from hagane.observability.llm import instrument_llm
report = instrument_llm(["openai"])
import openai._base_client as home
assert "AsyncAPIClient" in report.failed["openai"], report
assert not hasattr(home.SyncAPIClient.request, "__wrapped__")
print("ok")
"""
    assert run(program) == "ok"


def test_litellm_imported_late_is_measured_and_not_imported_by_it():
    program = """
import os, sys, warnings
warnings.simplefilter("ignore")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from hagane.observability.llm import instrument_llm, uninstrument_llm
report = instrument_llm()
assert "litellm" not in sys.modules and "litellm" in report.awaited
import litellm
assert {"litellm", "openai"} <= set(report.active), report
ours = [one for one in litellm.callbacks if type(one).__name__ == "HaganeLogger"]
assert len(ours) == 1
uninstrument_llm()
assert not [one for one in litellm.callbacks if type(one).__name__ == "HaganeLogger"]
print("ok")
"""
    assert run(program) == "ok"


def test_a_package_that_is_not_there_stays_an_import_error():
    program = """
from hagane.observability.llm import instrument_llm
report = instrument_llm(["agentflow"])
try:
    import agentflow.llm.llm_client
except ImportError:
    print(report.awaited)
"""
    assert run(program) == "['agentflow']"


def test_another_tools_patch_on_top_is_not_torn_out_and_ours_beneath_it_rests(
    server, instrumented, caplog, model, counted
):
    owner = openai._base_client.SyncAPIClient
    instrumented(["openai"])
    ours = vars(owner)["request"]

    def theirs(self, *args, **kwargs):
        return ours(self, *args, **kwargs)

    try:
        owner.request = theirs
        uninstrument_llm()
        assert vars(owner)["request"] is theirs
        assert "was replaced by something else" in caplog.text
        server.answers = [chat_answer()]
        with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
            client.chat.completions.create(model=model, messages=MESSAGES)
        assert counted.calls == {}
    finally:
        owner.request = ours.__wrapped__


def test_a_broken_metric_never_breaks_a_call(server, instrumented, monkeypatch, model):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no metrics today")

    for name in ("llm_call", "llm_first_token", "llm_estimated_tokens"):
        monkeypatch.setattr(standard, name, standard._quiet(broken))
    instrumented(["openai"])
    server.answers = [chat_answer()]
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        answer = client.chat.completions.create(model=model, messages=MESSAGES)
    assert answer.choices[0].message.content == "hello there"


def test_an_answer_of_an_odd_shape_is_handed_on(server, instrumented, model, counted):
    instrumented(["openai"])
    server.answers = [(200, {"id": 7, "choices": "what", "usage": {"prompt_tokens": "many"}})]
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        answer = client.chat.completions.create(model=model, messages=MESSAGES)
    assert answer.choices == "what"
    assert (counted.calls, counted.tokens) == ({"success": 1}, (0, 0))
