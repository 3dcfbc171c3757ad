"""serve-storage: what it refuses. That it serves is shown with workers, in tests/nas."""

import socket
import sys

import pytest

pytest.importorskip("grpc", reason="gRPC is not installed: pip install 'mpsearch[distributed]'")


def refused(tool, tmp_path, *args):
    ran = tool("serve-storage", *args, cwd=tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    return ran.err


def test_it_needs_a_storage_and_a_port(tool, tmp_path):
    assert "Missing option '--storage'" in refused(tool, tmp_path)
    assert "is not in the range" in refused(tool, tmp_path, "--storage", "memory", "--port", "0")


@pytest.mark.parametrize(("args", "said"), [
    (("grpc://host:1",), "grpc://host:1 is served already: name the storage behind it"),
    (("nowhere",), "'nowhere' is no storage: use memory, journal:path"),
    (("sqlite:///no/such/folder.db",), "unable to open database file"),
    (("memory", "--host", "no.such.host.invalid"), "cannot listen at no.such.host.invalid:13000"),
])
def test_what_it_cannot_serve_is_said_in_one_line(tool, tmp_path, args, said):
    err = refused(tool, tmp_path, "--storage", *args)
    assert err.startswith("mpsearch: error: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_port_that_another_server_has_is_refused(tool, tmp_path):
    with socket.create_server(("localhost", 0)) as other:
        port = other.getsockname()[1]
        err = refused(tool, tmp_path, "--storage", "memory", "--port", str(port))
    assert f"cannot listen at localhost:{port}: Address already in use" in err


def test_without_grpc_it_says_what_to_install(tool, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    err = refused(tool, tmp_path, "--storage", "memory")
    assert "serving needs gRPC" in err
    assert err.endswith("pip install 'mpsearch[distributed]'\n")
