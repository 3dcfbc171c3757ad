"""Times what a table lacks: runs the model under a few policies and notes every round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.flow import Flow
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import Scheme
from mpsearch.graph.samples import repeat
from mpsearch.steps import laps
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.offered import offered_by, ranges_for
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.steps.timings import Key, read
from mpsearch.steps.walks import Walk, plan
from mpsearch.workspace import FileLedger, digest

if TYPE_CHECKING:
    from mpsearch.backends.timing import Provider
    from mpsearch.steps.capture import Captured

TIMINGS = "timings"
_CHUNK_BYTES = 1 << 30


class Timer:
    """Times what is missing for one batch and number of threads after the other.

    *store* is the table so far: everything that was ever timed on this processor with these
    versions. *new* counts what was timed, *refused* says what the provider cannot run. *again*
    times what is there already too, and fewer *rounds* than now asked for do not count as there;
    the shorter time counts, since what disturbs only adds.
    """

    def __init__(self, *, session: Session, record: StudyRecord, flow: Flow, provider: Provider,
                 progress: ProgressBar, store: MachineTable, rounds: int,
                 again: bool = False) -> None:
        self._session, self._record, self._flow = session, record, flow
        self._provider, self._progress, self._rounds = provider, progress, rounds
        self._key = digest({"cpu": store.cpu, "versions": store.versions,
                            "provider": store.provider})
        known = session.workspace.load(TIMINGS, self._key, MachineTable)
        self.store = replace(store, device="", rows=known.rows if known else (),
                             peaks=known.peaks if known else ())
        self._again, self.new = again, 0
        self.refused: dict[str, None] = {}

    def run(self, batch: int, threads: int) -> None:
        """Time what the store lacks.

        Raises:
            BadInput: the captured graph takes another number of samples only.
            Unsupported: the model is not on a processor that a clock here can time.
        """
        there = {row.key for row in self.store.rows if row.rounds >= self._rounds}
        missing = {key for key in self._flow.needed(self._record.space)
                   if self._again or (*key, batch, threads) not in there}
        peaks = any(peak.threads == threads for peak in self.store.peaks)
        if missing or not peaks:
            with laps.on_threads(threads):
                if not peaks:
                    self._peaks(threads)
                self._rows(missing, batch, threads)

    def _peaks(self, threads: int) -> None:
        from mpsearch.steps.peaks import measure_peak

        self.store = replace(self.store, peaks=(*self.store.peaks,
                                                measure_peak(threads, self._rounds)))
        self._save()

    def _rows(self, missing: set[Key], batch: int, threads: int) -> None:
        offered = offered_by(self._provider, _timed_here(self._session, batch), self._flow,
                             self._record.space, missing)
        self.refused |= dict.fromkeys(offered.refused)
        if not missing & offered.keys:
            return
        walks: list[Walk] = []
        times: list[list[float]] = []
        ledgers: list[FileLedger] = []
        for chunk in self._chunks(plan(self._flow, offered.menus)):
            built = [self._built(walk, batch) for walk in chunk]
            ledgers.append(self._ledger([walk for walk, _ in built], batch, threads))
            walks += [walk for walk, _ in built]
            times += self._timed([run for _, run in built], ledgers[-1], batch, threads)
        rows = read(self._flow, walks, times, offered.spoken)
        found = [Timing(operation=key[0], shape=key[1], scheme=key[2], batch=batch,
                        threads=threads, milliseconds=rows[key], rounds=self._rounds)
                 for key in sorted(missing) if key in rows]
        self.store = self.store.shortest(replace(self.store, rows=tuple(found)))
        self.new += len(found)
        self._save()
        for ledger in ledgers:
            ledger.close()

    def _timed(self, runs: Sequence[Callable[[], Any]], ledger: FileLedger, batch: int,
               threads: int) -> list[list[float]]:
        """The shortest times over all rounds; each round is noted, so that none is repeated."""
        best: list[list[float]] = []
        title = f"timing {len(runs)} policies (batch {batch}, threads {threads})"
        with self._progress(title, self._rounds) as step:
            for turn in range(self._rounds):
                known = ledger.get(f"round {turn}")
                if known is None:
                    known = [laps.shortest(run, self._flow) for run in runs]
                    ledger.put(f"round {turn}", known)
                best = [list(map(min, *pair)) for pair in zip(best or known, known, strict=True)]
                step(1)
        return best

    def _built(self, walk: Walk, batch: int) -> tuple[Walk, Callable[[], Any]]:
        """What runs the model in *walk*, less the layers whose form has no kernel."""
        captured = self._session.captured
        inputs = repeat(self._session.example, batch)

        def made(schemes: Mapping[str, Scheme]) -> Callable[[], Any]:
            return partial(self._provider.module(
                captured.program, captured.fake, schemes,
                ranges_for(self._record.ranges, schemes)), *inputs)

        try:
            return walk, made(walk.schemes)
        except Unsupported:
            refused: dict[str, str] = {}
            for name, scheme in walk.schemes.items():
                try:
                    made({name: scheme})
                except Unsupported as error:
                    refused[name] = str(error)
            if not refused:
                raise
            self.refused |= dict.fromkeys(refused.values())
            left = walk.without(refused)
            return left, made(left.schemes)

    def _ledger(self, walks: Sequence[Walk], batch: int, threads: int) -> FileLedger:
        """The notes on these *walks*."""
        told = [[sorted((name, str(own)) for name, own in walk.schemes.items()), walk.noted]
                for walk in walks]
        return self._session.workspace.ledger(digest({
            "timer": self._key, "study": self._session.key, "batch": batch, "threads": threads,
            "walks": told}))

    def _chunks(self, walks: Sequence[Walk]) -> list[Sequence[Walk]]:
        """*walks* in runs whose packed weights fit into a gibibyte together."""
        size = max(1, self._record.space.weights if self._provider.packed else 1)
        most = max(1, _CHUNK_BYTES // size)
        return [walks[start:start + most] for start in range(0, len(walks), most)]

    def _save(self) -> None:
        """Keep the store, with what others timed here at the same time."""
        place = self._session.workspace
        with place.locked(TIMINGS, self._key):
            known = place.load(TIMINGS, self._key, MachineTable)
            self.store = self.store if known is None else self.store.shortest(known)
            place.save(TIMINGS, self._key, self.store)


def _timed_here(session: Session, batch: int) -> Captured:
    """The captured model, if times for so many samples at once can be taken of it here."""
    program = session.captured.program
    if program.traced.batch not in {None, batch}:
        raise BadInput(f"this model was captured for batches of {program.traced.batch}: profile it "
                       f"with --batch {program.traced.batch}")
    if program.device is not None and program.device.type != "cpu":
        raise Unsupported(f"the model is on {program.device}, whose work the clock of the "
                          "processor cannot time: move it to the CPU, or --import a table")
    return session.captured
