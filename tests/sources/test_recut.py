import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.sources.batch import Batch
from mpsearch.sources.recut import recut


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8), size=st.integers(1, 9))
def test_samples_keep_their_order_and_labels(sizes, size):
    rows = torch.arange(float(sum(sizes)))
    given_batches = [Batch(args=(part, part * 2), labels=part.long())
                     for part in torch.split(rows, sizes)]
    cut = recut(given_batches, size, where="here")
    assert torch.cat([batch.args[0] for batch in cut]).tolist() == rows.tolist()
    assert all(torch.equal(batch.args[1], batch.labels * 2) for batch in cut)
    assert [batch.size for batch in cut[:-1]] == [size] * (len(cut) - 1)
    assert 1 <= cut[-1].size <= size


def test_the_sample_at_fault_is_counted_over_batches(refusal):
    x = torch.zeros(5, 2)
    x[4, 1] = torch.inf
    assert "sample 4" in refusal(recut, [Batch(args=(x,))], 2, where="here")
