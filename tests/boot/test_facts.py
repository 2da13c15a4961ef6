"""Facts that firmware tells or does not: random numbers, the partition, the volume's label, the TPM's
log, the firmware's own times. The contract kernel says what it found; what it should have found is
known from outside. Boots from snapshots, but for machines with a TPM, whose state is in no snapshot.
"""

import contextlib
import hashlib
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from partitions import GUIDS, with_gpt, with_mbr
import qemu
import snapshots
from support import LOADER, MIB, boot_contract_kernel

FIRMWARE, RDRAND, JITTER = 1, 4, 8
RNG = ["-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"]


def bytes_of(output, name):
    return bytes(output.facts[name])


# Entropy


# The emulation of this QEMU has no RDSEED; a later one has.
@pytest.mark.parametrize("cpu, extra, sources", [
    ("max,-rdseed", RNG, FIRMWARE | RDRAND | JITTER),
    ("qemu64", RNG, FIRMWARE | JITTER),
    ("max,-rdseed", [], RDRAND | JITTER),
    ("qemu64", [], JITTER),
], ids=["both", "firmware", "rdrand", "none"])
def test_entropy_comes_from_what_the_machine_has_and_never_twice(tmp_path, cpu, extra, sources):
    said = [boot_contract_kernel(tmp_path, "exec", cpu=cpu, extra=extra) for _ in range(2)]
    assert [output.fact("entropy.sources") for output in said] == [sources] * 2
    first, second = (bytes_of(output, "entropy.byte") for output in said)
    assert len(first) == 64
    if sources != JITTER:
        assert sum(a == b for a, b in zip(first, second)) < 8


# Where the loader came from


def boot_partitioned(folder, make):
    """The contract kernel's words, from a partition of a disk that `make` makes of a volume."""
    def boot(images, **options):
        return snapshots.boot([make(images, folder / "disk.img")], **options)

    return boot_contract_kernel(folder, "exec", boot=boot)


def test_a_partition_of_a_gpt_is_known_by_its_guid(tmp_path):
    output = boot_partitioned(tmp_path, with_gpt)
    assert (output.fact("partition.kind"), output.fact("partition.number")) == (2, 1)
    assert bytes_of(output, "partition.byte") == GUIDS[0].bytes_le


def test_a_partition_of_an_mbr_is_known_by_the_signature_and_its_number(tmp_path):
    output = boot_partitioned(tmp_path, with_mbr)
    assert (output.fact("partition.kind"), output.fact("partition.number")) == (1, 2)
    assert bytes_of(output, "partition.byte") == struct.pack("<I12x", 0xDEADBEEF)


def test_a_disk_without_partitions_has_a_label_and_a_path_all_the_same(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec")
    assert (output.fact("partition.kind"), output.fact("partition.number")) == (0, 0)
    assert output.fact("server.kind") == 0
    assert output.texts["volume.label"] == ["SLIPWAY"]
    assert output.texts["loader.path"] == ["\\EFI\\BOOT\\BOOTX64.EFI"]


# The firmware's own times


def test_the_firmwares_own_times_are_those_of_its_fpdt(tmp_path):
    """QEMU gives the firmware an FPDT, which leads to an FBPT in RAM that nobody uses so early."""
    place = 64 * MIB
    times = [111, 2222, 33333, 444444, 5555555]
    (tmp_path / "fpdt").write_bytes(struct.pack("<HBBIQ", 0, 16, 1, 0, place))
    (tmp_path / "fbpt").write_bytes(struct.pack("<4sIHBBI5Q", b"FBPT", 56, 2, 48, 2, 0, *times))
    output = boot_contract_kernel(tmp_path, "exec", boot=qemu.boot, extra=[
        "-acpitable", f"sig=FPDT,rev=1,data={tmp_path}/fpdt",
        "-device", f"loader,file={tmp_path}/fbpt,addr={place:#x},force-raw=on"])
    assert [output.fact(f"firmware.{name}") for name in (
        "reset_end", "loader_load", "loader_start", "exit_start", "exit_end")] == times


def test_without_an_fpdt_the_firmware_has_no_times(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec")
    assert not any(value for name, values in output.facts.items() for value in values
                   if name.startswith("firmware."))


# The TPM's log


@contextlib.contextmanager
def tpm(folder, device):
    """A TPM 2.0 with nothing in it; gives the options of QEMU for it."""
    (folder / "tpm").mkdir()
    place = f"{folder}/tpm/socket"
    process = subprocess.Popen(
        ["timeout", "300", "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}/tpm",
         "--ctrl", f"type=unixio,path={place}", "--terminate"], start_new_session=True)
    try:
        while not Path(place).exists():
            assert process.poll() is None, "swtpm has ended"
            time.sleep(0.01)
        yield ["-chardev", f"socket,id=tpm,path={place}",
               "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", f"{device},tpmdev=tpm0"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def events_of(log):
    """PCR, type, digests by algorithm and data of every event; the log must end with the last."""
    def take(form):
        nonlocal at
        values = struct.unpack_from(form, log, at)
        at += struct.calcsize(form)
        return values

    at = 0
    pcr, kind, sha1, size = take("<II20sI")
    data, = take(f"{size}s")
    assert data.startswith(b"Spec ID Event03\0")
    count, = struct.unpack_from("<I", data, 24)
    sizes = dict(struct.unpack_from("<HH", data, 28 + 4 * i) for i in range(count))
    events = [(pcr, kind, {4: sha1}, data)]
    while at < len(log):
        pcr, kind, count = take("<III")
        digests = {}
        for _ in range(count):
            algorithm, = take("<H")
            digests[algorithm], = take(f"{sizes[algorithm]}s")
        size, = take("<I")
        data, = take(f"{size}s")
        events.append((pcr, kind, digests, data))
    return events


def image_digest(path):
    """What the firmware measures of a PE image: all but its checksum and the entry of its signatures
    in the directory (Authenticode)."""
    image = path.read_bytes()
    header = struct.unpack_from("<I", image, 60)[0] + 24
    return hashlib.sha256(image[:header + 64] + image[header + 68:header + 144]
                          + image[header + 152:]).digest()


@pytest.mark.parametrize("device", ["tpm-tis", "tpm-crb"])
def test_the_tpms_log_is_whole_and_has_the_loader_measured(tmp_path, device):
    with tpm(tmp_path, device) as options:
        output = boot_contract_kernel(tmp_path, "exec", "tpm", boot=qemu.boot, extra=options)
    assert (output.fact("tpm.format"), output.fact("tpm.truncated")) == (2, 0)
    log = bytes_of(output, "tpm.byte")
    assert len(log) == output.fact("tpm.bytes") > 0
    events = events_of(log)
    assert len(events) > 10
    # EV_EFI_BOOT_SERVICES_APPLICATION, in PCR 4: the loader, which is the last that was started.
    started = [digests[0xB] for pcr, kind, digests, _ in events if (pcr, kind) == (4, 0x80000003)]
    assert started == [image_digest(LOADER)]


def test_without_a_tpm_there_is_no_log(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", "tpm")
    assert [output.fact(f"tpm.{name}") for name in ("format", "truncated", "bytes")] == [0, 0, 0]
