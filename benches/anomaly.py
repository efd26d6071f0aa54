"""Anomaly detection beside what is usually written instead: MAD > 3.5 and z > 3, on the same numbers.

usage: python benches/anomaly.py [--histories N]

Shares of honest outputs that are reported on seven distributions, shares of faults that are found, and what judging
costs. Seeds are fixed: two runs print the same shares.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
from collections.abc import Callable

from measures.clock import alternately

from hagane.validation import AnomalyDetector

CANDIDATES = 40
Draw = Callable[[random.Random], float]
Rule = Callable[[list[float], float], bool]


def counts(draw: random.Random) -> float:
    count, product = 0, draw.random()
    while product > 0.049787:  # e to the minus 3
        count, product = count + 1, product * draw.random()
    return count


SEVEN: dict[str, Draw] = {
    "normal": lambda draw: draw.gauss(0, 1),
    "lognormal": lambda draw: draw.lognormvariate(0, 1),
    "bimodal, 85 % and 15 %": lambda draw: draw.gauss(0.2 if draw.random() < 0.85 else 0.9, 0.05),
    "near-constant, 85 % are 1": lambda draw: 1.0 if draw.random() < 0.85 else draw.uniform(0.8, 1),
    "uniform": lambda draw: draw.random(),
    "Student's t, 3 degrees": lambda draw: draw.gauss(0, 1) / (draw.gammavariate(1.5, 2) / 3) ** 0.5,
    "Poisson counts, mean 3": counts,
}


def mad(known: list[float], value: float) -> bool:
    """Iglewicz and Hoaglin's rule as it is mostly written."""
    median = statistics.median(known)
    deviation = statistics.median(abs(number - median) for number in known)
    distance = 0.6745 * abs(value - median)
    return distance > 3.5 * deviation if deviation else distance > 0


def z_score(known: list[float], value: float) -> bool:
    deviation = statistics.stdev(known)
    return abs(value - statistics.fmean(known)) > 3 * deviation


def taught(rows: list[list[float]]) -> AnomalyDetector:
    detector = AnomalyDetector()
    for row in rows:
        detector.learn("stage", named(row))
    return detector


def named(row: list[float]) -> dict[str, float]:
    return {f"x{place}": value for place, value in enumerate(row)}


def false_alarms(next_number: Draw, histories: int, known: int, fields: int) -> list[float]:
    """Shares of outputs reported: ours, ours as a reason to act, MAD > 3.5 in any field, z > 3 in any field."""
    draw, totals = random.Random(20251123), [0, 0, 0, 0]
    for _ in range(histories):
        rows = [[next_number(draw) for _ in range(fields)] for _ in range(known)]
        columns, detector = [list(column) for column in zip(*rows, strict=True)], taught(rows)
        for _ in range(CANDIDATES):
            row = [next_number(draw) for _ in range(fields)]
            report = detector.judge("stage", named(row))
            naive = (any(map(rule, columns, row)) for rule in (mad, z_score))
            said = (report.issues or report.warnings, report.issues, *naive)
            totals = [total + bool(one) for total, one in zip(totals, said, strict=True)]
    return [total / (histories * CANDIDATES) for total in totals]


def detection(known: int, fields: int, contaminated: float, rounds: int) -> list[float]:
    """Shares of values ten deviations off that are found: ours, MAD > 3.5, z > 3."""
    draw, totals = random.Random(11), [0, 0, 0]
    for _ in range(rounds):
        rows = [
            [10.0 if draw.random() < contaminated else draw.gauss(0, 1) for _ in range(fields)] for _ in range(known)
        ]
        candidate = [10.0, *(draw.gauss(0, 1) for _ in range(fields - 1))]
        report = taught(rows).judge("stage", named(candidate))
        first = [row[0] for row in rows]
        ours = any(issue.path == "x0" for issue in (*report.issues, *report.warnings))
        totals = [
            total + one for total, one in zip(totals, (ours, mad(first, 10.0), z_score(first, 10.0)), strict=True)
        ]
    return [total / rounds for total in totals]


def percent(share: float) -> str:
    return f"{share * 100:.2f} %"


def show_false_alarms(histories: int) -> None:
    for known, fields in ((20, 1), (200, 1), (200, 20)):
        rounds = max(histories // fields, 1)
        print(f"\nHonest outputs with {fields} fields reported after {known} accepted ones, {rounds} histories:\n")
        print("| distribution | hagane | of these reason to act | MAD > 3.5 | z > 3 |\n|---|---|---|---|---|")
        for name, next_number in SEVEN.items():
            print(f"| {name} | " + " | ".join(map(percent, false_alarms(next_number, rounds, known, fields))) + " |")


def show_detection(histories: int) -> None:
    print("\nA value ten deviations off found, normal data:\n")
    print("| known | fields | faults among the known | histories | hagane | MAD > 3.5 | z > 3 |")
    print("|---|---|---|---|---|---|---|")
    for contaminated, known, fields in itertools.product((0.0, 0.05), (200, 512), (1, 5, 20)):
        rounds = max(histories // fields, 1)
        row = " | ".join(map(percent, detection(known, fields, contaminated, rounds)))
        print(f"| {known} | {fields} | {contaminated * 100:.0f} % | {rounds} | {row} |")


def show_costs() -> None:
    print("\nJudging one number, CPU time:\n\n| known | hagane | MAD in Python | ratio |\n|---|---|---|---|")
    draw = random.Random(3)
    for known in (200, 4096):
        numbers = [draw.gauss(0, 1) for _ in range(known)]
        names = {"detector": taught([[n] for n in numbers]), "mad": mad, "numbers": numbers, "output": {"x0": 0.5}}
        ours, theirs = alternately("detector.judge('stage', output)", "mad(numbers, 0.5)", names, 20)
        print(f"| {known} | {ours * 1e6:.1f} us | {theirs * 1e6:.1f} us | {theirs / ours:.1f}x |")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--histories", type=int, default=200, metavar="N", help="how many for each share")
    histories = arguments.parse_args().histories
    show_false_alarms(histories)
    show_detection(histories)
    show_costs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
