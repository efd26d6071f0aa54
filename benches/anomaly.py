"""Anomaly detection beside what is usually written instead: MAD > 3.5 and z > 3, on the same numbers.

usage: python benches/anomaly.py [--effort N]

Shares of honest outputs that are reported on seven distributions, shares of faults that are found, each with its
standard error, and what judging costs. Seeds are fixed: two runs print the same shares.
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

# Accepted outputs, fields, baselines and honest outputs for each: as many as make the standard error of the share of
# one field after 200 accepted outputs less than 0.05 %. Outputs that are held against one baseline are not independent.
HONEST = ((20, 1, 2000, 20), (100, 1, 1500, 60), (200, 1, 1500, 60), (200, 20, 150, 60))
# Fields and baselines: a share of 90 % has a standard error of 1.5 % at most.
FAULTS = ((1, 1000), (5, 600), (20, 400))
Draw = Callable[[random.Random], float]
Rule = Callable[[float], bool]


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


def mad(known: list[float]) -> Rule:
    """Iglewicz and Hoaglin's rule as it is mostly written."""
    median = statistics.median(known)
    deviation = statistics.median(abs(number - median) for number in known)
    return lambda value: 0.6745 * abs(value - median) > 3.5 * deviation if deviation else value != median


def z_score(known: list[float]) -> Rule:
    mean, deviation = statistics.fmean(known), statistics.stdev(known)
    return lambda value: abs(value - mean) > 3 * deviation


def taught(rows: list[list[float]]) -> AnomalyDetector:
    detector = AnomalyDetector()
    for row in rows:
        detector.learn("stage", named(row))
    return detector


def named(row: list[float]) -> dict[str, float]:
    return {f"x{place}": value for place, value in enumerate(row)}


def false_alarms(next_number: Draw, known: int, fields: int, histories: int, candidates: int) -> list[list[float]]:
    """Shares of outputs reported, one for each history: ours, ours that act, MAD > 3.5, z > 3 in any field."""
    draw, shares = random.Random(20251123), []
    for _ in range(histories):
        rows = [[next_number(draw) for _ in range(fields)] for _ in range(known)]
        detector, columns = taught(rows), list(zip(*rows, strict=True))
        naive = [[rule(list(column)) for column in columns] for rule in (mad, z_score)]
        totals = [0, 0, 0, 0]
        for _ in range(candidates):
            row = [next_number(draw) for _ in range(fields)]
            report = detector.judge("stage", named(row))
            said = [any(rule(value) for rule, value in zip(rules, row, strict=True)) for rules in naive]
            found = (bool(report.issues or report.warnings), bool(report.issues), *said)
            totals = [total + one for total, one in zip(totals, found, strict=True)]
        shares.append([total / candidates for total in totals])
    return [list(column) for column in zip(*shares, strict=True)]


def detection(known: int, fields: int, contaminated: float, histories: int) -> list[list[float]]:
    """Whether a value ten deviations off is found, one for each history: ours, MAD > 3.5, z > 3."""
    draw, found = random.Random(11), []
    for _ in range(histories):
        rows = [
            [10.0 if draw.random() < contaminated else draw.gauss(0, 1) for _ in range(fields)] for _ in range(known)
        ]
        candidate = [10.0, *(draw.gauss(0, 1) for _ in range(fields - 1))]
        report = taught(rows).judge("stage", named(candidate))
        ours = any(issue.path == "x0" for issue in (*report.issues, *report.warnings))
        first = [row[0] for row in rows]
        found.append([float(ours), float(mad(first)(10.0)), float(z_score(first)(10.0))])
    return [list(column) for column in zip(*found, strict=True)]


def percent(shares: list[float]) -> str:
    return f"{statistics.fmean(shares) * 100:.2f} %"


def error(shares: list[float]) -> str:
    """The standard error of the mean over histories, which are independent of each other."""
    return f"{statistics.stdev(shares) / len(shares) ** 0.5 * 100:.3f} %"


def show_false_alarms(effort: float) -> None:
    for known, fields, histories, candidates in HONEST:
        rounds = max(round(histories * effort), 2)
        print(f"\nHonest outputs with {fields} fields reported after {known} accepted ones, {rounds} histories of")
        print(f"{candidates} outputs each:\n")
        print("| distribution | hagane | standard error | of these reason to act | MAD > 3.5 | z > 3 |")
        print("|---|---|---|---|---|---|")
        for name, next_number in SEVEN.items():
            ours, acting, *naive = false_alarms(next_number, known, fields, rounds, candidates)
            print(f"| {name} | " + " | ".join([percent(ours), error(ours), *map(percent, (acting, *naive))]) + " |")


def show_detection(effort: float) -> None:
    print("\nA value ten deviations off found, normal data:\n")
    print("| known | fields | faults among the known | histories | hagane | standard error | MAD > 3.5 | z > 3 |")
    print("|---|---|---|---|---|---|---|---|")
    for contaminated, known, (fields, histories) in itertools.product((0.0, 0.05), (200, 512), FAULTS):
        rounds = max(round(histories * effort), 2)
        ours, *naive = detection(known, fields, contaminated, rounds)
        row = " | ".join([percent(ours), error(ours), *map(percent, naive)])
        print(f"| {known} | {fields} | {contaminated * 100:.0f} % | {rounds} | {row} |")


def show_costs() -> None:
    print("\nJudging one number, CPU time:\n\n| known | hagane | MAD in Python | ratio |\n|---|---|---|---|")
    draw = random.Random(3)
    for known in (200, 4096):
        numbers = [draw.gauss(0, 1) for _ in range(known)]
        names = {"detector": taught([[n] for n in numbers]), "mad": mad, "numbers": numbers, "output": {"x0": 0.5}}
        ours, theirs = alternately("detector.judge('stage', output)", "mad(numbers)(0.5)", names, 20)
        print(f"| {known} | {ours * 1e6:.1f} us | {theirs * 1e6:.1f} us | {theirs / ours:.1f}x |")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--effort", type=float, default=1.0, metavar="N", help="so many times as many histories")
    effort = arguments.parse_args().effort
    show_false_alarms(effort)
    show_detection(effort)
    show_costs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
