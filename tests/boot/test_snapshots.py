"""Snapshots of machines: a kernel finds what it finds after a reset, they are made again when what they
depend on has changed, and a broken one is an error. One boot is cold."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import qemu
import snapshots
from support import KERNELS, boot_contract_kernel, volume

# The clock, how fast it was found to go, how many pieces the firmware's own memory is in, and each
# byte of the entropy.
VARYING = r"^fact (boot_time|tsc\.hz|efi\.descriptors|entropy\.byte) .*$"


def test_a_kernel_finds_the_same_as_after_a_reset(tmp_path):
    """All that it says of memory, tables, CPU and files, to the last address."""
    cold, warm = (boot_contract_kernel(tmp_path, "pie", boot=boot).result
                  for boot in (qemu.boot, snapshots.boot))
    assert "-incoming" in warm.command and "-incoming" not in cold.command

    def said(result):
        text, varying = re.subn(VARYING, r"fact \1", result.serial, flags=re.M)
        assert varying == 3 + 64
        return text[text.index("BdsDxe: loading"):].splitlines()
    assert said(warm) == said(cold)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The names of the snapshots that are made; files without content, which take their time."""
    names = []

    def make(images, options, path):
        names.append(path.stem)
        path.write_bytes(b"half")
        time.sleep(0.2)
        path.write_bytes(b"whole")
        return path
    monkeypatch.setattr(snapshots, "FOLDER", tmp_path / "snapshots")
    monkeypatch.setattr(snapshots, "make", make)
    return names


def test_of_all_that_want_a_snapshot_at_once_one_makes_it_and_all_find_it_whole(made):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: snapshots.find_or_make(["a.img"], {}), range(4)))
        assert [path.read_bytes() for path in paths] == 4 * [b"whole"]
    assert made == [paths[0].name] and len(set(paths)) == 1


def test_a_snapshot_is_for_one_machine_whatever_the_files_on_its_disks(made):
    machines = [{}, {"memory": "64M"}, {"cpu": "max"}, {"smp": 2}, {"machine": "pc"}, {"disk": "ahci"},
                {"display": True}]
    for name in ("a.img", "b.img"):
        paths = {snapshots.find_or_make([name], options) for options in machines}
        paths.add(snapshots.find_or_make([name, name], {}))
        assert {path.name for path in paths} == set(made)
    assert len(made) == len(machines) + 1


@pytest.mark.parametrize("owner, program", [(snapshots, "APPLICATION"), (qemu, "OVMF_CODE"),
                                            (qemu, "OVMF_VARS"), (qemu, "QEMU")])
def test_a_snapshot_is_made_again_for_another_firmware_qemu_or_application(
        made, owner, program, monkeypatch, tmp_path):
    file = tmp_path / "program"
    monkeypatch.setattr(owner, program, type(getattr(owner, program))(file))
    paths = []
    for version in ("old", "new"):
        file.write_text(f"#!/bin/sh\necho {version}\n")
        file.chmod(0o755)
        snapshots.digest_software.cache_clear()
        paths.append(snapshots.find_or_make(["a.img"], {}))
    snapshots.digest_software.cache_clear()
    assert made == [path.name for path in paths] and [path.exists() for path in paths] == [False, True]


@pytest.mark.parametrize("share", [1e-6, 0.5])
def test_a_broken_snapshot_is_an_error_at_once(tmp_path, monkeypatch, share):
    whole = snapshots.find_or_make(["a.img"], {"memory": "256M"}).read_bytes()
    broken = tmp_path / "broken"
    broken.write_bytes(whole[:int(len(whole) * share)])
    monkeypatch.setattr(snapshots, "find_or_make", lambda *_: broken)
    with pytest.raises(qemu.BootError, match="load of migration failed"):
        snapshots.boot([volume(tmp_path, KERNELS / "pie.elf")], memory="256M", timeout=20)
