"""slipway new: each kernel that it makes is built, checked, booted, tested and debugged where a stranger would
have it: in an empty folder, with what `make install` has put elsewhere."""

import os
import re
import shutil

import pytest

from slipway_kit import ROOT  # which knows where slipway_lib is
from slipway_lib.commands import new

# One process builds Rust's core, for both kernels.
LANGUAGES = [pytest.param(lang, marks=pytest.mark.xdist_group("rust") if lang == "rust" else ()) for lang in new.LANGUAGES]
PROTOCOLS = list(new.PROTOCOLS)


@pytest.fixture(scope="module")
def stranger(make, run, tmp_path_factory):
    """stranger(command..., cwd=...): runs it with the installed slipway on the PATH, and with Debian's rustc."""
    folder = tmp_path_factory.mktemp("stranger")
    make("install", f"PREFIX={folder}/installed")
    gdb = folder / "gdb"
    gdb.write_text("#!/bin/sh\nexec gdb --batch \"$@\" -ex bt\n")
    gdb.chmod(0o755)

    def stranger(*command, **options):
        return run(*command, **{"PATH": f"{folder}/installed/bin:{os.environ['PATH']}", "GDB": str(gdb),
                                "RUSTC": "/usr/bin/rustc", **options})
    return stranger


@pytest.fixture(scope="module")
def rust_core(stranger, tmp_path_factory):
    """libcore for kernels, built once, by the Makefile that `slipway new` makes."""
    folder = tmp_path_factory.mktemp("rust")
    stranger("slipway", "new", "core", "--lang", "rust", cwd=folder)
    stranger("make", cwd=folder / "core", timeout=300)
    return folder / "core/core"


@pytest.fixture
def made(request, stranger, tmp_path):
    """made(lang, protocol): a new folder, in an empty one."""
    def made(lang, protocol):
        done = stranger("slipway", "new", "mine", "--lang", lang, "--protocol", protocol, cwd=tmp_path)
        assert done.stdout == (f"mine: a kernel in {new.LANGUAGES[lang].title}, of the {protocol.capitalize()} protocol\n"
                               "boot it:  cd mine && make run\n")
        if lang == "rust":
            shutil.copytree(request.getfixturevalue("rust_core"), tmp_path / "mine/core")
        return tmp_path / "mine"
    return made


@pytest.mark.weight(12)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_new_kernel_is_built_and_passes_its_test_and_stops_in_gdb(made, stranger, lang, protocol):
    folder = made(lang, protocol)
    passed = stranger("make", "test", cwd=folder)
    assert "warning" not in passed.stdout + passed.stderr
    assert "slipway test: mine.elf: passed in" in passed.stdout
    said = stranger("slipway", "check", "mine.elf", cwd=folder).stdout
    assert bool(re.search("^protocol +Limine, base revision 3$", said, re.M)) == (protocol == "limine")
    assert ("\nnote          version 1\n" in said) == (protocol == "slipway") and "\nboots  " in said
    stopped = stranger("make", "debug", cwd=folder)
    assert re.search(r"^#0  .*kernel_start\b.* kernel\.\w+:\d+$", stopped.stdout, re.M), stopped.stdout
    source = folder / f"kernel{new.LANGUAGES[lang].suffix}"
    source.write_text(source.read_text().replace("Hello from", "Goodbye from"))
    stranger("make", "clean", cwd=folder)
    assert {path.name for path in folder.iterdir()} == {"Makefile", source.name, "README.md", ".gitignore"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("lang, variable, compiler", [("c", "CC", "clang"), ("c++", "CXX", "clang++"), ("asm", "CC", "clang")])
def test_a_new_kernel_built_by_clang_passes_its_test_and_stops_in_gdb(made, stranger, lang, variable, compiler, protocol):
    folder = made(lang, protocol)
    passed = stranger("make", "test", f"{variable}={compiler}", cwd=folder)
    assert "warning" not in passed.stdout + passed.stderr
    assert f"{compiler} " in passed.stdout and "slipway test: mine.elf: passed in" in passed.stdout
    stopped = stranger("make", "debug", f"{variable}={compiler}", cwd=folder)
    assert re.search(r"^#0  .*kernel_start\b.* kernel\.\w+:\d+$", stopped.stdout, re.M), stopped.stdout


@pytest.mark.weight(4)
def test_a_kernel_that_says_something_else_fails_its_test(made, stranger):
    folder = made("c", "slipway")
    source = folder / "kernel.c"
    source.write_text(source.read_text().replace("Hello from", "Goodbye from"))
    failed = stranger("make", "test", cwd=folder, status=2)
    assert "slipway test: mine.elf: " in failed.stderr and "Hello from mine" in failed.stderr
    assert "Goodbye from mine" in (folder / "slipway-failure-mine/serial.txt").read_text()


@pytest.mark.weight(4)
def test_run_prints_what_the_kernel_says(made, stranger):
    assert "Hello from mine: " in stranger("make", "run", cwd=made("c", "slipway")).stdout


@pytest.mark.parametrize("name, message", [
    ("taken", "taken: is there already; take another name, or remove it"),
    ("none/mine", "none: there is no such folder"),
    ("a b", "a b: a kernel's name has letters, digits, '_', '.' and '-', up to 64, and begins with a letter or a digit"),
    ("", "an empty name: a kernel's name has letters, digits, '_', '.' and '-', up to 64, and begins with a letter or a "
         "digit"),
    ("-x", None), (".", None)])
def test_a_folder_that_cannot_be_is_refused(stranger, tmp_path, name, message):
    (tmp_path / "taken").write_text("")
    failed = stranger("slipway", "new", name, cwd=tmp_path, status=2)
    assert failed.stderr == f"slipway new: {message}\n" if message else failed.stderr.startswith("slipway new: ")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_compiler_that_is_missing_is_said_with_its_package(stranger, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to("/usr/bin/python3")
    installed = stranger("sh", "-c", "command -v slipway").stdout.strip()
    done = stranger(installed, "new", "mine", "--lang", "c++", cwd=tmp_path, PATH=str(programs))
    assert done.stdout.splitlines()[1] == "make and g++ are not installed; Debian's packages: make g++"


def test_rust_without_a_core_says_where_one_comes_from(stranger, tmp_path):
    stranger("slipway", "new", "mine", "--lang", "rust", cwd=tmp_path)
    (tmp_path / "rustc").write_text("#!/bin/sh\necho /nowhere\n")
    (tmp_path / "rustc").chmod(0o755)
    failed = stranger("make", f"RUSTC={tmp_path}/rustc", cwd=tmp_path / "mine", status=2)
    assert (f"{tmp_path}/rustc has no core for kernels: rustup target add x86_64-unknown-none; or, for Debian's, apt install"
            " rust-src, and RUSTC=/usr/bin/rustc if another comes first on the PATH.  Stop.\n") in failed.stderr


def test_the_flags_are_those_of_the_installed_header(stranger, tmp_path):
    flags = stranger("slipway", "flags").stdout.split()
    (tmp_path / "user.c").write_text("#include <slipway_boot.h>\n")
    stranger("gcc", *flags, "-fsyntax-only", "user.c", cwd=tmp_path)
    assert flags[0].endswith("/installed/include")
    assert stranger(ROOT / "scripts/slipway", "flags").stdout == f"-I{ROOT}/common/boot\n"
