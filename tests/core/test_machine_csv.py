"""Machine tables as CSV: what is written is read, and what is wrong is named by row and column."""

import csv
import io as text_io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.machine_csv import COLUMNS, export_table, import_table

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"),
                              exclude_characters=";="), min_size=1, max_size=12)
TIMINGS = st.builds(Timing, operation=WORDS, shape=WORDS, scheme=WORDS, batch=st.integers(1, 64),
                    threads=st.integers(1, 8),
                    milliseconds=st.floats(0, 1e9, allow_nan=False))
TABLES = st.builds(
    MachineTable, device=WORDS, provider=WORDS, cpu=WORDS, origin=st.just("imported"),
    versions=st.dictionaries(WORDS, WORDS, max_size=3), packed=st.booleans(),
    fusions=st.lists(WORDS, max_size=2).map(tuple),
    rows=st.lists(TIMINGS, min_size=1, max_size=6, unique_by=lambda row: row.key).map(
        lambda rows: tuple(sorted(rows, key=lambda row: row.key))))
GOOD = {"operation": "linear", "shape": "1x4*8x4>1x8", "scheme": "W4s/channel", "batch": "1",
        "threads": "1", "milliseconds": "0.5", "provider": "float", "device": "box",
        "cpu": "a, cpu", "versions": "torch=2", "fusions": "", "packed": "yes"}


@pytest.fixture
def written(tmp_path):
    """A CSV file of the given rows, each a change of a good one."""

    def write(*changes, heading=COLUMNS):
        text = text_io.StringIO()
        writer = csv.writer(text)
        writer.writerow(heading)
        for change in changes:
            row = {**GOOD, **change}
            writer.writerow([row.get(name, "?") for name in heading])
        path = tmp_path / "times.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        return path

    return write


@given(table=TABLES)
def test_what_is_written_is_read_to_the_bit(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    export_table(table, path)
    assert import_table(path) == table
    first = path.read_bytes()
    export_table(import_table(path), path)
    assert path.read_bytes() == first


def test_a_table_may_be_renamed(written):
    assert import_table(written({}), "mine").device == "mine"


@pytest.mark.parametrize(("change", "column", "said"), [
    ({"milliseconds": "-0.1"}, "milliseconds", "-0.1"),
    ({"milliseconds": "nan"}, "milliseconds", "nan"),
    ({"milliseconds": "inf"}, "milliseconds", "inf"),
    ({"milliseconds": "fast"}, "milliseconds", "fast"),
    ({"milliseconds": ""}, "milliseconds", "no time"),
    ({"batch": "0", "scheme": "x"}, "batch", "0"),
    ({"batch": "1.5", "scheme": "x"}, "batch", "1.5"),
    ({"threads": "-1", "scheme": "x"}, "threads", "-1"),
    ({"operation": " "}, "operation", "empty"),
    ({"shape": ""}, "shape", "empty"),
    ({"scheme": "x", "device": "other"}, "device", "other"),
    ({"scheme": "x", "provider": "other"}, "provider", "other"),
    ({"scheme": "x", "cpu": "other"}, "cpu", "other"),
    ({"scheme": "x", "packed": "maybe"}, "packed", "maybe"),
    ({}, "milliseconds", "a second time for linear"),
])
def test_what_is_wrong_is_named_by_file_row_and_column(written, change, column, said):
    path = written({}, change)
    with pytest.raises(BadInput) as caught:
        import_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, row 2, column {column}: ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(("heading", "said"), [
    (COLUMNS[1:], "no column operation"),
    ((*COLUMNS, "power"), "unknown column power"),
    ((*COLUMNS, "cpu"), "a column twice"),
])
def test_other_columns_are_refused(written, heading, said):
    with pytest.raises(BadInput, match=f"row 0 .the heading.: .*{said}"):
        import_table(written({}, heading=heading))


def test_columns_may_stand_in_any_order(written):
    assert import_table(written({}, heading=COLUMNS[::-1])) == import_table(written({}))


def test_a_short_row_a_bare_heading_and_no_file_are_refused(written, tmp_path):
    path = written({})
    path.write_text(path.read_text().replace(",yes", ""), encoding="utf-8")
    with pytest.raises(BadInput, match="row 1: 11 cells for 12 columns"):
        import_table(path)
    with pytest.raises(BadInput, match="no rows below"):
        import_table(written())
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="no CSV file with a heading"):
        import_table(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot read"):
        import_table(path)
    with pytest.raises(BadInput, match="cannot read"):
        import_table(tmp_path / "none.csv")
