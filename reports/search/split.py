"""A list of images with more of them to calibrate and search by, and fewer held out.

    python reports/search/split.py imagenet_sample/labels.csv 128 split.csv

The first so many images that the list has for evaluation are for calibration in the new one.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path


def moved(rows, count):
    """*rows*, those for calibration first, with *count* more of them than there were."""
    own = [row for row in rows if row["split"] == "calibration"]
    rest = [row for row in rows if row["split"] != "calibration"]
    return [{**row, "split": "calibration"} for row in (*own, *rest[:count])] + rest[count:]


def main():
    source, count, to = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    folder = source.parent.resolve()
    rows = [{**row, "file": str(folder / row["file"])} for row in moved(rows, count)]
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
