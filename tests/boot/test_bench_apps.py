"""The applications that scripts/boot_rows.py puts in the loader's place do what its rows say. Boots
from snapshots.
"""

import re

import pytest

import snapshots
from paths import BUILD
from support import EXIT_GOOD, KERNEL, LOADER, volume

APPS = BUILD / "tests/apps"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Boots the reference kernel, below an application or without one: serial output and report."""
    def start(app=None):
        files = {"EFI/BOOT/BOOTX64.EFI": APPS / app, "EFI/BOOT/LOADER.EFI": LOADER} if app else {}
        image = volume(tmp_path_factory.mktemp("volume"), KERNEL, "cmdline = exit=debug", files)
        result = snapshots.boot([image], memory="256M")
        assert result.debug_exit == EXIT_GOOD, result.serial
        return result.serial, result.report()
    return start


def test_the_loader_starts_soon_after_the_time_that_is_said(started):
    serial, report = started("timed.efi")
    said, = re.findall(r"^START (0x[0-9a-f]+)$", serial, re.M)
    assert 0 < report["tsc.loader_entry"] - int(said, 0) < report["tsc.hz"]


def test_the_memory_map_is_longer_by_a_thousand_descriptors(started):
    _, report = started("fragments.efi")
    _, plain = started()
    assert 990 <= report["map.descriptors"] - plain["map.descriptors"] <= 1010
