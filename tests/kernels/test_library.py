"""Delivery: what is built where, which path is chosen, and what happens where nothing compiles."""

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.kernels import build, library
from mpsearch.kernels.library import PATHS
from mpsearch.kernels.selftest import is_right
from tests.kernels.cases import case

PROGRAM = """
import torch, warnings
from mpsearch.kernels import kernels, PackedWeight, linear_sums, quantize
w = PackedWeight.of(torch.arange(12).view(3, 4) % 4, torch.ones(1), bits=2, first=0)
print(linear_sums(quantize(torch.eye(4), -1, 1), w).tolist())
own = kernels()
print(own.path if own else "torch")
"""
WITHOUT_TORCH = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("build", {build.__file__!r})
build = sys.modules["build"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)"""
EYE = "[[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3]]"


def run(program, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=False, env=environment)


def fake_compiler(folder, text):
    place = folder / "c++"
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


def test_without_a_compiler_torch_computes_and_says_so_once(tmp_path):
    done = run(PROGRAM + PROGRAM, CXX="/nowhere/c++", MPSEARCH_KERNELS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [EYE, "torch"]
    said = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert len(said) == 1
    assert "torch alone, which is exact but slow: no C++ compiler: /nowhere/c++" in said[0]


def test_a_compiler_may_have_arguments_and_blanks_in_its_path(tmp_path, monkeypatch):
    folder = tmp_path / "my tools"
    folder.mkdir()
    plain = fake_compiler(folder, """case "$*" in *--version*) echo one; exit 0;; esac
echo "$*" >> "$0.log"; for a; do [ "$l" = -o ] && : > "$a"; l=$a; done""")
    names = set()
    for named, words in ((plain, (plain,)), (f"'{plain}' -m64", (plain, "-m64")),
                         (f"env '{plain}'", (shutil.which("env"), plain))):
        monkeypatch.setenv("CXX", named)
        assert build.find_compiler() == words
        names.add(build.built(tmp_path / "kept", (build.PORTABLE,)))
    assert len(names) == 3, "what arguments change is another library"
    assert "\n-m64 -std" in (folder / "c++.log").read_text()
    monkeypatch.setenv("CXX", "c++ 'unfinished")
    with pytest.raises(build.BuildFailed, match="is no command"):
        build.find_compiler()


def test_a_compiler_that_fails_is_quoted(tmp_path):
    broken = fake_compiler(tmp_path, 'case "$*" in *--version*) exit 0;; esac\n'
                                     'echo "x.cpp:1: error: no such luck" >&2; exit 1')
    done = run(PROGRAM, CXX=broken, MPSEARCH_KERNELS=str(tmp_path / "kept"))
    assert done.stdout.split("\n")[:2] == [EYE, "torch"]
    assert "error: no such luck" in done.stderr
    assert list((tmp_path / "kept").iterdir()) == []


def test_an_unknown_instruction_set_is_refused(monkeypatch):
    monkeypatch.setenv("MPSEARCH_ISA", "mmx")
    with pytest.raises(BadInput, match=r"^unknown MPSEARCH_ISA 'mmx': use one of portable, avx2"):
        library._choose()


def test_an_instruction_set_that_the_machine_lacks_is_refused(compiled, monkeypatch):
    lacking = [name for name in PATHS if not compiled.runs(name)]
    if not lacking:
        pytest.skip("this machine runs every path")
    monkeypatch.setattr(library, "_loaded", lambda: compiled)
    monkeypatch.setenv("MPSEARCH_ISA", lacking[-1])
    with pytest.raises(BadInput, match=f"^this machine cannot run MPSEARCH_ISA={lacking[-1]}: use"):
        library._choose()


def test_an_instruction_set_needs_the_compiled_kernels(tmp_path, monkeypatch):
    monkeypatch.setenv("MPSEARCH_ISA", "portable")
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setenv("MPSEARCH_KERNELS", str(tmp_path))
    monkeypatch.setattr(build, "library_name", lambda units: f"none of {len(units)}")
    with pytest.raises(BadInput, match="MPSEARCH_ISA=portable needs the compiled kernels"):
        library._choose()


def test_an_instruction_set_can_be_chosen_and_the_best_is_the_default(compiled, monkeypatch):
    monkeypatch.setattr(library, "_loaded", lambda: compiled)
    monkeypatch.delenv("MPSEARCH_ISA", raising=False)
    able = [name for name in PATHS if compiled.runs(name)]
    assert library._choose().path == able[-1]
    monkeypatch.setenv("MPSEARCH_ISA", "portable")
    assert library._choose().path == "portable"


def test_every_path_passes_its_own_test(path):
    assert is_right(path)


@pytest.mark.filterwarnings("ignore:the integer kernels for")
def test_a_path_that_computes_wrong_numbers_is_not_used(compiled, monkeypatch):
    monkeypatch.setattr(library, "_loaded", lambda: compiled)
    monkeypatch.delenv("MPSEARCH_ISA", raising=False)
    best = library._choose().path
    monkeypatch.setattr("mpsearch.kernels.selftest.is_right", lambda own: own.path != best)
    with pytest.warns(RuntimeWarning, match=f"kernels for {best} gave wrong numbers"):
        assert library._choose().path != best
    monkeypatch.setattr("mpsearch.kernels.selftest.is_right", lambda own: own is None)
    with pytest.warns(RuntimeWarning, match="no compiled kernel works"):
        assert library._choose() is None


def test_the_self_test_notices_a_saturating_sum(path, monkeypatch):
    from mpsearch.kernels import native
    right = native.linear
    monkeypatch.setattr(native, "linear", lambda *args, **options: right(
        *args, **options).clamp(min=-10_000_000))
    assert not is_right(path)


def test_the_self_test_notices_wrong_codes(path, monkeypatch):
    from mpsearch.kernels import native
    right = native.quantize

    def upwards(*args, **options):
        codes, *tables = right(*args, **options)
        return codes.clamp(max=126), *tables
    monkeypatch.setattr(native, "quantize", upwards)
    assert not is_right(path)


def test_two_processes_that_build_at_once_both_get_a_whole_library(tmp_path):
    slow = fake_compiler(tmp_path, """case "$*" in *--version*) echo one; exit 0;; esac
