import pytest

from mpsearch.core.errors import BadInput
from mpsearch.core.tolerance import Tolerance
from mpsearch.core.types import Evaluation

MEASURED = Evaluation(samples=100, kl=0.25, kl_stderr=0.01, agreement=0.9, agreement_stderr=0.03,
                      top1=0.7, float_top1=0.75)


@pytest.mark.parametrize(("text", "metric", "limit"), [
    ("0.01", "top1", 0.01), ("1%", "top1", 0.01), (" 1 % ", "top1", 0.01), ("0", "top1", 0),
    ("0.05kl", "kl", 0.05), (".5 KL", "kl", 0.5), ("1e-3kl", "kl", 1e-3), ("2kl", "kl", 2)])
def test_what_can_be_tolerated(text, metric, limit):
    found = Tolerance.parse(text)
    assert (found.metric, found.limit) == (metric, limit)
    assert str(found) == text.strip()


@pytest.mark.parametrize("text", ["", "much", "-0.1", "1.5", "101%", "5bpw", "nan", "1e999kl",
                                  "0.05%kl"])
def test_what_cannot_be_read(text):
    with pytest.raises(BadInput, match=r"write a fall of top-1 as 0\.01 or 1%"):
        Tolerance.parse(text)


def test_losses_in_its_unit():
    assert Tolerance.parse("1kl").loss(MEASURED) == 0.25
    assert Tolerance.parse("1%").loss(MEASURED) == pytest.approx(0.05)


def test_accuracy_needs_labels():
    blind = Evaluation(samples=1, kl=0, kl_stderr=0, agreement=1, agreement_stderr=0)
    assert Tolerance.parse("1kl").loss(blind) == 0
    with pytest.raises(BadInput, match="no labels: give a KL"):
        Tolerance.parse("1%").loss(blind)
