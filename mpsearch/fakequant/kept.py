"""Codes that took long to find, kept up to a limit of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

_ROOM = 1 << 30
_SHORT = 1 << 15


class KeptCodes:
    """Codes by key, those used longest ago dropped where all take more than *room* bytes."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room, self._size = room, 0
        self._codes: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], Tensor]) -> Tensor:
        """The int32 codes kept under *key*, or those that *find* finds."""
        if key in self._codes:
            self._codes.move_to_end(key)
            return self._codes[key].to(torch.int32)
        codes = find()
        narrow = not codes.numel() or (int(codes.min()) >= -_SHORT and int(codes.max()) < _SHORT)
        self._codes[key] = codes.to(torch.int16 if narrow else torch.int32)
        self._size += self._codes[key].nbytes
        while self._size > self._room and self._codes:
            self._size -= self._codes.popitem(last=False)[1].nbytes
        return codes
