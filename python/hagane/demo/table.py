"""Reads and validates a CSV file: encoding, delimiter, shape, and which columns hold numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024
DELIMITERS = (",", ";", "\t", "|")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
LARGEST = 1e290
FIELD_LIMIT = 1024 * 1024
NAME_LIMIT = 1000


class InputError(ValueError):
    """The file cannot be analysed; the message is one line for the user."""


@dataclass(frozen=True)
class Table:
    """A validated table. `rows` hold one str per column; `numeric` and `text` name the columns of each type."""

    columns: list[str]
    rows: list[list[str]]
    numeric: list[str]
    text: list[str]

    def group_by(self) -> str:
        """Pick the text column with the fewest values, at least two of them; the first one where none has two."""
        values = {name: len({row[self.columns.index(name)] for row in self.rows}) for name in self.text}
        return min((name for name in self.text if values[name] > 1), key=values.__getitem__, default=self.text[0])

    def as_csv(self, count: int) -> bytes:
        """Write the first `count` rows as comma-separated UTF-8; missing numbers become empty cells."""
        numeric = [name in self.numeric for name in self.columns]
        buffer = io.StringIO(newline="")
        # Quoting everything keeps a one-column table with an empty cell apart from an empty line.
        writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows[:count]:
            writer.writerow(
                [_number_cell(cell) if is_number else cell for cell, is_number in zip(row, numeric, strict=True)]
            )
        return buffer.getvalue().encode("utf-8")


def read_file(path: Path) -> tuple[bytes, str]:
    """Read the file's content and its SHA-256. Raises InputError where it is missing, unreadable or too large.

    Only a regular file will do: a pipe could be read once, and the stages and gates each read it for themselves.
    """
    try:
        _check_regular(path, path.stat())  # before opening, which alone can do something to a device
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            _check_regular(path, os.fstat(descriptor))
            data = file.read(MAX_BYTES + 1) or b""
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise _too_large(path, f"more than {MAX_BYTES:,}")
    return data, hashlib.sha256(data).hexdigest()


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a directory: give the path of a CSV file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is not a regular file: save it to a file first")
    if status.st_size > MAX_BYTES:
        raise _too_large(path, f"{status.st_size:,}")


def _too_large(path: Path, size: str) -> InputError:
    return InputError(f"{path} has {size} bytes: the demonstration takes at most {MAX_BYTES:,}")


def parse_table(data: bytes, name: str) -> Table:
    """Validate the content of a CSV file. Raises InputError with the reason, the place and what to do."""
    text = _decode(data, name)
    records = _records(text, name)
    header, rows = records[0][1], records[1:]
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{name}, line {line}: {len(row)} fields, the header has {len(header)}; correct the row or its quotes"
            )
    columns = _column_names(header, name)
    cells = [row for _, row in rows]
    numeric = [column for index, column in enumerate(columns) if _is_numeric([row[index] for row in cells])]
    words = [
        column
        for index, column in enumerate(columns)
        if column not in numeric and any(row[index].strip().casefold() not in MISSING for row in cells)
    ]
    if not numeric:
        raise InputError(
            f"{name} has no numeric column: at least one column must hold only numbers (or missing values)"
        )
    if not words:
        raise InputError(f"{name} has no text column: at least one column must hold words to group by")
    return Table(columns, cells, numeric, words)


def to_number(cell: str) -> float | None:
    """Parse a number whose sums stay finite; None for anything else."""
    if "_" in cell:  # Python's `1_000` is not a number in a table
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < LARGEST else None  # NaN compares false


def _decode(data: bytes, name: str) -> str:
    if not data.strip(b" \t\r\n\xef\xbb\xbf"):
        raise InputError(f"{name} is empty: give a CSV file with a header and at least one row")
    if b"\0" in data:
        raise InputError(f"{name} is a binary file (or UTF-16), not CSV: save it as CSV in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start}): save it as CSV in UTF-8") from error


def _records(text: str, name: str) -> list[tuple[int, list[str]]]:
    """Return (line number, fields) of each record that is not blank, header first."""
    delimiter = _delimiter(text)
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        records = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV ({error}); check the quotes there") from error
    if len(records) < 2:
        raise InputError(f"{name} has a header and no rows: nothing to analyse")
    return records


def _delimiter(text: str) -> str:
    """Choose the delimiter that cuts the first records into the most, equally many fields."""
    head = text[:65536]

    def score(delimiter: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row, _ in zip(reader, range(50), strict=False) if row]
        except csv.Error:
            return False, 0
        if len(head) < len(text) and len(widths) < 50:
            widths = widths[:-1]  # the last record may be cut off
        return bool(widths) and widths[0] > 1 and len(set(widths)) == 1, widths[0] if widths else 0

    return max(DELIMITERS, key=score)


def _column_names(header: list[str], file: str) -> list[str]:
    """Name columns without a name by their place, and tell columns of one name apart."""
    names: dict[str, None] = {}
    copies: dict[str, int] = {}
    for place, cell in enumerate(header, start=1):
        base = cell.strip() or f"column {place}"
        if len(base) > NAME_LIMIT:
            raise InputError(
                f"{file}, column {place}: its name has {len(base):,} characters, at most {NAME_LIMIT:,} can be; "
                "shorten it, or check the quotes of the header"
            )
        name, copy = base, copies.get(base, 2)
        while name in names:
            name, copy = f"{base} ({copy})", copy + 1
        copies[base] = copy
        names[name] = None
    return list(names)


def _is_numeric(cells: list[str]) -> bool:
    present = [cell for cell in cells if cell.strip().casefold() not in MISSING]
    return bool(present) and all(to_number(cell) is not None for cell in present)


def _number_cell(cell: str) -> str:
    return "" if cell.strip().casefold() in MISSING else cell.strip()
