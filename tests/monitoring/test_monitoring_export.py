"""`hagane dashboards export` and `hagane alerts export`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from shipped_files import DATA

from hagane.cli import main
from hagane.observability.monitoring import export_alerts, export_dashboards


def test_dashboards_are_written_as_they_are_packaged(tmp_path, capsys):
    assert main(["dashboards", "export", str(tmp_path / "new" / "directory")]) == 0
    written = tmp_path / "new" / "directory" / "hagane.json"
    assert capsys.readouterr().out == f"written: {written}\n"
    assert written.read_bytes() == (DATA / "dashboards/hagane.json").read_bytes()
    assert json.loads(written.read_text(encoding="utf-8"))["title"] == "hagane"


@pytest.mark.parametrize(("options", "language"), [([], "en"), (["--lang", "en"], "en"), (["--lang", "ja"], "ja")])
def test_alerts_are_written_in_the_chosen_language_with_rules_and_tests(tmp_path, options, language):
    assert main(["alerts", "export", str(tmp_path), *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alerts.test.yml", "alerts.yml", "recording.yml"]
    assert (tmp_path / "alerts.yml").read_bytes() == (DATA / f"rules/{language}/alerts.yml").read_bytes()


def test_the_job_of_the_alerts_can_be_chosen(tmp_path):
    export_alerts(tmp_path, job="my/agents:1")
    text = (tmp_path / "alerts.yml").read_text()
    assert 'absent(up{job="my/agents:1"})' in text
    assert 'job="hagane"' not in text + (tmp_path / "alerts.test.yml").read_text()


@pytest.mark.needs("prometheus")
def test_the_unit_tests_hold_for_another_job(tmp_path):
    export_alerts(tmp_path, job="others")
    subprocess.run(["promtool", "test", "rules", str(tmp_path / "alerts.test.yml")], capture_output=True, check=True)


@pytest.mark.parametrize("job", ["", 'a"b', "a'b", "a\\b", "a\nb", "a b"])
def test_a_job_that_would_break_the_files_is_refused(tmp_path, job, capsys):
    assert main(["alerts", "export", str(tmp_path), "--job", job]) == 2
    assert "use letters, digits and _ . : / -" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_language_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there are en and ja"):
        export_alerts(tmp_path, language="de")
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "export", str(tmp_path), "--lang", "de"])
    assert ended.value.code == 2


def test_files_that_were_changed_are_left_alone_unless_told_otherwise(tmp_path, capsys):
    export_alerts(tmp_path)
    mine = tmp_path / "alerts.yml"
    mine.write_text("mine")
    (tmp_path / "recording.yml").unlink()
    assert main(["alerts", "export", str(tmp_path)]) == 2
    assert f"{tmp_path}: alerts.yml exists with other contents" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert not (tmp_path / "recording.yml").exists()
    assert main(["alerts", "export", str(tmp_path), "--force"]) == 0
    assert mine.read_bytes() == (DATA / "rules/en/alerts.yml").read_bytes()


def test_exporting_twice_changes_nothing(tmp_path):
    assert export_dashboards(tmp_path) == export_dashboards(tmp_path)


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["dashboards", "export", str(tmp_path / "file" / "below")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hagane dashboards export: ")
    assert error.count("\n") == 1


def test_the_command_costs_no_heavy_import():
    program = "import sys, hagane.cli; print({'asyncio', 'yaml', 'ssl', 'json'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
