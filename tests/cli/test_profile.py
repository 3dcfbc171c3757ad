"""`mpsearch profile`, and what can be asked for in milliseconds after it."""

import csv
import json
import shutil

import pytest

from mpsearch.core.types import Policy

QUICK = ("--rounds", "1")
MODEL = ("--model", "mine.py:model", "--data", "mine.py:data", "--calibration-samples", "16",
         "--batch-size", "16")


@pytest.fixture(scope="module")
def profiled(tiny, tool, tmp_path_factory):
    """A user's folder in which this machine was profiled, and what the command printed."""
    folder = tmp_path_factory.mktemp("profiled") / "user"
    shutil.copytree(tiny, folder)
    ran = tool("profile", *QUICK, "--export", "times.csv", "--json", *MODEL, cwd=folder)
    return folder, ran


def test_a_profile_says_what_it_timed(profiled):
    folder, ran = profiled
    data = ran.data
    assert data["new"] == data["rows"] > 0
    assert (data["device"], data["provider"], data["origin"]) == ("host", "simulated", "measured")
    assert data["files"] == ["times.csv"]
    line, = data["profiles"]
    assert [row["layer"] for row in line["layers"]] == ["0", "3", "5"]
    assert {row["bound"] for row in line["layers"]} <= {"compute", "bandwidth", "overhead"}
    assert any("bandwidth-bound" in each for each in line["findings"])
    with (folder / "times.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == data["rows"]


def test_the_same_command_again_times_nothing(profiled, tool):
    folder, ran = profiled
    again = tool("profile", *QUICK, "--json", *MODEL, cwd=folder)
    assert again.data["new"] == 0
    assert again.data["profiles"] == ran.data["profiles"]


def test_tables_for_people(profiled, tool):
    ran = tool("profile", *QUICK, *MODEL, cwd=profiled[0])
    assert "Milliseconds of a batch of 1 on 1 thread" in ran.out
    for words in ("relu (2 times)", "bound by", "share", "0 times measured anew", "host has"):
        assert words in ran.out


def test_a_budget_in_milliseconds_and_one_in_bits(profiled, tool, mine):
    folder, _ = profiled
    ran = tool("allocate", "-b", "1s", "-b", "5bpw", "--no-verify", "--json", *mine, cwd=folder)
    assert [row["metric"] for row in ran.data["budgets"]] == ["latency_ms", "bits_per_weight"]
    policy = Policy.load(str(folder / "policy.json"))
    assert 0 < policy.totals.latency_ms <= 1000
    assert policy.totals.bits_per_weight <= 5
    assert policy.provenance["device"]["name"] == "host"
    assert ran.data["device"] == policy.provenance["device"]
    shown = tool("show", "policy.json", "--json", cwd=folder).data
    assert [row["budget"] for row in shown["prices"]] == ["1s", "5bpw"]


def test_a_latency_alone_says_where_bits_buy_nothing(profiled, tool, mine):
    ran = tool("allocate", "-b", "1s", "--no-verify", *mine, cwd=profiled[0])
    assert "every scheme takes the same time" in ran.out
    assert "predicted latency" in ran.out
    ran = tool("allocate", "-b", "5bpw", "--no-verify", *mine, cwd=profiled[0])
    assert "every scheme takes the same time" not in ran.out


def test_an_imported_table_is_a_device(profiled, tool, mine, refused):
    folder, ran = profiled
    rows = (folder / "times.csv").read_text().splitlines()
    (folder / "slow.csv").write_text("\n".join([rows[0], *(
        ",".join(_tenfold(row)) for row in csv.reader(rows[1:]))]) + "\n")
    read = tool("profile", "--import", "slow.csv", "--device", "slow", "--json", cwd=folder)
    assert read.data["rows"] == ran.data["rows"]
    times = {}
    for device in ("host", "slow"):
        done = tool("allocate", "-b", "10s", "--device", device, "--no-verify", "--json", *mine,
                    cwd=folder)
        times[device] = done.data["totals"]["latency_ms"]
    assert times["slow"] == pytest.approx(10 * times["host"], rel=1e-6)
    floor = refused("allocate", "-b", "1us", "--device", "slow", *mine, cwd=folder)
    assert "cannot be met" in floor


def _tenfold(row):
    row[5] = repr(float(row[5]) * 10)
    return [f'"{cell}"' if "," in cell else cell for cell in row]


def test_shipped_devices_need_no_clock(user, tool, mine):
    for device in ("zen5", "h200", "a100", "orin", "cortex_m7"):
        ran = tool("allocate", "-b", "10s", "--device", device, "--no-verify", "--json", *mine,
                   cwd=user)
        assert ran.data["totals"]["latency_ms"] > 0
        assert ran.data["device"]["origin"] == "predicted"
    shown = tool("profile", "--device", "zen5", "--threads", "1", "--threads", "2", "--json",
                 *MODEL, cwd=user)
    assert [line["threads"] for line in shown.data["profiles"]] == [1, 2]


def test_peaks_and_energies_are_budgets(user, tool, mine):
    ran = tool("allocate", "-b", "1MiB-activations", "-b", "1J", "--no-verify", *mine, cwd=user)
    assert ran.code == 0, ran.err
    assert "peak of activations" in ran.out
    assert "energy per sample" in ran.out


def test_a_front_over_latency(user, tool, mine):
    ran = tool("pareto", "--over", "latency", "--device", "zen5", "--no-measure", "--picture",
               "--points", "4", "--json", *mine, cwd=user)
    assert ran.data["over"] == "latency"
    assert all(point["latency_ms"] > 0 for point in ran.data["predicted"])
    assert "milliseconds on zen5" in (user / "pareto.svg").read_text() or (
        user / "pareto.svg").stat().st_size


@pytest.mark.parametrize(("command", "said"), [
    (("allocate", "-b", "8ms"), "run mpsearch profile first"),
    (("allocate", "-b", "8ms", "--device", "zen9"), "unknown device 'zen9'"),
    (("allocate", "-b", "8ms", "--device", "zen5(cores=2)"), "batch and threads"),
    (("pareto", "--over", "latency"), "nothing was timed on this machine"),
    (("pareto", "--over", "speed"), "over size or latency"),
    (("pareto", "--over", "latency", "--device", "zen5", "-b", "4bpw"), "give 4bpw as ms"),
    (("profile", "--provider", "magic"), "unknown provider 'magic'"),
    (("profile", "--batch", "0"), "positive whole numbers"),
    (("profile", "--device", "host(batch=2)"), "without settings"),
    (("profile", "--rounds", "0"), "at least 1 round"),
    (("profile", "--import", "none.csv"), "cannot read none.csv"),
])
def test_what_cannot_be_done_is_said_in_one_line(refused, tmp_path, command, said):
    assert said in refused(*command, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_table_is_named_by_row_and_column(refused, profiled):
    folder, _ = profiled
    good = (folder / "times.csv").read_text().splitlines()
    broken = good[2].split(",")
    broken[5] = "-1"
    (folder / "bad.csv").write_text("\n".join([*good[:2], ",".join(broken)]) + "\n")
    line = refused("profile", "--import", "bad.csv", cwd=folder)
    assert line.startswith("bad.csv, row 2, column milliseconds: '-1'")
    (folder / "bad.csv").write_text("\n".join([*good[:2], good[1]]) + "\n")
    assert "row 2, column milliseconds: a second time" in refused(
        "profile", "--import", "bad.csv", cwd=folder)
    for taken in ("zen5", "own.toml"):
        assert "shipped device" in refused("profile", "--import", "times.csv", "--device", taken,
                                           cwd=folder)


def test_an_export_is_what_json_says(profiled):
    folder, ran = profiled
    text = json.dumps(ran.data)
    assert "NaN" not in text
    assert (folder / "times.csv").read_bytes().count(b"\n") == ran.data["rows"] + 1
