"""What absent_tpm.py tells a firmware, and whom it leaves alone. One boot is cold."""

import socket
import threading

import pytest

from absent_tpm import AbsentTpm, arguments
from qemu import Machine

STOP = "T05thread:01;rwatch:00000000fed40000;"
ACCESS, CHANGED = "0000d4fe00000000", "P0=ff00d4fe00000000"
MOVB, OTHER = "8a00", "8a02"


def test_the_firmware_asks_twice_and_no_more(tmp_path):
    """Otherwise it asks some ten thousand times."""
    log = tmp_path / "log"
    with Machine([], memory="64M", extra=["-d", "guest_errors", "-D", log]) as machine:
        machine.wait_for("BdsDxe: ")
    assert log.read_text().lower().count("0xfed40000, ") == 2


@pytest.mark.parametrize("accel, extra, is_told", [
    ("tcg", ["-device", "edu"], True), ("tcg,thread=single", [], True), ("kvm", [], False), ("tcg", ["-S"], False),
    ("tcg", ["-gdb", "tcp::1"], False), ("tcg", ["-incoming", "defer"], False), ("tcg", ["-tpmdev", "emulator"], False)])
def test_emulated_machines_are_told_that_have_no_tpm_and_no_debugger(accel, extra, is_told):
    said = arguments("a,b", accel, extra)
    assert said == (["-S", "-gdb", "unix:a,,b,server=on,wait=off"] if is_told else [])


class Stub:
    """Plays QEMU's stub: after `c` it tells one stop after the other; what it was asked is in `asked`."""

    def __init__(self, path, stops, rax, code):
        self.asked, self._stops = [], list(stops)
        self._replies = {"p0": rax, "p10": "0200000000000000", "m0,2": code}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with self._server, self._server.accept()[0] as peer:
            received = b""
            while data := peer.recv(100):
                received += data.replace(b"+", b"")
                while len(parts := received.split(b"#", 1)) == 2 and len(parts[1]) >= 2:
                    packet, received = parts[0][1:].decode(), parts[1][2:]
                    self.asked.append(packet)
                    reply = self._stops.pop(0) if packet == "c" else self._replies.get(packet, "OK")
                    peer.sendall(b"+$%s#00" % reply.encode())


@pytest.mark.parametrize("stops, rax, code, asked", [
    ([STOP, STOP], ACCESS, MOVB, [*2 * ["c", "p0", "p10", "m0,2", CHANGED], "z3,fed40000,1", "D"]),
    ([STOP, STOP], ACCESS, OTHER, [*2 * ["c", "p0", "p10", "m0,2"], "z3,fed40000,1", "D"]),
    ([STOP, STOP], "01" + ACCESS[2:], MOVB, [*2 * ["c", "p0", "p10"], "z3,fed40000,1", "D"]),
    # Somebody has stopped the machine, or it is off: it stays so.
    (["T02thread:01;"], ACCESS, MOVB, ["c", "z3,fed40000,1"]),
    ([STOP, "W00"], ACCESS, MOVB, ["c", "p0", "p10", "m0,2", CHANGED, "c", "z3,fed40000,1"]),
], ids=["asks", "another instruction", "another answer", "stopped", "off"])
def test_only_the_byte_that_was_read_is_changed(tmp_path, stops, rax, code, asked):
    stub = Stub(tmp_path / "stub", stops, rax, code)
    tpm = AbsentTpm(tmp_path / "stub")
    while tpm.read():
        pass
    tpm.close()
    assert stub.asked == ["qXfer:features:read:target.xml:0,fff", "Z3,fed40000,1", *asked]
