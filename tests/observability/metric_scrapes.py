"""Scrapes are read with prometheus_client's parser, which knows nothing of hagane."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """What a text exposition says, looked up by sample name and labels."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """As Prometheus finds it: an empty label is one that is not there."""
        wanted = name, _present(labels)
        found = [sample.value for sample in self.samples if (sample.name, _present(sample.labels)) == wanted]
        assert len(found) < 2, f"{name}{labels} is written {len(found)} times"
        return found[0] if found else None

    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}


def _present(labels: dict[str, str]) -> dict[str, str]:
    return {label: value for label, value in labels.items() if value}
