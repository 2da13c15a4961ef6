"""Half a boot's time for machines without a TPM: the firmware is told that there is none.

A PC answers 0xff where there is no TPM, QEMU answers 0. OVMF takes that for a TPM that is not ready yet,
and asks again for 750 ms; it does so for TPM 1.2 and once more for TPM 2.0 (edk2: TisPcPresenceCheck,
then TisPcWaitRegisterBits). Asking keeps an emulated CPU busy.

QEMU's stub for gdb stops the CPU after a read of that register, and here the 0 that has been read becomes
0xff, twice. A firmware that asks with another instruction gets what QEMU answers, and a machine that stops
for another reason stays as it is.
"""

import re
import socket

ACCESS = 0xFED40000        # TPM_ACCESS of locality 0 (TCG PC Client TIS 1.3)
ANSWERS = 2
MOVB_EAX_AL = b"8a00"      # movb (%eax), %al
NOT_ALONE = ("-S", "-s", "-gdb", "-incoming", "-tpmdev", "-accel")
# Registers of x86-64 by gdb's number, little-endian.
RAX, RIP = 0, 16


def arguments(path, accel, extra):
    """QEMU's additional arguments, if the machine is one that this module is for, or none: a TPM is there,
    the CPU is not emulated, or somebody else wants the stub. `path` is for the stub's socket."""
    if not accel.startswith("tcg") or any(word in NOT_ALONE for word in map(str, extra)):
        return []
    return ["-S", "-gdb", f"unix:{str(path).replace(',', ',,')},server=on,wait=off"]


class AbsentTpm:
    """A connection to a stub whose machine has not started. It starts the machine.

    read() is for a selector that watches `socket`: it takes what the stub says, and returns False when there
    is nothing left to do.
    """

    def __init__(self, path):
        self.answered = 0
        self._received = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self._ask("qXfer:features:read:target.xml:0,fff")  # before, P is unknown
        self._ask(f"Z3,{ACCESS:x},1")
        self._send("c")

    def close(self):
        self.socket.close()

    def read(self):
        try:
            reply = self._receive()
            if reply is None:
                return True
            if "watch:" not in reply:
                self._ask(f"z3,{ACCESS:x},1")
                return False
            self._answer()
            if self.answered < ANSWERS:
                self._send("c")
                return True
            self._ask(f"z3,{ACCESS:x},1")
            self._ask("D")  # the machine runs on
        except OSError:
            pass  # it has ended
        return False

    def _answer(self):
        """Behind the instruction, whose low byte is of what it has read."""
        rax, rip = (int.from_bytes(bytes.fromhex(self._ask(f"p{number:x}")), "little") for number in (RAX, RIP))
        if rax == ACCESS and self._ask(f"m{rip - 2:x},2").encode() == MOVB_EAX_AL:
            self._ask(f"P{RAX:x}={(ACCESS | 0xFF).to_bytes(8, 'little').hex()}")
        self.answered += 1

    # gdb's remote protocol: $packet#checksum, acknowledged by +

    def _send(self, packet):
        self.socket.sendall(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 0xFF))

    def _receive(self):
        """The next packet, or None if it is not there as a whole."""
        if packet := re.match(rb"\+*\$([^#]*)#..", self._received):
            self._received = self._received[packet.end():]
            self.socket.sendall(b"+")
            return packet[1].decode()
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        self._received += data
        return self._receive() if re.match(rb"\+*\$[^#]*#..", self._received) else None

    def _ask(self, packet):
        self._send(packet)
        while (reply := self._receive()) is None:
            pass
        return reply