sleep 0.2; for a; do [ "$l" = -o ] && echo $$ > "$a"; l=$a; done""")
    program = f"""{WITHOUT_TORCH}
import os, pathlib; os.environ["CXX"] = {slow!r}
print(build.built(pathlib.Path({str(tmp_path / "kept")!r}), (build.PORTABLE,)))"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    names = {each.communicate()[0].strip() for each in both}
    assert all(each.returncode == 0 for each in both)
    assert len(names) == 1
    assert [str(path) for path in (tmp_path / "kept").iterdir()] == sorted(names)


def test_a_library_goes_by_its_sources_flags_and_compiler(tmp_path, monkeypatch):
    first = build.sources_key((build.PORTABLE,))
    assert build.sources_key((build.PORTABLE, build.EMULATED)) != first
    copy = tmp_path / "csrc"
    copy.mkdir()
    for path in build.SOURCES.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "SOURCES", copy)
    assert build.sources_key((build.PORTABLE,)) == first
    (copy / "layout.h").write_text("// changed")
    assert build.sources_key((build.PORTABLE,)) != first


def test_the_name_of_a_library_is_the_same_in_every_process():
    program = f"{WITHOUT_TORCH}\nprint(build.library_name(build.units_for(everywhere=True)))"
    names = {run(program, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")}
    assert names == {build.library_name(build.units_for(everywhere=True)) + "\n"}


@pytest.fixture
def cached(compiled, tmp_path, monkeypatch):
    """Builds nothing: "compiling" is a copy of what was compiled. Gives the file in the cache."""
    def built(folder, _):
        folder.mkdir(exist_ok=True)
        file = folder / "kernels.so"
        if not file.exists():
            shutil.copy(compiled.file, file)
        return file

    monkeypatch.setenv("MPSEARCH_KERNELS", str(tmp_path / "kept"))
    monkeypatch.setattr(build, "library_name", lambda units: f"none of {len(units)}")
    monkeypatch.setattr(build, "built", built)
    return tmp_path / "kept" / "kernels.so"


@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.3, 0.99])
def test_a_library_that_is_cut_short_is_built_again(compiled, cached, kept):
    """Loading one would end the process by a signal."""
    whole = compiled.file.read_bytes()
    cached.parent.mkdir()
    cached.write_bytes(whole[:int(len(whole) * kept)])
    assert library._loaded().runs("portable")
    assert cached.read_bytes() == whole


