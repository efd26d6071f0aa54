"""What a real Prometheus makes of it: each format, exemplars, native histograms, token and TLS."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import trustme
from private_prometheus import eventually, prometheus

from hagane.observability import serve_metrics

pytestmark = pytest.mark.needs("prometheus")

HARD_VALUES = ['"', "\\", "\n", '\\n"', "日本語", ' # {x="y"} 1']


def fill(collector):
    hits = collector.counter("hits_total", 'Hits of \\ and\n"日本".', ["path"])
    for amount, value in enumerate(HARD_VALUES, 1):
        hits.inc(amount, {"path": value}, exemplar={"trace_id": f"鋼{amount}"})
    collector.gauge("depth", "", []).set(float("-inf"))
    seconds = collector.histogram("wait_seconds", "", ["agent"], buckets=(1, 30), native=True)
    for value in (0.5, 0.5, 29, 0, 1e9):
        seconds.observe(value, {"agent": "a"})


def job(server, more=""):
    return f"{{job_name: x, {more} static_configs: [{{targets: ['{server.host}:{server.port}']}}]}}"


@pytest.mark.parametrize(
    ("features", "used"), [("exemplar-storage", "openmetrics"), ("exemplar-storage,native-histograms", "protobuf")]
)
def test_every_value_arrives_in_the_format_that_prometheus_asks_for(collector, tmp_path, features, used):
    fill(collector)
    with (
        serve_metrics(collector=collector) as server,
        prometheus(tmp_path, job(server), features=features) as started,
    ):
        assert started.value(f'hagane_exporter_scrapes_total{{status="200",format="{used}"}} > 1') > 1
        arrived = {sample["metric"]["path"]: float(sample["value"][1]) for sample in started.vector("hits_total")}
        assert arrived == {value: amount for amount, value in enumerate(HARD_VALUES, 1)}
        assert started.value("depth") == float("-inf")
        assert started.value("min_over_time(up[1m])") == 1
        metadata = started.ask("metadata")
        name = "hits_total" if "hits_total" in metadata else "hits"
        assert (metadata[name][0]["type"], metadata[name][0]["help"]) == ("counter", 'Hits of \\ and\n"日本".')
        found = started.ask("query_exemplars", query="hits_total", start="0", end="4e9")
        traces = {series["seriesLabels"]["path"]: series["exemplars"][0]["labels"]["trace_id"] for series in found}
        assert traces == {value: f"鋼{amount}" for amount, value in enumerate(HARD_VALUES, 1)}


def test_a_native_histogram_arrives_with_its_resolution(collector, tmp_path):
    fill(collector)
    with (
        serve_metrics(collector=collector) as server,
        prometheus(tmp_path, job(server), features="native-histograms") as started,
    ):
        assert started.value("histogram_count(wait_seconds)") == 5
        assert started.value("histogram_sum(wait_seconds)") == 1e9 + 30
        # Eight buckets per power of two: far closer than the classic bounds 1 and 30 could say.
        assert 0.45 < started.value("histogram_quantile(0.5, wait_seconds)") <= 0.5
        assert started.value("min_over_time(up[1m])") == 1


def test_classic_buckets_arrive_without_native_histograms(collector, tmp_path):
    fill(collector)
    with serve_metrics(collector=collector) as server, prometheus(tmp_path, job(server), features="") as started:
        assert started.value('wait_seconds_bucket{le="30.0"}') == 4
        assert started.value("wait_seconds_count") == 5


def test_prometheus_gets_in_with_the_token_over_tls(collector, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    fill(collector)
    with serve_metrics(
        collector=collector, bearer_token="s3cret", certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem"
    ) as server:
        trusted = f"scheme: https, tls_config: {{ca_file: {tmp_path}/ca.pem}},"
        good = job(server, f"{trusted} authorization: {{credentials: s3cret}},")
        bad = job(server, f"{trusted} authorization: {{credentials: wrong}},").replace("job_name: x", "job_name: y")
        with prometheus(tmp_path, f"{good}, {bad}") as started:
            assert started.value('hits_total{job="x",path="日本語"}') == 5
            assert started.value('up{job="y"}') == 0
            targets = {
                target["labels"]["job"]: target["lastError"] for target in started.ask("targets")["activeTargets"]
            }
            assert "401" in targets["y"]
            assert eventually(
                lambda: started.value('hagane_exporter_scrapes_total{job="x",status="401"}') > 0, "counting refusals"
            )


def test_promtool_has_nothing_to_say_against_the_standard_metrics():
    # A process of its own: other tests make metrics without HELP, of which promtool would complain.
    program = (
        "import urllib.request; from hagane.observability import serve_metrics;"
        "print(urllib.request.urlopen(serve_metrics().url).read().decode(), end='')"
    )
    text = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    assert b"agent_execution_total" in text
    assert b"hagane_exporter_scrapes_total" in text
    checked = subprocess.run(
        [shutil.which("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60
    )
    said = (checked.stdout + checked.stderr).decode()
    assert checked.returncode == 0, said
