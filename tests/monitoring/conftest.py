"""A running stack: the example's application and the demo, watched by the example's Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import services
from model_server import ModelServer
from monitoring_stack import EXAMPLE, Stack, free_port, wait_for


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """`stack`, `models` (the model server), `demo` (the demo's address as Prometheus names it)."""
    services.address("prometheus")
    services.address("alertmanager")
    services.package("openai")
    directory: Path = tmp_path_factory.mktemp("monitoring")
    with ModelServer() as models, Stack(directory) as stack:
        stack.python("receiver", EXAMPLE / "receiver.py", "--port", 0)
        stack.start_alertmanager(stack.said("receiver", r"listening on (\S+)"))
        options = ["--port", 0, "--pause", 0.02, "--llm", models.url, "--model", "m", "--price", 2]
        stack.python("application", EXAMPLE / "application.py", *options)
        application = stack.said("application", r"metrics: http://(\S+)/metrics")
        demo = f"127.0.0.1:{free_port()}"
        known, go = f"127.0.0.1:{free_port()}", directory / "go"
        program = Path(__file__).with_name("known_pipelines.py")
        stack.python("known", program, known.partition(":")[2], directory / "known.db", go)
        stack.start_prometheus([application, demo, known])
        # After Prometheus, so that it sees the demo's series while they are 0.
        stack.python("demo", "-m", "hagane", "demo", "--serve", 3600, "--port", demo.partition(":")[2])
        stack.said("demo", r"(metrics: http)")
        wait_for("all targets", lambda: len(stack.query('up{job="hagane"} == 1')) == 3)
        # Its series were seen at 0, so that the first increase is seen too.
        wait_for("zeros", lambda: stack.query(f'pipeline_rollbacks_total{{instance="{known}"}} == 0'))
        go.touch()
        yield SimpleNamespace(stack=stack, models=models, application=application, demo=demo, known=known)
