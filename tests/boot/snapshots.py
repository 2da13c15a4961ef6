"""Machines that start where their firmware is about to look for disks, instead of with a reset.

`boot` and `Machine` are those of qemu.py, which start cold, in all but this: the machine is restored
from a file, saved when tests/apps/waiting.c, QEMU's -kernel, held the firmware up. The firmware then
goes through its boot options as ever, with nothing left of that application. What came before on COM1
is missing, and what no machine with an NVMe disk can have is a snapshot.

A snapshot is for every machine with the same QEMU command line but for the names of its files, and is
made by the first. That takes as long as a cold boot and a second more: it pays from the third on.
"""

import fcntl
import functools
import hashlib
import shlex
import subprocess
import time

import qemu
from paths import BUILD

APPLICATION = BUILD / "tests/apps/waiting.efi"
FOLDER = BUILD / "snapshots"
# What the application reads from its port: as long as it is the first, it waits.
WAIT, GO = ord("w"), 0


class Machine(qemu.Machine):
    def __init__(self, images, *, timeout=60, **options):
        snapshot = shlex.quote(str(find_or_make(images, options)))
        super().__init__(images, timeout=timeout, **_with(
            options, *_application(GO), "-incoming", f"exec:cat {snapshot}"))


def boot(images, **options):
    return qemu.boot(images, start=Machine, **options)


def find_or_make(images, options):
    """The file of the snapshot for such a machine. Of several processes that want it one makes it,
    under another name until it is whole, and removes what was made with another QEMU or firmware."""
    disks = [f"disk{index}" for index in range(len(images))]
    command = qemu.command_line(disks, "variables", **_with(options, *_application(WAIT)))
    machine = hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]
    path = FOLDER / f"{machine}-{digest_software()[:16]}"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with open(FOLDER / f"{machine}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                for old in FOLDER.glob(f"{machine}-*"):
                    old.unlink()
                make(images, options, path.with_suffix(".part")).rename(path)
    return path


def make(images, options, path):
    """Starts such a machine and saves it when its firmware has come so far; returns the path."""
    written = shlex.quote(str(path.with_suffix(".written")))
    with qemu.Machine(images, **_with(options, *_application(WAIT))) as machine:
        while machine.qmp("ringbuf-read", device="application", size=1) != chr(WAIT):
            time.sleep(0.01)
        # QEMU may have done its part before `cat` has.
        machine.qmp("migrate", uri=f"exec:cat >{written} && mv {written} {shlex.quote(str(path))}")
        while (status := machine.qmp("query-migrate")["status"]) != "completed" or not path.exists():
            assert status != "failed", f"{path} cannot be saved"
            time.sleep(0.01)
    return path


def _with(options, *arguments):
    """The options with more arguments for QEMU."""
    return {**options, "extra": [*options.get("extra", ()), *arguments]}


def _application(answer):
    return ["-kernel", str(APPLICATION), "-chardev", "ringbuf,id=application,size=16",
            "-device", f"isa-debugcon,iobase=0xe9,readback={answer},chardev=application"]


@functools.cache
def digest_software():
    """The digest of all programs that a snapshot holds the state of."""
    version = subprocess.run([qemu.QEMU, "--version"], capture_output=True, check=True).stdout
    files = (path.read_bytes() for path in (APPLICATION, qemu.OVMF_CODE, qemu.OVMF_VARS))
    digests = [hashlib.sha256(content).digest() for content in (version, *files)]
    return hashlib.sha256(b"".join(digests)).hexdigest()
