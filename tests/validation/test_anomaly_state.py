from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hagane.errors import StoreCorrupt, StoreVersionError
from hagane.validation import AnomalyDetector, StageValidator, ValidationConfig

FAR_OFF = {"mass": 9000.0}


def taught(times: int = 200) -> AnomalyDetector:
    detector, draw = AnomalyDetector(), random.Random(5)
    for _ in range(times):
        detector.learn("a", {"mass": draw.gauss(50, 3)})
    return detector


def test_a_loaded_baseline_judges_as_the_dumped_one() -> None:
    before, after = taught(), AnomalyDetector()
    assert after.judge("a", FAR_OFF).issues == ()
    after.load("a", before.dump("a"))
    assert after.judge("a", FAR_OFF) == before.judge("a", FAR_OFF)
    assert len(after.judge("a", FAR_OFF).issues) == 1
    after.learn("a", {"mass": 51.0})
    assert after.outputs("a") == 201


def test_what_has_to_be_saved_is_known() -> None:
    detector = taught(3)
    detector.learn("b", {})
    assert detector.changed() == ["a", "b"]
    detector.dump("a")
    assert detector.changed() == ["b"]
    detector.load("b", detector.dump("a"))
    assert detector.changed() == []
    assert detector.knows("b")


def test_a_full_baseline_takes_eight_bytes_a_number() -> None:
    detector = AnomalyDetector()
    for number in range(5000):
        detector.learn("a", {"mass": number * 7919 % 1000 / 7})
    assert 4096 * 8 < len(detector.dump("a")) < 4096 * 8 + 300


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda data: b"", ValueError, "no baseline"),
        (lambda data: b"\x89PNG" + data, ValueError, "no baseline"),
        (lambda data: data[:-1], StoreCorrupt, "damaged"),
        (lambda data: data + b"\0", StoreCorrupt, "damaged"),
        (lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], StoreCorrupt, "checksum"),
        (lambda data: data[:4] + b"\x02\0" + data[6:], StoreVersionError, "format 2.*upgrade hagane"),
    ],
)
def test_bytes_that_are_no_baseline_are_refused_and_change_nothing(spoil, error, message) -> None:  # type: ignore[no-untyped-def]
    detector = taught()
    data = detector.dump("a")
    with pytest.raises(error, match=message):
        detector.load("a", spoil(data))
    assert detector.dump("a") == data


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, StoreCorrupt, StoreVersionError)):
        AnomalyDetector().load("a", data)
    with pytest.raises(StoreCorrupt):
        AnomalyDetector().load("a", b"hgab\x01\0" + data)


def test_baselines_of_other_versions_have_other_keys() -> None:
    keys = {StageValidator(ValidationConfig(baseline_version=version)).baseline_key("a") for version in ("1", "2")}
    assert len(keys) == 2
