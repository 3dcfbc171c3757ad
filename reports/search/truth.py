"""The true front of a space that is small enough: every choice is measured.

    python reports/search/truth.py blocks --space reports/search/blocks.toml

Choices after one another differ in the last layers most often, and each run begins where it differs
from the one before. Writes truth_blocks.json beside this file; what was measured is where
`study.py` looks for it. Interrupted, it goes on.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

from evaluations import Evaluations
from runs import improving
from study import HERE, arguments, kept_of, subject_of

from mpsearch.core.io import write
from mpsearch.nas.task import Outcome
from mpsearch.steps.batch_runs import BatchRuns
from mpsearch.steps.trial_data import search_data


class Successive:
    """Begins each run with the values of the run before, be it better or not."""

    def __init__(self, runs):
        self._runs, self._last = runs, None

    def __call__(self, choice, go_on):
        del go_on
        before, self._last = self._last, choice
        return Outcome(samples=tuple(sample for judged in self._runs.all(choice, before)
                                     for sample in judged.samples))


def main():
    args = arguments()
    subject = subject_of(args)
    batches = search_data(subject.session, args.search_samples).batches
    subject = replace(subject, evaluations=Evaluations(
        Successive(BatchRuns(subject.session, subject.measured, batches)),
        kept_of(args, subject.session, batches)))
    sizes = [len(group.schemes) for group in subject.measured.record.space.groups]
    began = time.process_time()
    points = sorted((subject.bits(choice), subject.evaluations(choice).loss, choice)
                    for choice in itertools.product(*map(range, sizes)))
    document = {"choices": len(points), "measured_here": subject.evaluations.measured,
                "cpu_s": round(time.process_time() - began, 1), "samples": batches.samples,
                "points": improving(points)}
    write(HERE / f"truth_{args.name}.json", (json.dumps(document) + "\n").encode())
    print({key: value for key, value in document.items() if key != "points"},
          len(document["points"]), "on the front")


if __name__ == "__main__":
    main()
