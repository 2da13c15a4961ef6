"""A read that lasts, on a slow disk: the line that moves on the firmware's console.

A cold boot, since one of the firmware's consoles is to be on COM1.
"""

import re

from qemu import Machine
from support import KERNEL, MIB, volume

SPEED = 6_000_000
LINE = rb"\rslipway: /slow\.bin: (\d+)% of 16 MB, (\d+\.\d) MB/s"


def test_a_slow_read_shows_a_line_that_moves_and_is_gone_before_the_kernel_starts(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=poweroff\nmodule = /slow.bin\n",
                   files={"slow.bin": bytes(16 * MIB)}, size=64 * MIB)
    with Machine([image], memory="256M") as machine:
        machine.qmp("block_set_io_throttle", device="disk0", bps=SPEED, bps_rd=0, bps_wr=0, iops=0,
                    iops_rd=0, iops_wr=0)
        machine.wait_end()
    lines = list(re.finditer(LINE, bytes(machine.serial_bytes)))
    parts = [int(line[1]) for line in lines]
    assert parts == sorted(set(parts)) and len(parts) >= 2
    assert all(1 < float(line[2]) < 12 for line in lines)
    gone = bytes(machine.serial_bytes)[lines[-1].end():]
    assert re.match(rb"\r +\r", gone)
