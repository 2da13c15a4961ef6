"""Discs as xorriso really makes them, through the loader's own ISO 9660 reader
(tests/programs/iso_read.c)."""

import random
import subprocess

import pytest

# By kind of disc what xorriso is told, and whether names are whole there.
KINDS = {
    "rock-ridge": ([], True),
    "rock-ridge-moved": (["-rr_reloc_dir", "moved"], True),
    "joliet": (["--norock", "-J"], True),
    "both": (["-J", "-R"], True),
    "long-joliet": (["--norock", "-J", "-joliet-long"], True),
    "level-1": (["--norock", "-iso-level", "1"], False),
    "level-3": (["--norock", "-iso-level", "3"], False),
}
DEEP = "a/b/c/d/e/f/g/h/i"
LONG = "a-name-of-some-sixty-characters-for-a-module-0123456789.module"
FILES = {
    "KERNEL.ELF": b"kernel",
    "BOOT/INITRD.IMG": random.Random(1).randbytes(100_000),
    "BOOT/EMPTY": b"",
    "NODOT": b"no dot",
}
WIDEST = {"modules/" + "L\u20ac" * 48 + ".module": b"103 characters"}  # of -joliet-long
WHOLE = {
    f"modules/{LONG}": b"long",
    f"{DEEP}/deep.file": b"deep",
    "L\u00e4nder \u20ac/x y.z": b"umlaut",
}


@pytest.fixture(scope="module")
def iso_read(build_program):
    return build_program("iso_read", "loader/iso9660*.c", "loader/utf.c")


def make_disc(folder, files, options):
    tree = folder / "tree"
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    disc = folder / "disc.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", *options, "-o", disc, tree], check=True,
                   capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    return disc


def read(iso_read, disc, path):
    """The contents, or the reason why there are none."""
    done = subprocess.run([iso_read, disc, path], capture_output=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode == 0 else done.stderr.decode().strip()


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_disc_is_read(tmp_path, iso_read, kind):
    options, has_whole_names = KINDS[kind]
    files = {**FILES, **(WHOLE if has_whole_names else {}), **(WIDEST if kind == "long-joliet" else {})}
    disc = make_disc(tmp_path, files, options)
    for name, content in files.items():
        assert read(iso_read, disc, f"/{name}") == content, name
    for name, content in FILES.items():
        assert read(iso_read, disc, name.lower().replace("/", "\\")) == content, name
    assert read(iso_read, disc, "/boot/none") == "not found"
    assert read(iso_read, disc, "/BOOT") == "is a directory"


def test_a_directory_of_thousands_of_files_is_looked_through(tmp_path, iso_read):
    files = {f"many/file-number-{number}.txt": b"%d" % number for number in range(2000)}
    disc = make_disc(tmp_path, files, [])
    for number in (0, 1, 999, 1999):
        assert read(iso_read, disc, f"/many/file-number-{number}.txt") == b"%d" % number
    assert read(iso_read, disc, "/many/file-number-2000.txt") == "not found"


def test_a_symbolic_link_is_refused_by_name_and_what_is_below_one(tmp_path, iso_read):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("KERNEL.ELF")
    (tmp_path / "tree/folder").symlink_to("BOOT")
    disc = make_disc(tmp_path, FILES, [])
    for path in ("/link", "/folder", "/folder/initrd.img"):
        assert read(iso_read, disc, path) == "leads through a symbolic link: name what that leads to"


def test_a_file_that_is_compressed_on_the_disc_is_refused(tmp_path, iso_read):
    (tmp_path / "plain").write_bytes(b"plain")
    (tmp_path / "large").write_bytes(b"large" * 10_000)
    disc = tmp_path / "disc.iso"
    subprocess.run(["xorriso", "-outdev", disc, "-map", tmp_path / "plain", "/plain",
                    "-map", tmp_path / "large", "/large", "-set_filter", "--zisofs", "/large", "--"],
                   check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert read(iso_read, disc, "/plain") == b"plain"
    assert read(iso_read, disc, "/large") == "is compressed on the disc (zisofs): write it as it is"


def test_a_disc_that_is_cut_is_not_read_past_its_end(tmp_path, iso_read):
    whole = make_disc(tmp_path, FILES, ["-no-pad"]).read_bytes()
    cut = tmp_path / "cut.iso"
    cut.write_bytes(whole[:-60_000])
    assert read(iso_read, cut, "/boot/initrd.img") == "the disc's ISO 9660 tree is damaged"
    cut.write_bytes(whole[:32768])
    assert read(iso_read, cut, "/boot/initrd.img") == "no ISO 9660 tree"
