"""Times everything that a provider can run of a model and space, and keeps it for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from mpsearch import plugins
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.flow import Flow, Piece
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import Scheme
from mpsearch.cost.devices import is_predicted
from mpsearch.steps.devices import (
    FLOWS,
    HOST,
    DeviceRef,
    machine_of,
    save_table,
    saved_table,
)
from mpsearch.steps.host import cpu_name, largest_cache
from mpsearch.steps.measure import ProgressBar, measure
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.workspace import FileLedger, digest

if TYPE_CHECKING:
    from mpsearch.backends.timing import Offer, Provider
    from mpsearch.steps.places import Key

TIMINGS = "timings"
_COPIES = 256
_CHUNK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePlan:
    """What to time: by which *provider*, under which *device* name, for which batches and threads.

    Raises:
        BadInput: no batch or number of threads, or one that is not positive; no round; a name with
            settings.
    """

    provider: str = "simulated"
    device: str = HOST
    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = (1,)
    rounds: int = 8

    def __post_init__(self) -> None:
        for name in ("batches", "threads"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                raise BadInput(f"{name} to profile are positive whole numbers")
        if self.rounds < 1:
            raise BadInput(f"times are taken in at least 1 round, not {self.rounds}")
        plugins.require("provider", plugins.base_name(self.provider))
        if DeviceRef.parse(self.device) != DeviceRef(name=self.device):
            raise BadInput(f"times cannot be kept under '{self.device}': give a name without "
                           "settings and outer blanks")

    @classmethod
    def of(cls, provider: str, device: str | None, batches: Sequence[int],
           threads: Sequence[int], rounds: int) -> Self:
        """A plan from options; no device is this machine.

        Raises:
            BadInput: what the plan itself refuses.
        """
        return cls(provider=provider, device=device or HOST, rounds=rounds,
                   batches=tuple(dict.fromkeys(batches)), threads=tuple(dict.fromkeys(threads)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A device's *table* after profiling, what it is about, and what was timed *new*.

    *refused* says what the provider could not run, a line each.
    """

    table: MachineTable
    record: StudyRecord
    flow: Flow
    plan: ProfilePlan
    new: int
    refused: tuple[str, ...] = ()


def profile(session: Session, plan: ProfilePlan, progress: ProgressBar) -> Profile:
    """Time what the session's model and space need, but for what this machine was timed on before.

    The name of a shipped device, or of a TOML file, times nothing: its table is predicted. Times
    are kept by processor and versions of the libraries at work; the table under the device's name
    gets what this model needs, beside what other models left in it.

    Raises:
        BadInput: anything wrong with the model, data or space.
        Unsupported: the model is not on a processor that a clock here can time.
    """
    record = measure(session, [], progress).record
    flow = session.workspace.load(FLOWS, session.key, Flow)
    if flow is None:
        raise BadInput(f"{session.workspace.root} lost what was just written: free some "
                       "space")
    if is_predicted(plan.device):
        return _predicted(session, plan, record, flow)
    provider: Provider = plugins.make("provider", plan.provider)
    own = MachineTable(device=plan.device, provider=plugins.canonical("provider", plan.provider),
                       cpu=cpu_name(), origin="measured", versions=dict(provider.versions()),
                       fusions=provider.fusions, packed=provider.packed)
    timer = _Timer(session=session, record=record, flow=flow, provider=provider, progress=progress,
                   store=own, rounds=plan.rounds)
    for batch in plan.batches:
        for threads in plan.threads:
            timer.run(batch, threads)
    known = saved_table(session.workspace, plan.device)
    base = known[1] if known is not None and known[1].same_machine(own) else own
    needed = {(*key, batch, threads) for key in flow.needed(record.space)
              for batch in plan.batches for threads in plan.threads}
    table = replace(base, peaks=timer.store.peaks, fusions=own.fusions, packed=own.packed)
    table = table.with_rows(row for row in timer.store.rows if row.key in needed)
    save_table(session.workspace, table)
    return Profile(table=table, record=record, flow=flow, plan=plan, new=timer.new,
                   refused=tuple(timer.refused))


def _predicted(session: Session, plan: ProfilePlan, record: StudyRecord, flow: Flow) -> Profile:
    """What the profile of a device says: there is nothing to time."""
    tables = [machine_of(session.workspace, DeviceRef(name=plan.device, batch=batch,
                                                      threads=threads), record.space, flow).table
              for batch in plan.batches for threads in plan.threads]
    peaks = {peak.threads: peak for table in tables for peak in table.peaks}
    merged = replace(tables[0], peaks=tuple(peaks.values())).with_rows(
        row for table in tables for row in table.rows)
    return Profile(table=merged, record=record, flow=flow, plan=plan, new=0)


