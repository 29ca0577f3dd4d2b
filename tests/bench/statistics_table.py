"""Medians, quartiles, and lines of text that show them next to what was aimed at."""

import statistics

RUNS_FOR_A_VERDICT = 5


def median(values):
    return statistics.median(values)


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def summary(values):
    """What the JSON file keeps of a series."""
    low, high = quartiles(values)
    return {"count": len(values), "median": median(values), "lower_quartile": low, "upper_quartile": high,
            "minimum": min(values), "maximum": max(values)}


def spread_percent(values):
    """The interquartile range as a share of the median: how much of any difference is noise."""
    low, high = quartiles(values)
    return 100 * (high - low) / median(values)


def error_of_median(values):
    """The usual standard error of a median, from the interquartile range of its series."""
    low, high = quartiles(values)
    return 0.93 * (high - low) / len(values) ** 0.5


def verdict(value, aim, error, runs):
    """Two standard errors must separate the value from the aim, and an error beyond the aim proves nothing good."""
    if runs < RUNS_FOR_A_VERDICT:
        return "too few runs"
    if value - 2 * error > aim:
        return "MISSED"
    if value + 2 * error <= aim and 2 * error <= aim:
        return "met"
    return f"unclear: +-{2 * error:.2g}"


class Table:
    """Rows of strings under a title; all columns but the first are right-aligned."""

    def __init__(self, title, header):
        self.title = title
        self.rows = [header]
        self.notes = []

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def note(self, text):
        self.notes.append(text)

    def print(self):
        widths = [max(len(row[i]) for row in self.rows) for i in range(len(self.rows[0]))]
        print(f"\n{self.title}")
        for row in self.rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths)]
            cells[0] = row[0].ljust(widths[0])
            print("  " + "  ".join(cells).rstrip())
        for note in self.notes:
            print(f"  {note}")


def milliseconds(nanoseconds, digits=2):
    return f"{nanoseconds / 1e6:.{digits}f}"


def mib(kibibytes):
    return "-" if kibibytes is None else f"{kibibytes / 1024:.1f}"
