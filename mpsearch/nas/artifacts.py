"""Files that belong to a study, where optuna-dashboard shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.study import Study

from mpsearch.nas.places import MEMORY
from mpsearch.nas.storage import storage_of

_PREFIX = "artifacts:"


def attach(study: Study, files: Sequence[Path], folder: Path) -> None:
    """Attach *files* to *study*, kept in *folder* (the ``--artifact-dir`` of optuna-dashboard).

    One of the same name that was attached before gets the new content.

    Raises:
        OSError: *folder* cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(folder)
    before = attached(study)
    for path in files:
        if path.name in before:
            with path.open("rb") as content:
                store.write(before[path.name], content)
        else:
            upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=study)


def attach_to(storage: str, name: str, files: Sequence[Path], folder: Path) -> None:
    """Attach *files* to the study called *name* in *storage*, a text as `storage_of` reads it.

    One in memory is gone by now: nothing is done.

    Raises:
        BadInput: the storage cannot be used.
        OSError: *folder* cannot be written.
    """
    if storage != MEMORY:
        attach(optuna.load_study(storage=storage_of(storage), study_name=name), files, folder)


def attached(study: Study) -> dict[str, str]:
    """The names of attached files, with what the folder calls each.

    Those that were removed in the dashboard are left out: it writes null for them.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)  # noqa: SLF001 - no public way
    found = [json.loads(text) for name, text in attrs.items() if name.startswith(_PREFIX)]
    return {each["filename"]: each["artifact_id"] for each in found if each}
