"""esp/: make puts its loader and its kernel there and never takes the place of a user's file."""

import hashlib
import os
import shutil

import pytest

from fat import make_image, tree_files

LOADER, KERNEL = "esp/EFI/BOOT/BOOTX64.EFI", "esp/kernel.elf"
KEPT = "stage: {} is not make's: it stays."


@pytest.fixture
def tree(small_tree):
    """A tree with a config in esp/ and programs that stand for those which make builds."""
    (small_tree / "esp").mkdir()
    (small_tree / "esp/slipway.conf").write_text("log = quiet\n")
    write_programs(small_tree / "build", "first")
    return small_tree


def write_programs(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "BOOTX64.EFI").write_text(f"loader, {text}")
    (folder / "kernel.elf").write_text(f"kernel, {text}")


def esp(tree):
    """The text of every file that stands in esp/ for the machine."""
    return {f"esp/{name}": path.read_text() for name, path in tree_files(tree / "esp").items()}


def staged(text):
    return {"esp/slipway.conf": "log = quiet\n", LOADER: f"loader, {text}", KERNEL: f"kernel, {text}"}


def test_make_puts_its_programs_into_esp_and_knows_them_by_their_digests(tree, make_small):
    done = make_small("all")
    assert (esp(tree), done.stdout, done.stderr) == (staged("first"), "", "")
    assert (tree / "esp/.staged").read_text() == "".join(
        f"{hashlib.sha256((tree / name).read_bytes()).hexdigest()}  {name}\n" for name in (LOADER, KERNEL))
    assert (tree / KERNEL).stat().st_mode & 0o777 == 0o644
    stamp = (tree / KERNEL).stat().st_mtime_ns
    make_small("all")
    assert (tree / KERNEL).stat().st_mtime_ns == stamp, "nothing had changed"


@pytest.mark.parametrize("change", ["rebuilt", "other BUILD", "no build folder", "files removed"])
def test_make_replaces_what_it_put_there_itself(tree, make_small, change):
    make_small("all")
    folder = "build"
    if change == "other BUILD":
        folder = "elsewhere"
    elif change == "no build folder":
        shutil.rmtree(tree / "build")
    elif change == "files removed":
        (tree / LOADER).unlink()
        (tree / KERNEL).unlink()
    write_programs(tree / folder, "second")
    done = make_small("all", f"BUILD={folder}")
    assert (esp(tree), done.stderr) == (staged("second"), "")
    write_programs(tree / folder, "third")
    make_small("all", f"BUILD={folder}")
    assert esp(tree) == staged("third")


@pytest.mark.parametrize("name", [LOADER, KERNEL])
@pytest.mark.parametrize("when", ["before the first make", "after it", "without a record"])
def test_a_users_own_file_stays_through_every_make_and_one_line_says_so(tree, make_small, name, when):
    mine = tree / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    if when != "before the first make":
        make_small("all")
        mine.unlink()
    mine.write_text("mine")
    if when == "without a record":
        (tree / "esp/.staged").unlink()
    for text in ("first", "second", "third"):
        write_programs(tree / "build", text)
        done = make_small("all")
        assert esp(tree) == {**staged(text), name: "mine"}
        built = "build/BOOTX64.EFI" if name == LOADER else "build/kernel.elf"
        assert done.stderr == f"{KEPT.format(name)} Delete it to have {built} there.\n"
    done = make_small("clean")
    assert KEPT.format(name) + "\n" == done.stderr
    assert esp(tree) == {"esp/slipway.conf": "log = quiet\n", name: "mine"}
    mine.unlink()
    write_programs(tree / "build", "fourth")
    assert make_small("all").stderr == ""
    assert esp(tree) == staged("fourth")


def test_a_link_to_a_kernel_that_is_not_built_yet_stays(tree, make_small):
    (tree / KERNEL).symlink_to("../my kernel.elf")
    assert KEPT.format(KERNEL) in make_small("all").stderr
    (tree / "my kernel.elf").write_text("mine")
    assert esp(tree) == {**staged("first"), KERNEL: "mine"}


def test_files_of_an_older_make_that_kept_no_record_are_known_while_they_are_what_is_built(
        tree, make_small):
    make_small("all")
    (tree / "esp/.staged").unlink()
    make_small("all")
    write_programs(tree / "build", "second")
    make_small("all")
    assert esp(tree) == staged("second")


def test_clean_removes_what_make_put_there_and_nothing_else(tree, make_small):
    before = {path for path in tree.rglob("*") if "build" not in path.parts}
    make_small("all")
    make_small("clean")
    assert set(tree.rglob("*")) == before
    make_small("clean")
    write_programs(tree / "build", "first")
    make_small("all")
    (tree / "esp/EFI/mine.efi").write_text("mine")
    make_small("clean")
    assert esp(tree) == {"esp/slipway.conf": "log = quiet\n", "esp/EFI/mine.efi": "mine"}


def test_a_copy_that_fails_leaves_the_old_file_whole(tree, make_small):
    make_small("all")
    write_programs(tree / "build", "second")
    fake = tree / "bin/install"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nfor last; do :; done\nprintf half >"$last"\n'
                    "echo install: no space left >&2\nexit 1\n")
    fake.chmod(0o755)
    done = make_small("all", status=2, PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert "install: no space left" in done.stderr
    assert esp(tree) == staged("first")
    assert {path.name for path in (tree / "esp").iterdir()} == {".staged", "EFI", "kernel.elf", "slipway.conf"}
    assert make_small("all").stderr == ""
    assert esp(tree) == staged("second")


def test_the_image_holds_what_cp_copies_from_esp(tree, make_small, run):
    (tree / "esp/.hidden").mkdir()
    (tree / "esp/.hidden/file").touch()
    make_small("image")
    copied = tree / "copied"
    copied.mkdir()
    run("sh", "-c", "cp -r esp/* copied", cwd=tree)
    files = {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()}
    listed = run("mdir", "-/", "-b", "-i", tree / "build/slipway.img", "::").stdout.split()
    assert {name.removeprefix("::/") for name in listed if not name.endswith("/")} == files
    assert files == {"slipway.conf", "kernel.elf", "EFI/BOOT/BOOTX64.EFI"}


@pytest.mark.parametrize("names", [("kernel.elf", "KERNEL.ELF"), ("EFI/BOOT/a", "efi/b")])
def test_an_image_takes_no_two_files_of_which_one_would_hide_the_other(tmp_path, names):
    first, second = sorted(name.partition("/")[0] for name in names)
    with pytest.raises(RuntimeError, match=f"^{first} and {second} are one name on a FAT") as raised:
        make_image(tmp_path / "esp.img", {name: b"" for name in sorted(names)})
    assert "remove one" in str(raised.value)
