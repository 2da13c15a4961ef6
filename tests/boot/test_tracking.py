"""The kernel as `make TRACKING=1` builds it: its self-test asserts, beside all else, that no place in
the source still holds a frame that it took, on two CPUs. Cold boots."""

import pytest

from qemu import boot
from support import ROOT, run, volume


@pytest.mark.weight(40)
def test_the_self_test_leaks_nothing_by_place(tmp_path):
    reports = []
    for name, option in (("plain", "TRACKING="), ("tracked", "TRACKING=1")):
        folder = tmp_path / name
        run("make", "-C", str(ROOT), "-j2", f"BUILD={folder}", option, str(folder / "kernel.elf"))
        image = volume(folder, folder / "kernel.elf", config="cmdline = exit=poweroff\n")
        reports.append(boot([image], memory="256M", smp=2).report())
    plain, tracked = reports
    assert plain["selftest"] == tracked["selftest"] == "ok"
    assert tracked["selftest.checks"] == plain["selftest.checks"] + 1
    # A place for every frame, four bytes, is what the entries of all blocks take.
    assert tracked["frames.now.free"] < plain["frames.now.free"]
