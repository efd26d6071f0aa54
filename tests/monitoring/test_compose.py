"""The compose files: what they mount exists and is what the daemons of the tests run."""

from __future__ import annotations

import subprocess

import pytest
import services
import yaml
from monitoring_stack import EXAMPLE, lay_out, mounts, shortened
from shipped_files import DATA

SERVICES = {"application", "receiver", "prometheus", "alertmanager", "grafana"}


def compose_config(*files: str, **environment: str) -> dict:
    command = [services.program("docker-compose"), *(f"--file={file}" for file in files), "config"]
    said = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=True, env=environment)
    assert said.stderr == ""
    return yaml.safe_load(said.stdout)


def test_compose_accepts_the_file():
    config = compose_config("docker-compose.yml", PATH="/usr/bin:/bin")
    assert config["services"].keys() == SERVICES
    for name in SERVICES:
        assert all(str(port).startswith("127.0.0.1:") for port in config["services"][name].get("ports", ()))


def test_the_variant_for_the_host_changes_the_target_and_nothing_else():
    plain = compose_config("docker-compose.yml", PATH="/usr/bin:/bin")["services"]
    variant = compose_config("docker-compose.yml", "docker-compose.host.yml", PATH="/usr/bin:/bin")["services"]
    assert variant["application"].pop("profiles") == ["container-application"]
    assert variant["prometheus"].pop("extra_hosts")
    targets = [volume for volume in variant["prometheus"]["volumes"] if "/etc/prometheus/targets:" in volume]
    assert [volume.rpartition("/targets-host:")[2] for volume in targets] == ["/etc/prometheus/targets:ro"]
    others = {volume for volume in plain["prometheus"].pop("volumes") if "/etc/prometheus/targets:" not in volume}
    assert set(variant["prometheus"].pop("volumes")) - set(targets) == others
    assert in_order(variant) == in_order(plain)


def in_order(services: dict) -> dict:
    """Compose gives the mounts of merged files in another order."""
    return {name: {**service, "volumes": sorted(service.get("volumes", ()))} for name, service in services.items()}


def test_the_language_of_the_alerts_can_be_chosen():
    config = compose_config("docker-compose.yml", PATH="/usr/bin:/bin", ALERT_LANGUAGE="ja")
    assert any("/rules/ja/alerts.yml:" in volume for volume in config["services"]["prometheus"]["volumes"])


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_everything_that_is_mounted_exists(service):
    assert mounts(service)
    assert [path for path in mounts(service).values() if not path.exists()] == []


def test_the_packaged_rules_and_dashboard_are_what_is_mounted():
    mounted = mounts("prometheus")
    assert mounted["/etc/prometheus/rules/alerts.yml"] == DATA / "rules/en/alerts.yml"
    assert mounted["/etc/prometheus/rules/recording.yml"] == DATA / "rules/recording.yml"
    assert mounts("grafana")["/var/lib/grafana/dashboards"] == DATA / "dashboards"


def test_prometheus_scrapes_every_15_seconds_and_keeps_15_days():
    services = yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text())["services"]
    assert "--storage.tsdb.retention.time=15d" in services["prometheus"]["command"]
    config = yaml.safe_load((EXAMPLE / "prometheus/prometheus.yml").read_text())
    assert config["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}


def test_grafana_is_provisioned_with_the_prometheus_of_the_file_and_the_dashboards_folder():
    source = yaml.safe_load((EXAMPLE / "grafana/datasources/prometheus.yml").read_text())["datasources"][0]
    assert (source["type"], source["url"], source["jsonData"]["timeInterval"]) == (
        "prometheus",
        "http://prometheus:9090",
        "15s",
    )
    provider = yaml.safe_load((EXAMPLE / "grafana/dashboards/hagane.yml").read_text())["providers"][0]
    assert provider["options"]["path"] in mounts("grafana")


@pytest.mark.needs("prometheus")
def test_promtool_accepts_the_configuration_with_its_rules(tmp_path):
    lay_out("prometheus", tmp_path)
    config = tmp_path / "etc/prometheus/prometheus.yml"
    said = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=True).stdout
    assert said.count("SUCCESS: 7 rules found") == 2


@pytest.mark.needs("alertmanager")
def test_amtool_accepts_the_configuration(tmp_path):
    lay_out("alertmanager", tmp_path)
    config = tmp_path / "etc/alertmanager/alertmanager.yml"
    subprocess.run(["amtool", "check-config", config], capture_output=True, check=True)


def test_the_shortened_copy_differs_in_lengths_of_time_only():
    long = "rate(a_total[5m]) and increase(b[1h])\nfor: 15m\ngroup_wait: 30s\nscrape_interval: 15s\nratio_rate5m > 30"
    short = "rate(a_total[10s]) and increase(b[30s])\nfor: 2s\ngroup_wait: 1s\nscrape_interval: 1s\nratio_rate5m > 30"
    assert shortened(long) == short
