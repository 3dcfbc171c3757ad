"""Choices that were measured once, kept in a file: another method or seed gets them for nothing."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from mpsearch.nas.task import Outcome


class Evaluations:
    """The losses of a choice on all search samples, measured by *run* unless they are known.

    *path* has a line a choice. Only time is saved: whoever asks counts an evaluation.
    """

    def __init__(self, run, path):
        self._run, self._path = run, Path(path)
        self._known = {}
        self.measured = 0
        if self._path.exists():
            text = self._path.read_text()
            whole = text[:text.rfind("\n") + 1]  # the last line may have been cut short
            if whole != text:
                self._path.write_text(whole)
            self._known = dict(line.split() for line in whole.splitlines())

    def __call__(self, choice, go_on=None):
        """As `mpsearch.nas.task.Measure` says; nothing is raced, so *go_on* is not asked."""
        del go_on
        key = ",".join(map(str, choice))
        if key not in self._known:
            samples = self._run(choice, lambda _samples: True).samples
            self._known[key] = base64.b64encode(np.array(samples, dtype="<f4").tobytes()).decode()
            self.measured += 1
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(f"{key} {self._known[key]}\n")
        numbers = np.frombuffer(base64.b64decode(self._known[key]), dtype="<f4")
        return Outcome(samples=tuple(map(float, numbers)))

    def __contains__(self, choice):
        return ",".join(map(str, choice)) in self._known
