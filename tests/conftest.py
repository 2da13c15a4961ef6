"""What the tests of the build and of the commands share. They run on what `make` has built in
SLIPWAY_BUILD; `make test` sees to it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """The longest first, so that the cores end together."""
    def weight(item):
        marker = item.get_closest_marker("weight")
        return marker.args[0] if marker else 0
    items.sort(key=lambda item: -weight(item))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build():
    return ROOT / os.environ.get("SLIPWAY_BUILD", "build")


@pytest.fixture(scope="session")
def run():
    """run(command...): a finished host command; it has no terminal and knows nothing of the make
    that runs the tests. `status=None` accepts every exit status."""
    def run(*command, cwd=ROOT, status=0, timeout=120, **environment):
        clean = {name: value for name, value in os.environ.items()
                 if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run([str(part) for part in command], cwd=cwd, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=timeout,
                              env={**clean, **environment})
        assert status is None or done.returncode == status, \
            f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
    return run


@pytest.fixture(scope="session")
def make(run, build):
    """make(target, "MEM=5G", ...) in the tree, on what is built already."""
    def make(*arguments, **options):
        return run("make", f"BUILD={build.relative_to(ROOT)}", f"CC={os.environ.get('CC') or 'gcc'}",
                   *arguments, **options)
    return make


@pytest.fixture(scope="session")
def sdk(make, tmp_path_factory):
    """What `make install` installs, in a folder of its own: the prefix."""
    prefix = tmp_path_factory.mktemp("sdk") / "prefix"
    make("install", f"PREFIX={prefix}")
    return prefix


@pytest.fixture(scope="session")
def build_program(tmp_path_factory):
    """build_program(name, *patterns): a program of tests/programs with pure files, under sanitizers."""
    def build_program(name, *patterns):
        program = tmp_path_factory.mktemp(name) / name
        sources = [ROOT / f"tests/programs/{name}.c",
                   *(path for pattern in patterns for path in sorted(ROOT.glob(pattern)))]
        flags = "-std=gnu2x -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all".split()
        subprocess.run(["gcc", *flags, f"-I{ROOT}", *sources, "-o", program], check=True, timeout=120)
        return program
    return build_program


@pytest.fixture(scope="session")
def elf_load(build_program):
    """The loader's own ELF reader, as a program."""
    return build_program("elf_load", "loader/elf*.c", "common/base/fmt.c")


@pytest.fixture
def small_tree(tmp_path):
    """scripts/ and the QEMU rig, with nothing to build or to test but what the test puts there."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("qemu.py", "absent_tpm.py", "fat.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    return tmp_path


@pytest.fixture
def make_small(run, small_tree):
    """make_small(target, "MEM=5G", ...) in the small tree, where nothing has to be built."""
    def make_small(*arguments, **options):
        return run("make", "-o", "programs", *arguments, cwd=small_tree, **options)
    return make_small


@pytest.fixture
def copy_tree():
    """copy_tree(folder): a copy of the sources, with nothing that was built."""
    def copy(folder):
        def built(parent, names):
            at_top = Path(parent) == ROOT
            in_esp = Path(parent) == ROOT / "esp"
            return [name for name in names if name == "__pycache__"
                    or at_top and name in ("build", ".git")
                    or in_esp and name in ("EFI", "kernel.elf", ".staged")]
        shutil.copytree(ROOT, folder, ignore=built)
        return folder
    return copy
