import pytest
import torch

from mpsearch.sources.data import load_data

PLAIN = """
def make():
    for start in range(0, 20, 5):
        x = torch.arange(start, start + 5.0)[:, None]
        yield x, x[:, 0].long()
"""


@pytest.fixture
def load(user_file, small):
    def call(text, split="evaluation", samples=100, batch_size=4, seed=0):
        return load_data(user_file(text), small, split=split, samples=samples,
                         batch_size=batch_size, seed=seed)

    return call


def values(batches, arg=0):
    return torch.cat([batch.args[arg] for batch in batches]).flatten().tolist()


def test_without_split_the_samples_are_divided(load):
    parts = [load(PLAIN, split) for split in ("calibration", "evaluation")]
    assert sorted(values(parts[0]) + values(parts[1])) == list(range(20))
    assert [part.samples for part in parts] == [10, 10]
    assert [batch.size for batch in parts[0]] == [4, 4, 2]
    for part in parts:
        assert torch.cat([batch.labels for batch in part]).tolist() == values(part)


def test_split_and_seed_are_given_to_a_function_that_takes_them(load):
    text = ("def make(split, seed):\n"
            "    yield torch.full((3, 1), float(seed + (split == 'evaluation')))\n")
    assert values(load(text, "calibration", seed=5)) == [5] * 3
    assert values(load(text, "evaluation", seed=5)) == [6] * 3


def test_an_endless_stream_is_read_as_far_as_needed(load):
    text = "def make():\n    while True:\n        yield torch.zeros(3, 1)\n"
    assert load(text, samples=10).samples == 10


def test_random_data_repeats_with_its_seed(load):
    text = "def make():\n    yield torch.randn(8, 2)\n"
    before = torch.random.get_rng_state()
    assert load(text).digest == load(text).digest
    assert load(text).digest != load(text, seed=1).digest
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("item", "count", "labelled"), [
    ("x", 1, False), ("(x, y)", 1, True), ("[x, y]", 1, True), ("(x, None)", 1, False),
    ("(x,)", 1, False), ("((x, x), y)", 2, True), ("([x, x], None)", 2, False),
    ("{'args': (x, x), 'labels': y}", 2, True), ("{'args': x}", 1, False),
    ("(x, y[:, None])", 1, True), ("(x, y.int())", 1, True),
])
def test_forms_of_a_batch(load, item, count, labelled):
    text = (f"def make(split):\n    x, y = torch.arange(4.0)[:, None], torch.arange(4)\n"
            f"    yield {item}\n")
    made = load(text)
    assert (made.labelled, len(made.batches[0].args)) == (labelled, count)
    assert values(made, count - 1) == [0, 1, 2, 3]
    assert not labelled or made.batches[0].labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("text", [
    "return torch.zeros(4, 1)", "return torch.zeros(4, 1), torch.zeros(4).long()",
    "return [torch.zeros(2, 1), torch.zeros(2, 1)]",
    "return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 1)), 2)",
])
def test_batches_may_be_returned(load, text):
    made = load(f"def make(split):\n    {text}\n")
    assert (made.samples, [batch.size for batch in made]) == (4, [4])


def test_samples_of_other_shape_start_a_new_batch(load):
    text = ("def make(split):\n    yield from (torch.zeros(3, 2), torch.zeros(3, 2))\n"
            "    yield torch.ones(3, 5)\n")
    assert [tuple(batch.args[0].shape) for batch in load(text)] == [(4, 2), (2, 2), (3, 5)]


@pytest.mark.parametrize(("item", "said"), [
    ("3", "yielded a int"),
    ("'text'", "yielded a str"),
    ("{'pixels': x}", "yielded a dict"),
    ("(x, x, y)", "yielded a tuple"),
    ("(x, x)", "labels that are not integers"),
    ("(x, [1, 2, 3, 4])", "labels that are not integers"),
    ("(x, y > 1)", "labels that are not integers"),
    ("(x, y[:2])", "unequal lengths (4, 2)"),
    ("((x, x[:1]), y)", "unequal lengths (4, 1, 4)"),
    ("(x, torch.zeros(4, 2).long())", "unequal lengths (4, 8)"),
    ("((), y)", "not tensors"),
    ("((x, 'mask'), y)", "not tensors"),
    ("torch.tensor(1.0)", "not tensors"),
    ("x / 0", "NaN or infinite (sample 0"),
    ("torch.where(x > 1, torch.nan, x)", "NaN or infinite (sample 2"),
])
def test_batches_that_cannot_be_used(load, refusal, item, said):
    text = (f"def make(split):\n    x, y = torch.arange(4.0)[:, None], torch.arange(4)\n"
            f"    yield {item}\n")
    message = refusal(load, text)
    assert said in message
    assert "user_code.py:make" in message


@pytest.mark.parametrize(("text", "said"), [
    ("return None", "returned a NoneType"),
    ("return []", "no samples for evaluation"),
    ("yield torch.zeros(0, 3)", "no samples for evaluation"),
    ("yield torch.zeros(1, 1)\n    raise ValueError('half way')", "ValueError: half way"),
    ("yield torch.zeros(1, 1)\n    yield torch.zeros(1, 1), torch.zeros(1).long()",
     "labels in some batches only"),
])
def test_functions_that_cannot_be_used(load, refusal, text, said):
    assert said in refusal(load, f"def make(split):\n    {text}\n")


def test_a_lone_sample_is_not_for_calibration(load, refusal):
    text = "def make():\n    yield torch.zeros(1, 1)\n"
    assert load(text).samples == 1
    assert "no samples for calibration" in refusal(load, text, "calibration")
