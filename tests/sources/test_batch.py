import torch

from mpsearch.sources.batch import Batch, Batches, check_labels


def batches(labels=(0, 1, 2)):
    x = torch.arange(6.0).reshape(3, 2)
    return Batches.of([Batch(args=(x,), labels=torch.tensor(labels))])


def test_size_samples_and_labels():
    made = batches()
    assert (made.samples, made.labelled, len(made), made.batches[0].size) == (3, True, 1, 3)
    assert not Batches.of([Batch(args=(torch.zeros(2, 1),))]).labelled


def test_digest_follows_content():
    digests = {batches().digest, batches((0, 1, 1)).digest,
               Batches.of([Batch(args=(torch.zeros(2, 3),))]).digest,
               Batches.of([Batch(args=(torch.zeros(3, 2),))]).digest,
               Batches.of([Batch(args=(torch.zeros(3, 2, dtype=torch.bfloat16),))]).digest}
    assert len(digests) == 5
    assert batches().digest == batches().digest


def test_digest_reads_any_layout():
    x = torch.randn(4, 5)
    other = x.t().contiguous().t()
    assert not other.is_contiguous()
    made = [Batches.of([Batch(args=(each,))]).digest for each in (x, other)]
    assert made[0] == made[1]


def test_labels_that_fit_pass():
    check_labels(batches(), 3)
    check_labels(Batches.of([Batch(args=(torch.zeros(2, 1),))]), 1)


def test_label_out_of_range_is_named(refusal):
    assert "label 7" in refusal(check_labels, batches((0, 7, 1)), 3)
    message = refusal(check_labels, batches((0, -1, 1)), 3)
    assert "label -1" in message
    assert "3 classes" in message
