"""Memory maps of real and of hostile machines through build/host/replay, against the figures of an
independent computation (EXPECTED.tsv beside the maps)."""

import filecmp
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "tests/data/maps"
ORIGINAL = ROOT.parent / "shared/maps"
MAPS = ORIGINAL if ORIGINAL.is_dir() else COPY
REPLAY = ROOT / os.environ.get("SLIPWAY_BUILD", "build") / "host/replay"

FRAME = 4096
STRIDES = (40, 48, 56)
KEYS = """descriptors ram.bytes usable.bytes reclaimable.bytes frames.total frames.free
    frames.metadata_bytes hhdm.leaves_1g hhdm.leaves_2m hhdm.leaves_4k tables.pages
    audit.violations""".split()


def run(*arguments):
    return subprocess.run([REPLAY, *arguments], capture_output=True, text=True, timeout=120)


def figures(text):
    """The numbers by key, each key once and in order, and the oddities by name."""
    pairs = [line.split("=", 1) for line in text.splitlines()]
    numbers = [(key, int(value)) for key, value in pairs if key != "map.oddity"]
    assert [key for key, _ in numbers] == KEYS
    oddities = [value.split() for key, value in pairs if key == "map.oddity"]
    assert len({name for name, _ in oddities}) == len(oddities)
    return dict(numbers), {name: int(count) for name, count in oddities}


def replay(path, *options):
    result = run(*options, path)
    assert (result.returncode, result.stderr) == (0, "")
    return figures(result.stdout)