def test_a_library_that_is_none_is_built_again(cached):
    cached.parent.mkdir()
    cached.write_bytes(b"not a library" * 9)
    assert library._loaded().runs("portable")


def test_a_cache_that_cannot_be_written_is_said_and_done_without(cached):
    cached.parent.write_text("a file where the folder should be")
    with pytest.warns(RuntimeWarning, match="for this process alone: .*kept.*set MPSEARCH_KERNELS"):
        own = library._loaded()
    assert own.runs("portable")
    assert not own.file.exists()


@pytest.mark.usefixtures("cached")
def test_a_user_without_a_home_has_kernels_too(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.delenv("MPSEARCH_KERNELS")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.warns(RuntimeWarning, match="alone: Could not determine home directory; set"):
        assert library._loaded().runs("portable")


def test_a_shipped_library_of_another_system_is_not_the_end(cached, monkeypatch, tmp_path):
    (tmp_path / "other.so").write_bytes(b"for another system")
    monkeypatch.setattr(build, "library_name", lambda _: str(tmp_path / "other.so"))
    assert library._loaded().file == cached


def test_there_is_one_openmp_runtime(compiled):
    """In a process of its own: libraries that other tests load bring theirs."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("only Linux tells what is loaded")
    program = (f"import torch, ctypes; ctypes.CDLL({str(compiled.file)!r}); "
               "print(open('/proc/self/maps').read())")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    runtimes = {line.split()[-1] for line in done.stdout.splitlines()
                if "libgomp" in line or "libomp" in line}
    assert len(runtimes) == 1, runtimes


def test_a_forked_child_computes_the_same(compiled):
    """Its parent has run on two threads, and one of them holds the lock: it must wait for none."""
    program = f"""
import multiprocessing, sys, threading, torch, warnings
from pathlib import Path
from mpsearch.kernels import linear_sums, library
from tests.kernels.cases import case
warnings.simplefilter("ignore")
torch.set_num_threads(2)
held, done = threading.Event(), threading.Event()
def hold():
    with library._State.lock:
        held.set()
        done.wait()
own = library.opened(Path({str(compiled.file)!r}))
library._loaded = lambda: own
made = case(4, (64, 256, 64), seed=1)
with library.using(own):
    before = linear_sums(made.a, made.weight)
def work(_):
    return library.threads(), bytes(linear_sums(made.a, made.weight).untyped_storage())
threading.Thread(target=hold).start()
held.wait()
try:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        threads, child = pool.map_async(work, [0]).get(30)[0]
finally:
    done.set()
sys.exit(threads != 1 or child != bytes(before.untyped_storage()))
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_two_models_in_threads_of_one_process_do_not_disturb_each_other(anywhere):
    from mpsearch.kernels import linear
    models = [case(bits, (30, 130, 200), group=48, seed=bits) for bits in (3, 8)]
    wanted = [linear(made.a, made.weight) for made in models]
    with ThreadPoolExecutor(2) as pool:
        outs = list(pool.map(lambda i: linear(models[i % 2].a, models[i % 2].weight), range(20)))
    assert all(torch.equal(out, wanted[i % 2]) for i, out in enumerate(outs)), anywhere


def test_a_packed_weight_goes_to_another_process_and_back(anywhere):
    made = case(6, (3, 65, 20), seed=1)
    again = pickle.loads(pickle.dumps((made.a, made.weight)))  # noqa: S301 - our own bytes
    from mpsearch.kernels import linear
    assert torch.equal(linear(*again), linear(made.a, made.weight)), anywhere