class _Timer:
    """Times what is missing for one batch and number of threads after the other."""

    def __init__(self, *, session: Session, record: StudyRecord, flow: Flow, provider: Provider,
                 progress: ProgressBar, store: MachineTable, rounds: int) -> None:
        self._session, self._record, self._flow = session, record, flow
        self._provider, self._progress, self._rounds = provider, progress, rounds
        self._key = digest({"cpu": store.cpu, "versions": store.versions,
                            "provider": store.provider})
        known = session.workspace.load(TIMINGS, self._key, MachineTable)
        self.store = replace(store, device="", rows=known.rows if known else (),
                             peaks=known.peaks if known else ())
        self._ledgers: list[FileLedger] = []
        self.new = 0
        self.refused: dict[str, None] = {}

    def run(self, batch: int, threads: int) -> None:
        """Time what the store lacks."""
        known = self.store.times
        missing = {key: pair for key, pair in self._flow.needed(self._record.space).items()
                   if (*key, batch, threads) not in known}
        with_peaks = not any(peak.threads == threads for peak in self.store.peaks)
        if not missing and not with_peaks:
            return
        import torch

        self._session.captured  # noqa: B018 - what is captured in inference mode stays in it
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                if with_peaks:
                    self._peaks(threads)
                self._rows(missing, batch, threads)
        finally:
            torch.set_num_threads(before)

    def _rows(self, missing: Mapping[tuple[str, str, str], tuple[Piece, Scheme]], batch: int,
              threads: int) -> None:
        if not missing:
            return
        jobs = self._jobs(missing, batch)
        for number, chunk in enumerate(_chunks(jobs)):
            for job, time in zip(chunk, self._timed(chunk, number, batch, threads), strict=True):
                self.store = self.store.with_rows(
                    Timing(operation=job.key[0], shape=job.key[1], scheme=scheme, batch=batch,
                           threads=threads, milliseconds=time) for scheme in job.schemes)
                self.new += len(job.schemes)
            self._keep()

    def _jobs(self, missing: Mapping[tuple[str, str, str], tuple[Piece, Scheme]],
              batch: int) -> list[_Job]:
        """What to time: one job for all schemes that run the same."""
        from mpsearch.steps.places import find_places

        captured = self._session.captured
        if captured.program.device is not None and captured.program.device.type != "cpu":
            raise Unsupported(f"the model is on {captured.program.device}, whose work the clock of "
                              "the processor cannot time: move it to the CPU, or --import a table")
        places = find_places(captured, self._flow, self._record, self._session.example, batch)
        jobs: dict[tuple[str, str, str], _Job] = {}
        for (operation, shape, scheme), (piece, own) in missing.items():
            try:
                offer = self._provider.offer(places[operation, shape], own)
            except Unsupported as error:
                self.refused[str(error)] = None
                continue
            made = _Job(key=(operation, shape), offer=offer, copies=self._copies(piece, offer))
            jobs.setdefault((operation, shape, offer.alike), made).schemes.append(scheme)
        return list(jobs.values())

    def _timed(self, chunk: Sequence[_Job], number: int, batch: int,
               threads: int) -> list[float]:
        """The shortest times over all rounds; each round is noted, so that none is repeated."""
        from mpsearch.steps.stopwatch import Stopwatch

        ledger = self._session.workspace.ledger(digest({
            "timer": self._key, "batch": batch, "threads": threads, "chunk": number,
            "jobs": [[*job.key, job.offer.alike] for job in chunk]}))
        best = [float("inf")] * len(chunk)
        watch: Stopwatch | None = None
        title = f"timing {len(chunk)} operations (batch {batch}, threads {threads})"
        with self._progress(title, self._rounds) as step:
            for turn in range(self._rounds):
                known = ledger.get(f"round {turn}")
                if known is None:
                    watch = watch or Stopwatch([job.runs() for job in chunk], threads)
                    known = [watch.round()]
                    ledger.put(f"round {turn}", known)
                best = list(map(min, best, known[0]))
                step(1)
        self._ledgers.append(ledger)
        return best

    def _peaks(self, threads: int) -> None:
        from mpsearch.steps.peaks import measure_peak

        self.store = replace(self.store, peaks=(*self.store.peaks,
                                                measure_peak(threads, self._rounds)))
        self._keep()

    def _keep(self) -> None:
        """Save what is known; what was noted on the way to it is not needed any more."""
        self._session.workspace.save(TIMINGS, self._key, self.store)
        while self._ledgers:
            self._ledgers.pop().close()

    def _copies(self, piece: Piece, offer: Offer) -> int:
        """So many copies that together they are what all the model's weights would be like this.

        In a run all other weights pass through the caches between two uses of one. Beyond twice
        the largest cache more copies change nothing: all of them come from memory then.
        """
        if not (piece.weights and offer.weight_bytes):
            return 1
        enough = -(-2 * largest_cache() // offer.weight_bytes)
        return max(1, min(_COPIES, -(-self._record.space.weights // piece.weights), enough))


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One thing to time, for all *schemes* that run it; *copies* of it take turns."""

    key: Key
    offer: Offer
    copies: int
    schemes: list[str] = field(default_factory=list)

    def runs(self) -> list[Any]:
        """The copies, each with weights of its own."""
        return [self.offer.make() for _ in range(self.copies)]


def _chunks(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """*jobs* in runs whose copies of weights fit into a gibibyte together."""
    chunks: list[list[_Job]] = [[]]
    held = 0
    for job in jobs:
        size = job.copies * job.offer.weight_bytes
        if chunks[-1] and held + size > _CHUNK_BYTES:
            chunks.append([])
            held = 0
        chunks[-1].append(job)
        held += size
    return chunks
