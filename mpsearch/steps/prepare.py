"""From a session to a study: resolve the space, calibrate, and leave the record."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow
from mpsearch.core.types import SearchSpace
from mpsearch.fakequant.activations import calibrate
from mpsearch.fakequant.keys import Ranges
from mpsearch.graph.flow import find_flow
from mpsearch.packed.room import header_room
from mpsearch.sensitivity.importance import rank_units
from mpsearch.sensitivity.study import Study
from mpsearch.sources.batch import Batch
from mpsearch.spaces import load_space
from mpsearch.spaces.resolve import resolve
from mpsearch.spaces.rules import Space
from mpsearch.spaces.subnets import ranked, with_subnets
from mpsearch.steps.capture import Captured
from mpsearch.steps.devices import FLOWS
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session


def prepare(session: Session) -> tuple[Study, StudyRecord]:
    """Load, capture, resolve the space and calibrate; the record goes into the workspace.

    Raises:
        BadInput: anything wrong with the model, the data or the space.
        Unsupported: the model cannot be captured.
    """
    captured, batches = session.captured, session.calibration
    written = load_space(session.request.space)
    space, unmatched = resolve(written, captured.layers.specs)
    inputs: Sequence[Batch] = batches.batches if batches else ()
    known = session.workspace.load("studies", session.key, StudyRecord)
    space = known.space if known else _with_subnets(session, written, space, inputs)
    ranges = known.ranges if known else _calibrated(captured, space, inputs)
    notes = [*session.loaded.notes, *captured.notes, *unmatched]
    if batches is not None and batches.note:
        notes.append(batches.note)
    header = header_room(space, ranges, captured.model, captured.storable(session.loaded.module),
                         captured.inputs)
    record = StudyRecord(model=captured.model, space=space, ranges=ranges,
                         other_bytes=captured.other_bytes + header,
                         data_digest=batches.digest if batches else "", notes=tuple(notes))
    if known != record:
        session.workspace.save("studies", session.key, record)
    _note_flow(session)
    study = Study(space=space, program=captured.program, shapes=captured.shapes,
                  fake=captured.fake, ranges=ranges, seed=session.request.seed, batches=inputs,
                  memory=session.request.memory)
    return study, record


def _with_subnets(session: Session, written: Space, space: SearchSpace,
                  inputs: Sequence[Batch]) -> SearchSpace:
    """*space* with the candidates that leave parts of the network out."""
    wanted, captured = ranked(written, space), session.captured
    if "taylor" in wanted.values() and not inputs:
        raise BadInput('this space ranks heads and hidden units by data: give --data, or '
                       'importance = "magnitude" in its [[subnet]]')
    study = Study(space=space, program=captured.program, shapes=captured.shapes,
                  fake=captured.fake, ranges={}, seed=session.request.seed, batches=inputs,
                  memory=session.request.memory)
    return with_subnets(written, space, rank_units(study, wanted) if wanted else {})


def _note_flow(session: Session) -> None:
    """Leave the flow of the model in the workspace, where it is not yet."""
    if session.workspace.load(FLOWS, session.key, Flow) is not None:
        return
    captured = session.captured
    session.workspace.save(FLOWS, session.key, find_flow(
        captured.program, captured.shapes, session.example,
        {spec.name: spec.weight_shape for spec in captured.layers.specs if spec.weight_shape}))


def again(session: Session) -> Study:
    """The study of *session*, made anew: what another process does with what it was sent."""
    return prepare(session)[0]


def _calibrated(captured: Captured, space: SearchSpace, inputs: Sequence[Batch]) -> Ranges:
    static = any(fmt is not None and fmt.calibrated for group in space.groups
                 for scheme in group.schemes for fmt in (scheme.input, scheme.other))
    if static and not inputs:
        raise BadInput("this space quantizes activations with calibrated ranges: give --data")
    return calibrate(captured.program, space, (batch.args for batch in inputs))