def expected():
    for line in (MAPS / "EXPECTED.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            name, *numbers = line.split("\t")
            yield name, [int(number) for number in numbers]


EXPECTED = dict(expected())


def expected_figures(name, has_1g):
    (descriptors, usable, reclaimable, l1g, l2m, l4k, tables, l2m_no1g, l4k_no1g,
     tables_no1g) = EXPECTED[name]
    leaves = (l1g, l2m, l4k) if has_1g else (0, l2m_no1g, l4k_no1g)
    return {
        "descriptors": descriptors,
        "ram.bytes": leaves[0] * 2**30 + leaves[1] * 2**21 + leaves[2] * FRAME,
        "usable.bytes": usable,
        "reclaimable.bytes": reclaimable,
        "frames.total": usable // FRAME,
        "hhdm.leaves_1g": leaves[0],
        "hhdm.leaves_2m": leaves[1],
        "hhdm.leaves_4k": leaves[2],
        "tables.pages": tables if has_1g else tables_no1g,
        "audit.violations": 0,
    }


def check(name, numbers, has_1g):
    want = expected_figures(name, has_1g)
    assert {key: numbers[key] for key in want} == want
    metadata_frames = -(-numbers["frames.metadata_bytes"] // FRAME)
    assert numbers["frames.free"] == numbers["frames.total"] - metadata_frames


@pytest.mark.parametrize("has_1g", (True, False), ids=("1g", "no1g"))
@pytest.mark.parametrize("name", EXPECTED)
def test_every_map_gives_the_expected_figures(name, has_1g):
    options = [] if has_1g else ["--1g=off"]
    numbers, _ = replay(MAPS / name, *options)
    check(name, numbers, has_1g)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", EXPECTED)
def test_every_stride_gives_the_expected_figures(name, stride):
    numbers, _ = replay(MAPS / name, f"--stride={stride}")
    check(name, numbers, has_1g=True)


def test_every_map_has_expected_figures():
    maps = {str(path.relative_to(MAPS)) for path in MAPS.rglob("*.map")}
    assert maps == set(EXPECTED)
    assert len(maps) > 40


@pytest.mark.parametrize("original", [ORIGINAL] if ORIGINAL.is_dir() else [COPY])
def test_the_copy_of_the_maps_is_the_original(original):
    files = sorted(path.relative_to(original) for path in original.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(COPY) for path in COPY.rglob("*") if path.is_file())
    for file in files:
        assert filecmp.cmp(original / file, COPY / file, shallow=False), file


ODDITIES = {
    "synthetic/S01-zero-page-descriptors.map": {"zero-pages": 9},
    "synthetic/S03-pages-overflow-shift.map": {"wraps": 3},
    "synthetic/S05-ram-to-exact-2e52.map": {"beyond-limit": 1},
    "synthetic/S07-far-reserved-amd-ht-hole.map": {},
    "synthetic/S11-runtime-inside-bootdata.map": {"overlap": 1},
    "synthetic/S13-conventional-partial-overlap.map": {
        "unsorted": 3, "overlap": 5, "frame-0": 1, "legacy-hole": 1},
    "synthetic/S15-reverse-sorted.map": {"unsorted": 3},
    "synthetic/S17-page0-conventional.map": {"frame-0": 1},
    "synthetic/S21-special-purpose.map": {"soft-reserved": 1},
    "synthetic/S25-ram-without-wb.map": {"ram-without-wb": 3},
    "synthetic/S27-run-on-conventional.map": {"runtime-on-ram": 2},
    "synthetic/S29-mmio-no-cache-bits.map": {"unsorted": 1, "mmio-uncached": 1},
    "synthetic/S37-empty-map.map": {"empty": 1},
    "06-apple-macmini31.map": {"unsorted": 1, "frame-0": 1, "mmio-uncached": 7, "unmerged": 5},
    "36-ovmf-mikan-128m.map": {"ram-without-wb": 1},
}


@pytest.mark.parametrize("name", ODDITIES)
def test_oddities_are_named_and_counted(name):
    _, oddities = replay(MAPS / name)
    assert oddities == ODDITIES[name]


def test_the_12_tib_page_costs_no_more_metadata_than_one_block_and_its_arena():
    near, _ = replay(MAPS / "synthetic/S07-far-reserved-amd-ht-hole.map")
    far, _ = replay(MAPS / "synthetic/S09-far-single-ram-page-12tib.map")
    assert 0 < far["frames.metadata_bytes"] - near["frames.metadata_bytes"] < 300


def test_several_files_are_named_in_turn():
    names = [MAPS / "synthetic/S35-tiny-64k.map", MAPS / "synthetic/S37-empty-map.map"]
    result = run(*names)
    assert (result.returncode, result.stderr) == (0, "")
    _, first, second = result.stdout.split("file=")
    for name, part in zip(names, (first, second)):
        head, _, rest = part.partition("\n")
        assert head == str(name)
        assert figures(rest) == replay(name)


def test_a_map_without_room_for_metadata_is_reported(tmp_path):
    path = tmp_path / "boot-services-alone.map"
    path.write_text("4 0x100000 256 0xf\n")
    numbers, oddities = replay(path)
    assert oddities == {"no-room-for-frame-metadata": 1}
    assert (numbers["usable.bytes"], numbers["reclaimable.bytes"]) == (0, 2**20)
    assert (numbers["frames.total"], numbers["frames.free"]) == (0, 0)
    assert numbers["audit.violations"] == 0


def test_what_the_text_form_allows(tmp_path):
    path = tmp_path / "allowed.map"
    path.write_text("# comment\n\n  7\t0X100000 256 F # comment\r\n0x70000000 200000 1 0xf")
    numbers, oddities = replay(path)
    assert (numbers["descriptors"], numbers["usable.bytes"]) == (2, 2**20)
    assert oddities == {"unknown-type": 1}


BAD_LINES = {
    "7 0x1000 1": "fewer than four columns",
    "7": "fewer than four columns",
    "7 0x1000 1 # 0xf": "fewer than four columns",
    "7 0x1000 1 0xf 0xf": "more than four columns",
    "x 0x1000 1 0xf": "not a decimal number",
    "-1 0x1000 1 0xf": "not a decimal number",
    "+7 0x1000 1 0xf": "not a decimal number",
    "7 0x10g0 1 0xf": "not a hexadecimal number",
    "7 0x 1 0xf": "a number without digits",
    "7 0x1000 0x1 0xf": "not a decimal number",
    "7 0x1000 1.5 0xf": "not a decimal number",
    "7 0x1000 1 0xf;": "not a hexadecimal number",
    "7 0x1000 1 0xf\0": "not a hexadecimal number",
    "4294967296 0x1000 1 0xf": "a number that is too large",
    "7 0x10000000000000000 1 0xf": "a number that is too large",
    "7 0x1000 18446744073709551616 0xf": "a number that is too large",
    "7 0x1000 1 0x1ffffffffffffffff": "a number that is too large",
    "#" * 1025: "a line of more than 1024 bytes",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_line_that_cannot_be_parsed_is_named(tmp_path, line):
    path = tmp_path / "bad.map"
    path.write_text(f"# good\n7 0x1000 1 0xf\n{line}\n7 0x2000 1 0xf\n")
    result = run(path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"{path}:3: {BAD_LINES[line]}\n"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path, cause in ((tmp_path / "missing.map", "No such file or directory"),
                        (tmp_path, "Is a directory")):
        result = run(path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"{path}: {cause}\n"


def test_a_file_without_end_is_refused():
    result = run("/dev/zero")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "/dev/zero: too large\n"


def test_a_bad_file_among_good_ones_fails_and_the_others_are_shown(tmp_path):
    good = MAPS / "synthetic/S35-tiny-64k.map"
    result = run(tmp_path / "missing.map", good)
    assert result.returncode == 1
    assert f"file={good}\ndescriptors=2\n" in result.stdout


@pytest.mark.parametrize("arguments", ([], ["--1g=off"], ["--1g=on", "x"], ["--stride=41", "x"]))
def test_a_wrong_command_line_gets_the_usage(arguments):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("usage: replay ")
