"""Files of a study: what was attached is read back as Optuna reads it."""

import json

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta

from mpsearch.nas.artifacts import attach, attach_to, attached
from mpsearch.nas.storage import storage_of


@pytest.fixture
def study(tmp_path):
    return optuna.create_study(storage=storage_of(f"journal:{tmp_path}/study.log"),
                               study_name="s")


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / "policy.json", tmp_path / "policy.search.svg"]
    for path in made:
        path.write_text(f"this is {path.name}")
    return made


def read_back(study, tmp_path):
    store = FileSystemArtifactStore(tmp_path / "artifacts")
    found = {}
    for meta in get_all_artifact_meta(study):
        place = tmp_path / "back"
        download_artifact(artifact_store=store, artifact_id=meta.artifact_id, file_path=str(place))
        found[meta.filename, meta.mimetype] = place.read_text()
        place.unlink()
    return found


def test_attached_files_are_read_back(study, files, tmp_path):
    attach(study, files, tmp_path / "artifacts")
    again = optuna.load_study(storage=storage_of(f"journal:{tmp_path}/study.log"), study_name="s")
    assert read_back(again, tmp_path) == {
        ("policy.json", "application/json"): "this is policy.json",
        ("policy.search.svg", "image/svg+xml"): "this is policy.search.svg"}


def test_files_are_attached_by_the_names_of_a_storage_and_a_study(study, files, tmp_path):
    attach_to(f"journal:{tmp_path}/study.log", "s", files, tmp_path / "artifacts")
    assert len(read_back(study, tmp_path)) == 2
    attach_to("memory", "s", files, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_attached_again_replaces_itself(study, files, tmp_path):
    attach(study, files, tmp_path / "artifacts")
    files[0].write_text("new")
    attach(study, files, tmp_path / "artifacts")
    assert read_back(study, tmp_path)["policy.json", "application/json"] == "new"
    assert len(list((tmp_path / "artifacts").iterdir())) == 2


def test_a_file_removed_in_the_dashboard_is_attached_anew(study, files, tmp_path):
    attach(study, files, tmp_path / "artifacts")
    key = attached(study)["policy.json"]
    study._storage.set_study_system_attr(study._study_id, f"artifacts:{key}", json.dumps(None))
    attach(study, files, tmp_path / "artifacts")
    assert set(attached(study)) == {"policy.json", "policy.search.svg"}
    assert attached(study)["policy.json"] != key
