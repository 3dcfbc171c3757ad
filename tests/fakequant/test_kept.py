import torch

from mpsearch.fakequant.kept import KeptCodes


def test_codes_are_found_once_and_come_back_as_they_were():
    kept, calls = KeptCodes(), []
    wide = torch.tensor([[-70_000, 3]], dtype=torch.int32)
    narrow = torch.tensor([[-32_768, 32_767]], dtype=torch.int32)
    for key, codes in (("wide", wide), ("narrow", narrow)):
        for _ in range(2):
            found = kept.get(key, lambda codes=codes: calls.append(1) or codes)
            assert found.dtype == torch.int32
            assert torch.equal(found, codes)
    assert len(calls) == 2


def test_those_used_longest_ago_go_first():
    calls = []

    def find(name):
        return lambda: calls.append(name) or torch.zeros(100, dtype=torch.int32)

    kept = KeptCodes(room=450)  # two of 200 bytes each
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, find(name))
    assert calls == ["a", "b", "c", "b"]
