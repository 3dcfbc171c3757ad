from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.sources.division import choose, read_split, stream

BOTH = ("calibration", "evaluation")


def pick(total, split, samples=10**6, seed=0, splits=None):
    return choose(total, splits, split=split, samples=samples, seed=seed, where="here")


@settings(deadline=None)
@given(total=st.integers(2, 400), seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_halves_are_disjoint_whatever_the_seeds(total, seeds):
    calibration, evaluation = (pick(total, split, seed=seed)
                               for split, seed in zip(BOTH, seeds, strict=True))
    assert sorted(calibration + evaluation) == list(range(total))
    assert len(evaluation) == max(1, total // 2)


@settings(deadline=None)
@given(total=st.integers(2, 400), samples=st.integers(1, 400), seed=st.integers(0, 9))
def test_fewer_samples_are_the_beginning_of_more(total, samples, seed):
    every = pick(total, "evaluation", seed=seed)
    assert pick(total, "evaluation", samples, seed) == every[:samples]


def test_seed_decides_which():
    assert pick(100, "evaluation", 10, 0) == pick(100, "evaluation", 10, 0)
    assert pick(100, "evaluation", 10, 0) != pick(100, "evaluation", 10, 1)


def test_given_splits_are_kept():
    splits = ["calibration", "evaluation", "calibration"]
    assert sorted(pick(3, "calibration", splits=splits)) == [0, 2]
    assert pick(3, "evaluation", splits=splits) == [1]


def test_empty_part_is_refused(refusal):
    assert "split column" in refusal(pick, 1, "calibration", splits=["evaluation"])
    assert "at least two" in refusal(pick, 1, "calibration")
    assert pick(1, "evaluation") == [0]


@settings(deadline=None)
@given(total=st.integers(1, 300))
def test_stream_gives_each_sample_to_one_part(total):
    calibration, evaluation = (list(islice(stream(split), total)) for split in BOTH)
    assert all(a != b for a, b in zip(calibration, evaluation, strict=True))
    assert abs(sum(evaluation) - sum(calibration)) <= 1
    assert evaluation[0]


@pytest.mark.parametrize(("word", "split"), [
    ("train", "calibration"), ("Calibration ", "calibration"), ("val", "evaluation"),
    ("valid", "evaluation"), ("test", "evaluation"), ("evaluation", "evaluation"),
])
def test_other_words_for_splits(word, split):
    assert read_split(word, "here") == split


def test_unknown_split_is_named(refusal):
    assert "'holdout'" in refusal(read_split, "holdout", "table.csv line 3")
