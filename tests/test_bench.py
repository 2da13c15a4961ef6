"""scripts/bench-vmem writes what others read: a list of objects, each with every field, for every
operation that has a goal; scripts/boot_rows.py counts boots against goals. What the figures are is no
test's business."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "bench-vmem"
PROGRAM = ROOT / os.environ.get("SLIPWAY_BUILD", "build") / "bench" / "bench_vmem"
NUMBERS = {"ns", "ns_median", "instructions", "scale_ns", "scale_unrolled_ns", "scale_walk_ns",
           "entries"}


def load_script():
    loader = importlib.machinery.SourceFileLoader("bench_vmem", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_vmem", loader))
    loader.exec_module(module)
    return module


# 512 stores, or walks, in 100 ns.
SCALES = {getattr(load_script(), name): (512, 1, [100]) for name in ("SIMPLE", "UNROLLED", "WALK")}
ONES = {name: 1 for name in SCALES}


def test_bench_writes_every_operation_with_every_field(tmp_path):
    output = tmp_path / "vmem.json"
    done = subprocess.run([SCRIPT, "--divisor", "512", "--output", output, "--program", PROGRAM],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    bench = load_script()
    assert {*bench.GOALS, bench.SPLIT, *SCALES} <= set(names)
    for row in rows:
        assert row["name"] in done.stdout
        assert set(row) == NUMBERS | {"name", "goal_ns", "goal_instructions", "met"}
        # A short run may fill less of a table, and clear more, than a shorter one.
        assert all(row[key] > 0 for key in NUMBERS - {"instructions"})
        assert row["instructions"] != 0
        assert (row["goal_ns"] is None) == (row["met"] is None)


def test_a_goal_is_met_when_both_figures_are_at_most_the_goal():
    bench = load_script()
    for instructions, median, met in ((6.0, 70, True), (6.1, 70, False), (6.0, 71, False)):
        times = {**SCALES, "map 1 GiB as 4 KiB": (100, 100, [median, 69, 75])}
        counts = {**ONES, "map 1 GiB as 4 KiB": instructions}
        row = bench.make_rows(times, counts)[-1]
        assert (row["ns"], row["ns_median"], row["met"]) == (0.69, median / 100, met)


def test_a_split_may_cost_two_tables_of_unrolled_stores_and_100_ns():
    bench = load_script()
    for median, met in ((300, True), (301, False)):
        times = {**SCALES, bench.SPLIT: (1, 1, [median])}
        row = bench.make_rows(times, {**ONES, bench.SPLIT: 1})[-1]
        assert (row["goal_ns"], row["met"]) == (300, met)


def test_the_cost_of_a_span_may_grow_with_the_entries_and_no_faster():
    bench = load_script()
    for further, met in ((20, True), (40, False)):
        times = {**SCALES, "protect 4 KiB": (1, 1, [30]), "protect 64 TiB": (1000, 1, [3000])}
        counts = {**ONES, "protect 4 KiB": 300, "protect 64 TiB": 300 + 1000 * further}
        assert bench.make_rows(times, counts)[-1]["met"] is met


class Booted:
    """A result of a boot, as far as rows look at it."""

    def __init__(self, report=None, serial=""):
        self.report = lambda: report
        self.serial = serial


def load_rows():
    sys.path.insert(0, str(ROOT / "scripts"))
    return importlib.import_module("boot_rows")


def test_a_row_of_boots_is_the_least_of_them_and_its_goal_is_met_up_to_the_last_instruction(tmp_path):
    rows = load_rows()
    ticks = rows.qemu.ICOUNT_TICKS
    files = {"kernel.elf": rows.common.REFERENCE, "slipway.conf": b"cmdline = x"}
    for least, met in ((100, True), (101, False)):
        costs = iter([300, least, 200])
        booted = []

        def boot(image, **options):
            booted.append((Path(image).name, options))
            return Booted({"stage.modules": (50, 50 + next(costs) * ticks + ticks - 1, 7)})

        row = rows.Row("some", 100, "modules", "module", {"disk": "usb"})
        figures = rows.measure(boot, tmp_path, files, [row])
        assert figures == [{"name": "some", "instructions": least, "goal": 100, "met": met,
                            "limine": None}]
        assert booted == [("module.img", {"memory": "512M", "disk": "usb"})] * 3


def test_a_row_may_be_what_two_images_differ_in(tmp_path):
    rows = load_rows()
    costs = {"hashed.img": iter([900, 700, 800]), "small.img": iter([30, 20, 10])}

    def boot(image, **_):
        return Booted({"stage.modules": (0, next(costs[Path(image).name]) * rows.qemu.ICOUNT_TICKS, 7)})

    files = {"kernel.elf": rows.common.REFERENCE, "slipway.conf": b"cmdline = x"}
    row = rows.Row("some", 700, "modules", "hashed", {}, minus="small")
    assert rows.measure(boot, tmp_path, files, [row])[0]["instructions"] == 690


def test_a_row_without_a_goal_is_neither_met_nor_missed(tmp_path, capsys):
    rows = load_rows()
    files = {"kernel.elf": rows.common.REFERENCE, "slipway.conf": b"cmdline = x"}
    row = rows.Row("some", None, "total", "plain", {})
    figures = rows.measure(
        lambda image, **_: Booted({"tsc.loader_entry": 0, "tsc.kernel_entry": 70 * rows.qemu.ICOUNT_TICKS}),
        tmp_path, files, [row])
    assert figures == [{"name": "some", "instructions": 70, "goal": None, "met": None, "limine": None}]
    rows.show(figures)
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["some", "70", "-", "-", "-"]
    assert said[2] == "Limine: not measured (LIMINE= is not set)"


def test_limine_is_measured_from_its_start_to_its_kernel_on_files_of_the_same_size(tmp_path, capsys):
    rows = load_rows()
    limine = tmp_path / "limine.efi"
    limine.write_bytes(b"a loader")
    files = {"kernel.elf": rows.common.REFERENCE, "slipway.conf": b"cmdline = x"}
    costs = iter([9, 5, 7, 30, 10, 20])
    sizes = {}

    def boot(image, debug_exit=False, **options):
        assert options == {"memory": "512M", "disk": "nvme"}
        if not debug_exit:
            return Booted({"stage.modules": (0, 0, 0)})
        assert Path(image).parent.name == "limine"
        sizes[Path(image).name] = Path(image).stat().st_size
        bytes_ = rows.MODULE_BYTES if "module" in image.name else 0
        end = 0x100 + next(costs) * rows.qemu.ICOUNT_TICKS
        return Booted(serial=f"START 0x100\nLIMINE-KERNEL {end:016x} {bytes_:016x}\n")

    wanted = [rows.Row(name, 1, "modules", name, {"disk": "nvme"}) for name in ("plain", "module", "small")]
    figures = rows.measure(boot, tmp_path, files, wanted, limine=limine)
    assert [row["limine"] for row in figures] == [5, 10, None]
    assert sizes["module.img"] == (tmp_path / "module.img").stat().st_size
    rows.show(figures)
    assert "not measured" not in capsys.readouterr().out


@pytest.mark.parametrize("serial", ["START 0x100\n", f"START 0x100\nLIMINE-KERNEL {9:016x} {5:016x}\n"])
def test_a_limine_that_did_not_do_all_is_no_figure(serial):
    rows = load_rows()
    with pytest.raises(rows.qemu.BootError):
        rows.count_limine(serial, has_module=True)


def test_the_kernel_for_limine_asks_it_as_its_protocol_wants(tmp_path):
    rows = load_rows()
    kernel = rows.LIMINE_KERNEL.read_bytes()
    for first in (0xf9562b2d5c95a6c8, 0xc7b1dd30df4c8b88):  # the base revision's tag, requests
        assert kernel.find(first.to_bytes(8, "little")) % 8 == 0
    large = tmp_path / "large.elf"
    large.write_bytes(rows.with_segment(kernel, 1 << 20))
    said = subprocess.run(["readelf", "-lW", large], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    loads = [line.split() for line in said.stdout.splitlines() if line.startswith("  LOAD")]
    assert len(loads) == 5
    assert all(int(load[2], 0) >= 0xffffffff80000000 for load in loads)


def test_the_rows_have_names_and_every_disk_has_one():
    rows = load_rows().ROWS
    assert len({row.name for row in rows}) == len(rows)
    assert {row.name for row in rows if row.goal is None} == {
        "1000 memory descriptors more", "module of 1 MiB, virtio", "module of 8 MiB, virtio",
        "module of 64 MiB, PXE"}
    disks = [row.options.get("disk", "virtio") for row in rows if row.image == "module" and not row.served]
    assert sorted(disks) == ["ahci", "nvme", "usb", "virtio"]


def test_a_kernel_with_a_segment_more_is_a_kernel_of_that_size(tmp_path):
    rows = load_rows()
    large = tmp_path / "large.elf"
    large.write_bytes(rows.with_segment(rows.common.REFERENCE.read_bytes(), 1 << 20))
    said = subprocess.run(["readelf", "-lW", large], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    loads = [line.split() for line in said.stdout.splitlines() if line.startswith("  LOAD")]
    assert loads[-1][4:7] == ["0x100000", "0x100000", "R"]
    assert int(loads[-1][2], 0) >= int(loads[-2][2], 0) + int(loads[-2][5], 0)


def test_the_same_kernel_is_measured_by_each_protocol(tmp_path, capsys):
    rows = load_rows()
    files = {rows.LOADER: b"a loader", "kernel.elf": rows.common.REFERENCE, "slipway.conf": b"log = info"}
    images = rows.protocol_images(files)
    assert {name: image["slipway.conf"] for name, image in images.items()} == {
        "slipway": b"kernel = /kernel.elf\nprotocol = slipway\n",
        "limine": b"kernel = /kernel.elf\nprotocol = limine\n"}
    assert len({image["kernel.elf"] for image in images.values()}) == 1
    assert {image[rows.STARTED] for image in images.values()} == {b"a loader"}
    costs = {"slipway.img": iter([300, 100, 200]), "limine.img": iter([110, 120, 130])}

    def boot(image, **options):
        assert options == {"memory": "256M", "debug_exit": True}
        end = next(costs[Path(image).name]) * rows.qemu.ICOUNT_TICKS
        return Booted(serial=f"START 0x0\nLIMINE-KERNEL {end:016x} {0:016x}\n")

    figures = rows.measure_protocols(boot, tmp_path, files)
    assert figures == {"slipway": 100, "limine": 110}
    rows.show_protocols(figures)
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert said[1:] == [["slipway", "100", "0.0", "%", "more"], ["limine", "110", "10.0", "%", "more"]]


def test_without_debians_linux_its_part_says_where_that_comes_from(run, tmp_path):
    """Nothing can be downloaded."""
    for name in ("apt-get", "apt-cache", "sudo"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = run("scripts/bench-kernel", status=1, SLIPWAY_BUILD=f"{tmp_path}/build", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.stderr.splitlines()[-1] == (
        f"bench-kernel: Debian's Linux is missing: scripts/setup --unpack {tmp_path}/build/packages downloads it, on a"
        " Debian that apt-get can download from")
