"""Linux as Debian packs it, with two initrds, up to a shell and a program that powers the machine off. One
cold boot."""

import hashlib
import re

import pytest

import packages
from cpio import make_archive
from paths import BUILD, ROOT
from qemu import boot
from support import LOADER, MIB, make_image

CMDLINE = "console=ttyS0 quiet greeting=hello"
INIT = rb"""#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
exec >/dev/console 2>&1
busybox echo "cmdline: $(busybox cat /proc/cmdline)"
busybox grep MemTotal: /proc/meminfo
busybox cat /second
exec /cost
"""


def with_digest(data):
    return f"sha256 = {hashlib.sha256(data).hexdigest()}\n"


@pytest.mark.weight(15)
def test_linux_boots_to_a_shell_with_its_command_line_and_all_initrds(tmp_path):
    kernel = packages.find(packages.LINUX)
    first = make_archive({"bin": None, "dev": None, "proc": None,
                          "bin/busybox": packages.find(packages.BUSYBOX).read_bytes(), "init": INIT,
                          "cost": (BUILD / "bench/linux/cost").read_bytes()})
    first = first[:-3]  # of the padding at its end: what comes behind starts at a multiple of 4 again
    second = make_archive({"second": b"of the second initrd\n"})
    config = (f"kernel = /boot/vmlinuz\n{with_digest(kernel.read_bytes())}"
              f"cmdline = {CMDLINE}\nlog = info\n"
              f"module = /boot/first\n{with_digest(first)}module = /boot/second\n")
    image = make_image(tmp_path / "esp.img", {
        "EFI/BOOT/BOOTX64.EFI": LOADER, "EFI/BOOT/slipway.conf": config.encode(),
        "boot/vmlinuz": kernel, "boot/first": first, "boot/second": second}, size=64 * MIB)
    result = boot([image], memory="256M", timeout=120)
    assert result.reason == "guest-shutdown", result.serial
    release = kernel.name.removeprefix("vmlinuz-")
    assert (f"slipway: /boot/vmlinuz: {kernel.stat().st_size} bytes, Linux {release}, "
            f"{2 * len(CMDLINE) + 2} bytes of load options\n") in result.serial
    assert re.search(r"^slipway: initrd: \d+ bytes of 2 modules$", result.serial, re.M)
    assert f"\ncmdline: {CMDLINE}\n" in result.serial
    assert 150_000 < int(re.search(r"^MemTotal: +(\d+) kB$", result.serial, re.M)[1]) < 256 << 10
    assert "\nof the second initrd\n" in result.serial
    # What `make bench PART=kernel` runs under both kernels.
    names = re.findall(r'"cost (\S+) %lu', (ROOT / "kernel/programs/cost.c").read_text())
    assert len(names) > 5 and re.findall(r"^cost (\S+) [1-9]\d*$", result.serial, re.M) == names
