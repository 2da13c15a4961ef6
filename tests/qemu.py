"""The QEMU rig: OVMF machines with a time limit, the serial port and the boot report.

    image = make_image(tmp_path / "esp.img", {"EFI/BOOT/BOOTX64.EFI": Path("build/BOOTX64.EFI")})
    result = boot([image], memory="512M", until="BOOT-REPORT-END")
    assert parse_report(result.serial)["audit.violations"] == 0

boot() runs a machine to its end; Machine gives the steps: wait for text, type, take a picture,
talk QMP. Every machine has its own folder for the OVMF variables and its own time limit, works on
a snapshot of its disks, and is killed with everything it started when the limit is reached.
"""

import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import absent_tpm
from fat import make_image

__all__ = ["BootError", "DISKS", "Machine", "Result", "StartError", "boot", "command_line",
           "make_image", "parse_report"]

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
OVMF_CODE = Path(os.environ.get("OVMF_CODE", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
OVMF_VARS = Path(os.environ.get("OVMF_VARS", "/usr/share/OVMF/OVMF_VARS_4M.fd"))
TIME_FACTOR = float(os.environ.get("QEMU_TIME_FACTOR", "1"))

DEBUG_EXIT_PORT = 0xF4
# Under -icount every instruction takes this many nanoseconds, ticks of the TSC: the more, the sooner
# is over what the firmware waits for.
ICOUNT_SHIFT = 3
ICOUNT_TICKS = 1 << ICOUNT_SHIFT
# The disks that the firmware can boot from, by machine; the first of each is what it is by default.
DISKS = {"q35": ("virtio", "ahci", "nvme", "usb"), "pc": ("virtio", "ahci", "nvme", "usb", "ide")}


class BootError(AssertionError):
    """A machine did not do what it was told to.

    `summary` says what happened; the whole message also has the command and the serial output.
    """

    def __init__(self, summary, details=""):
        super().__init__(f"{summary}\n{details}")
        self.summary = summary


class StartError(BootError):
    """QEMU refused what it was told: its summary is QEMU's own message."""


# Machines


def _disk_arguments(image, index, disk, machine):
    machine = machine.partition(",")[0]
    if disk not in DISKS[machine]:
        raise ValueError(f"no disk '{disk}' on machine '{machine}'")
    drive = f"disk{index}"
    file = str(image).replace(",", ",,")
    arguments = ["-drive", f"if=none,id={drive},format=raw,snapshot=on,file={file}"]
    boot_index = f"drive={drive},bootindex={index + 1}"  # 0 is that of a -kernel
    if disk == "virtio":
        return arguments + ["-device", f"virtio-blk-pci,{boot_index}"]
    if disk == "nvme":
        return arguments + ["-device", f"nvme,serial={drive},{boot_index}"]
    if disk == "usb":
        hub = ["-device", "qemu-xhci,id=usb"] if index == 0 else []
        return arguments + hub + ["-device", f"usb-storage,bus=usb.0,{boot_index}"]
    if disk == "ahci" and machine == "q35":
        return arguments + ["-device", f"ide-hd,bus=ide.{index},{boot_index}"]
    if disk == "ahci":
        controller = ["-device", "ahci,id=ahci"] if index == 0 else []
        return arguments + controller + ["-device", f"ide-hd,bus=ahci.{index},{boot_index}"]
    return arguments + ["-device", f"ide-hd,bus=ide.{index // 2},unit={index % 2},{boot_index}"]


def command_line(images, variables, *, memory="512M", machine="q35", cpu=None, smp=1, disk="virtio",
                 display=False, accel="tcg", icount=False, debug_exit=True,
                 serial="stdio,signal=off", extra=()):
    """The arguments of one QEMU, without monitor: `variables` is this machine's copy of OVMF_VARS.

    `display` is False (no display adapter), True (an adapter without a window) or a -display.
    """
    window = display if isinstance(display, str) else "none"
    arguments = [
        QEMU, "-nodefaults", "-no-user-config", "-net", "none",
        "-machine", f"{machine},memory-backend=ram", "-accel", accel, "-m", str(memory),
        "-object", f"memory-backend-ram,id=ram,size={memory},reserve=off",
        *(["-cpu", cpu] if cpu else []), "-smp", str(smp),
        "-display", window, "-vga", "std" if display else "none",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}",
        "-drive", f"if=pflash,unit=1,format=raw,file={str(variables).replace(',', ',,')}",
        "-chardev", f"{serial.partition(',')[0]},id=com1,{serial.partition(',')[2]}",
        "-serial", "chardev:com1"]
    if debug_exit:
        arguments += ["-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=4"]
    if icount:
        arguments += ["-icount", f"shift={ICOUNT_SHIFT},sleep=off",
                      "-rtc", "base=2024-01-01,clock=vm"]
    for index, image in enumerate(images):
        arguments += _disk_arguments(image, index, disk, machine)
    return arguments + [str(argument) for argument in extra]


@dataclass
class Result:
    serial: str          # everything that COM1 said, without carriage returns and colour codes
    raw: bytes           # the same as it came
    status: int          # QEMU's exit status; negative or above 128 when it was killed
    reason: str          # guest-shutdown, guest-reset (also a triple fault), debug-exit, until, ...
    duration: float      # seconds of wall time
    command: list = field(repr=False, default_factory=list)

    @property
    def debug_exit(self):
        """The value (1 to 61) that the guest wrote to port 0xf4, or None if it ended otherwise."""
        return self.status >> 1 if self.reason == "debug-exit" else None

    def report(self):
        return parse_report(self.serial)


class Machine:
    """One running QEMU. A context manager: leaving it ends the machine, whatever happened."""

    def __init__(self, images=(), *, timeout=60, echo=None, extra=(), **options):
        """`echo` is a binary file that gets the serial output too; options are command_line's."""
        self.timeout = timeout * TIME_FACTOR
        self.serial_bytes = bytearray()
        self.reason = "running"
        self.status = None
        self._echo = echo
        self._qmp_buffer = b""
        self._qmp_replies = []
        self._folder = Path(tempfile.mkdtemp(prefix="slipway-qemu-"))
        self.variables = self._folder / "vars.fd"  # the firmware's, while the machine is there
        shutil.copyfile(OVMF_VARS, self.variables)
        socket_path = str(self._folder / "qmp").replace(",", ",,")  # as QEMU's options have it
        qmp = ["-qmp", f"unix:{socket_path},server=on,wait=off", "-action", "reboot=shutdown"]
        self.command = command_line(images, self.variables, extra=[*qmp, *extra],
                                    **options)
        self._stub = self._folder / "gdb"
        self._stub_arguments = absent_tpm.arguments(self._stub, options.get("accel", "tcg"), extra)

    def __enter__(self):
        self._started = time.monotonic()
        self._deadline = self._started + self.timeout
        self._errors = open(self._folder / "stderr", "w+b")
        # `timeout` ends QEMU even when this process is killed and cannot.
        self._process = subprocess.Popen(
            ["timeout", "--kill-after=1", str(self.timeout + 10), *self.command, *self._stub_arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ, self._read_serial)
        try:
            self._connect_qmp()
            if self._stub_arguments:
                self._tpm = absent_tpm.AbsentTpm(self._stub)
                self._selector.register(self._tpm.socket, selectors.EVENT_READ, self._tpm.read)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.status = self._process.wait()
        self._selector.close()
        for end in (self._process.stdin, self._process.stdout, self._errors,
                    getattr(self, "_qmp", None), getattr(self, "_tpm", None)):
            try:
                if end:
                    end.close()
            except OSError:
                pass
        shutil.rmtree(self._folder, ignore_errors=True)

    # Serial

    @property
    def serial(self):
        return self.clean(self.serial_bytes)

    @staticmethod
    def clean(data):
        """Text without carriage returns and escape sequences."""
        text = data.decode("utf-8", "replace").replace("\r", "")
        return re.sub(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()].)", "", text)

    def send(self, text):
        """Types `text` on COM1."""
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def wait_for(self, text, since=0):
        """Waits until COM1 has said `text` after position `since` of .serial; returns its end.

        `text` may be a list: the first one that appears counts.
        """
        wanted = [text] if isinstance(text, str) else list(text)
        while True:
            said = self.serial
            ends = [said.find(w, since) + len(w) for w in wanted if said.find(w, since) >= 0]
            if ends:
                return min(ends)
            if not self._pump(f"waiting for {' or '.join(map(repr, wanted))}"):
                self._fail(f"QEMU ended ({self.reason}) before it said {wanted}")

    def wait_end(self, find_stop=lambda machine: None):
        """Waits until QEMU ends by itself and returns its exit status.

        find_stop(machine), asked whenever there is news, says why the machine will never end, or
        None: with a reason the wait is over at once, as a failure.
        """
        while self._pump("waiting for the machine to end"):
            if reason := find_stop(self):
                self._fail(reason)
        self.status = self._process.wait()
        if self.reason == "running":
            # The port makes it 2 * value + 1. 1 is QEMU's own failure, from 124 on it is timeout's.
            debug_exit = self.status & 1 and 1 < self.status < 124
            self.reason = "debug-exit" if debug_exit else "qemu-error"
        if self.reason == "qemu-error":
            self._fail(f"QEMU ended with status {self.status}")
        return self.status

    def _read_serial(self):
        data = os.read(self._process.stdout.fileno(), 65536)
        self.serial_bytes += data
        if self._echo:
            self._echo.write(data)
            self._echo.flush()
        return bool(data)

    def _pump(self, doing):
        """One wait for input; False once the serial port is closed and no input is left."""
        if not self._selector.get_map():
            return False
        left = self._deadline - time.monotonic()
        if left <= 0:
            self.reason = "timeout"
            self._fail(f"time limit of {self.timeout:g} s reached, {doing}")
        for key, _ in self._selector.select(left):
            if not key.data():
                self._selector.unregister(key.fileobj)
        return bool(self._selector.get_map())

    def _said_by_qemu(self):
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace").strip()

    def _fail(self, message):
        raise BootError(f"{message}\n{self._said_by_qemu()}".strip(), "\n".join([
            "command: " + " ".join(self.command),
            "--- serial so far ---", self.serial[-20000:], "--- end of serial ---"]))

    # QMP

    def qmp(self, command, **arguments):
        """Runs one QMP command and returns its answer."""
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._qmp.sendall(json.dumps(request).encode() + b"\n")
        while not self._qmp_replies:
            # Others may still be watched, such as a terminal, which would be waited for.
            if self._qmp not in self._selector.get_map():
                self._fail(f"QEMU ended in QMP {command}")
            self._pump(f"in QMP {command}")
        reply = self._qmp_replies.pop(0)
        if "error" in reply:
            raise RuntimeError(f"QMP {command}: {reply['error']['desc']}")
        return reply["return"]

    def screendump(self, path):
        """Writes the screen to `path` as PNG."""
        self.qmp("screendump", filename=str(Path(path).absolute()), format="png")
        return Path(path)

    def monitor(self, line):
        """Runs one line of QEMU's human monitor and returns what it prints."""
        return self.qmp("human-monitor-command", **{"command-line": line})

    def serve_gdb(self, path):
        """Lets a debugger at the machine, which stands still: QEMU's stub listens on this socket from now on."""
        self.monitor("gdbserver none")  # the rig's own
        said = self.monitor(f"gdbserver unix:{str(path).replace(',', ',,')},server=on,wait=off")
        if "Waiting for gdb connection" not in said:
            raise RuntimeError(f"gdbserver: {said}")

    def _connect_qmp(self):
        self._qmp = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._qmp.connect(str(self._folder / "qmp"))
                break
            except OSError:
                if self._process.poll() is not None:
                    self._fail_start()
                if time.monotonic() > self._deadline:
                    self._fail("QEMU did not open its QMP socket")
                time.sleep(0.005)
        self._selector.register(self._qmp, selectors.EVENT_READ, self._read_qmp)
        try:
            self.qmp("qmp_capabilities")  # answered by a machine that stands
        except BootError:
            self._fail_start()

    def _fail_start(self):
        raise StartError(self._said_by_qemu() or "QEMU did not start",
                         "command: " + " ".join(self.command))

    def _read_qmp(self):
        try:
            data = self._qmp.recv(65536)
        except ConnectionResetError:
            data = b""
        self._qmp_buffer += data
        *lines, self._qmp_buffer = self._qmp_buffer.split(b"\n")
        for message in map(json.loads, filter(None, map(bytes.strip, lines))):
            if message.get("event") == "SHUTDOWN":
                self.reason = message["data"]["reason"]
            elif "return" in message or "error" in message:
                self._qmp_replies.append(message)
        return bool(data)

    def result(self):
        return Result(self.serial, bytes(self.serial_bytes), self.status, self.reason,
                      time.monotonic() - self._started, self.command)


def boot(images, *, until=None, screenshot=None, start=Machine, **options):
    """Boots the disks in this order and returns a Result; options are those of
    `start`, a class of machines, and command_line().

    Without `until` the machine has to end by itself (power-off, reset, port 0xf4) within
    `timeout` seconds. With it, a text or a list of texts, the machine is ended as soon as one of
    them appears on COM1; `screenshot` names a PNG that is taken then. Everything else is a
    BootError that shows the serial output.
    """
    with start(images, **options) as machine:
        if until is None:
            machine.wait_end()
        else:
            machine.wait_for(until)
            if screenshot:
                machine.screendump(screenshot)
            machine.reason = "until"
    return machine.result()


# The boot report


def _report_value(key, text):
    if key.startswith("stage."):
        return tuple(int(number, 0) for number in text.split())
    return int(text, 0) if re.fullmatch(r"-?\d+|0[xX][0-9a-fA-F]+", text) else text


def parse_report(serial):
    """The lines between BOOT-REPORT-BEGIN and BOOT-REPORT-END as a dictionary.

    Numbers become int, `stage.NAME` a tuple (start, end, bytes). No report, two reports, a line
    without `=` and a key given twice are errors.
    """
    blocks = re.findall(r"^BOOT-REPORT-BEGIN\n(.*?)^BOOT-REPORT-END$", serial, re.M | re.S)
    if len(blocks) != 1:
        raise BootError(f"{len(blocks)} boot reports instead of one", serial[-20000:])
    report = {}
    for line in blocks[0].splitlines():
        key, equals, value = line.partition("=")
        if not equals or not key or key in report:
            raise BootError(f"bad or repeated line in the boot report: {line!r}")
        report[key] = _report_value(key, value)
    return report
