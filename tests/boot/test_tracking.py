"""The kernel as `make TRACKING=1` builds it: its self-test asserts, beside all else, that no place in
the source still holds a frame that it took, on two CPUs. Boots from snapshots."""

import pytest

from snapshots import boot
from support import KERNEL, ROOT, run, volume


@pytest.mark.weight(25)
def test_the_self_test_leaks_nothing_by_place(tmp_path):
    run("make", "-C", str(ROOT), "-j2", f"BUILD={tmp_path}", "TRACKING=1", str(tmp_path / "kernel.elf"))
    plain, tracked = (
        boot([volume(tmp_path, kernel, config="cmdline = exit=poweroff\n")], memory="128M", smp=2).report()
        for kernel in (KERNEL, tmp_path / "kernel.elf"))
    assert plain["selftest"] == tracked["selftest"] == "ok"
    assert tracked["selftest.checks"] == plain["selftest.checks"] + 1
    # A place for every frame, four bytes, is what the entries of all blocks take.
    assert tracked["frames.now.free"] < plain["frames.now.free"]
