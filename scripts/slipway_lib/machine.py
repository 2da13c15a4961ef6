"""A machine with somebody's kernel, from its start to its end, and what the end was."""

import os
import re
import sys
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import qemu

from slipway_lib import fault

# What a kernel writes to port 0xf4 for "good", and the status with which QEMU then ends.
DEBUG_EXIT_GOOD = 0x10
DEBUG_EXIT_GOOD_STATUS = DEBUG_EXIT_GOOD * 2 + 1
KERNEL_HALF = 1 << 63
SESSION_LIMIT_SECONDS = 7 * 86400
# For questions to a machine whose time is over.
LAST_WORDS_SECONDS = 10
DRAWING_SECONDS_MAX = 5

# The last words of the loader's report of an early fault, and of the reference kernel's.
EARLY_FAULT = r"^slipway: stopped\n|^(slipway: )?fault in the fault report: .*\n"
NO_LOADER = r"^BdsDxe: failed to (load|start) "


def is_in_kernel(machine):
    """Whether CPU 0 runs at an address that the firmware and the loader never run at."""
    try:
        registers = machine.monitor("info registers")
    except (OSError, qemu.BootError):
        return True  # as it was: the machine has just ended by itself
    return int(re.search(r"\bRIP=([0-9a-f]+)", registers)[1], 16) >= KERNEL_HALF


def find_stop(machine, log, own_stops=""):
    """Why a machine will not end by itself: ("stopped", "") for a kernel that said its last words,
    ("refused", the loader's words), ("no-loader", "") or None.

    `log` is the loader's level, `own_stops` a pattern of last words of the kernel's own.
    """
    if not own_stops and not any(words in machine.serial for words in ("slipway: ", "BdsDxe: failed ")):
        return None  # quick, for kernels that print a lot
    # A kernel may print the loader's log. While the question is answered the machine may go on to
    # say the last that it says, so what it has said is looked at afterwards.
    in_kernel = "\nslipway: " in machine.serial and is_in_kernel(machine)
    said = machine.serial
    refusals = re.findall(r"^slipway: (?!press a key)(.*)\n", said, re.M)
    if re.search(EARLY_FAULT + (f"|{own_stops}" if own_stops else ""), said, re.M):
        return "stopped", ""
    if re.search(NO_LOADER, said, re.M) and not refusals:
        return "no-loader", ""
    # A loader that talks says more than refusals; then what it does after one is the sign.
    ends = re.search(r"^slipway: press a key|^BdsDxe: failed to start ", said, re.M)
    talks = log in ("info", "debug") and not ends
    if refusals and not talks and not in_kernel:
        return "refused", refusals[-1]
    return None


class FirmwareFilter:
    """Lets serial output through to a file, without the firmware's clearing of the terminal: what is
    on it above the machine's lines is the user's."""

    CLEARING = re.compile(rb"\x1b\[2J|\x1b\[01;01H|\x1b\[=3h|\x1b\[0m\x1b\[3[0-9]m\x1b\[4[0-9]m")
    BEGUN = re.compile(rb"\x1b[\[=;0-9m\x1b]*$")
    STARTING = b"BdsDxe: starting "  # the firmware's last line before the loader

    def __init__(self, file):
        self.file = file
        self.held = b""    # of an escape sequence that is not whole
        self.passed = b""  # the end of what came before
        self.is_over = False

    def write(self, data):
        if self.is_over:
            self.file.write(data)
            return
        seen = self.passed + data
        at = seen.find(self.STARTING)
        self.is_over = at >= 0
        self.passed = seen[-len(self.STARTING):]
        own = at + len(self.STARTING) - (len(seen) - len(data)) if self.is_over else len(data)
        firmware = self.CLEARING.sub(b"", self.held + data[:own])
        self.held = begun[0] if (begun := self.BEGUN.search(firmware)) else b""
        self.file.write(firmware[:len(firmware) - len(self.held)] + data[own:])

    def flush(self):
        self.file.flush()


@dataclass
class End:
    """How a machine ended: kind is expected, power-off, debug-exit, reset, triple-fault, stopped,
    refused, no-loader, timeout or closed (somebody closed QEMU)."""
    kind: str
    detail: str = ""
    status: int = 0             # of QEMU, for debug-exit
    scene: fault.Scene = None
    missing: list = field(default_factory=list)  # expected texts that have not come


class KernelMachine(qemu.Machine):
    """A machine that stands still when it resets, so that it can be asked where it was."""

    def __init__(self, image, kernel, *, timeout=None, echo=None, log="quiet", extra=(), **options):
        super().__init__([image], timeout=timeout or SESSION_LIMIT_SECONDS, echo=echo, extra=[
            "-action", "shutdown=pause", *extra], **options)
        self.image = image
        # What a person would type: without the rig's connection to QEMU and its log.
        self.plain_command = qemu.command_line([image], self.variables, extra=extra, **options)
        self.kernel = kernel
        self.log = log
        self.cpu_log = self._folder / "cpu.log"
        self.command += ["-d", "cpu_reset", "-D", str(self.cpu_log)]
        self._is_serial_open = True
        self._seen_bytes = 0
        self._lines, self._lines_bytes = "", 0
        self._let_go_reason = ""

    def _read_serial(self):
        self._is_serial_open = super()._read_serial()
        return self._is_serial_open

    @property
    def serial(self):
        """What the rig's has, without looking at whole lines twice: kernels may print a lot."""
        end = self.serial_bytes.rfind(b"\n") + 1
        if end > self._lines_bytes:
            self._lines += self.clean(self.serial_bytes[self._lines_bytes:end])
            self._lines_bytes = end
        return self._lines + self.clean(self.serial_bytes[end:])

    @contextmanager
    def terminal(self):
        """What is typed goes to COM1, key by key; Ctrl-C stays the terminal's."""
        if not (sys.stdin and sys.stdin.isatty()):
            yield
            return
        before = termios.tcgetattr(0)
        mode = termios.tcgetattr(0)
        mode[0] &= ~(termios.ICRNL | termios.IXON)
        mode[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        self._selector.register(0, 1, self._type)
        try:
            termios.tcsetattr(0, termios.TCSADRAIN, mode)
            yield
        finally:
            with suppress(termios.error):  # a terminal that has been closed
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _type(self):
        data = os.read(0, 4096)
        if data and self._is_serial_open:
            try:
                self._process.stdin.write(data)
                self._process.stdin.flush()
            except OSError:
                return False
        return bool(data)

    def watch(self, expected=()):
        """Waits for the end: all of the expected texts, one after the other, or what else comes."""
        expected, since, end = list(expected), 0, None
        while not end:
            while expected and (at := self.serial.find(expected[0], since)) >= 0:
                since = at + len(expected.pop(0))
                if not expected:
                    return End("expected")
            try:
                end = self._find_end() or self._pump_on()
            except qemu.BootError:
                if self.reason != "timeout":
                    raise
                end = self._end_of_timeout()
        end.missing = expected
        return end

    def _pump_on(self):
        """Waits for news; the end if QEMU has ended, and said all."""
        if self._is_serial_open:
            self._pump("waiting for the machine to end")
            return None
        self.status = self._process.wait()
        return self._end_of_status()

    def _find_end(self):
        if self.reason == "timeout":
            return self._end_of_timeout()
        if self.reason == "guest-reset":
            return self._end_of_reset()
        if self.reason != "running":
            self._let_go()
            return None
        if len(self.serial_bytes) == self._seen_bytes:
            return None
        self._seen_bytes = len(self.serial_bytes)
        stop = find_stop(self, self.log)
        if not stop and self.reason != "running":
            return self._find_end()  # what it was asked meanwhile has brought this news, and no more will come
        if not stop:
            return None
        kind, detail = stop
        return End(kind, detail, scene=self._scene_of_fault() if kind == "stopped" else None)

    def _let_go(self):
        """A machine that is off stands still, too: QEMU is to end. Newer ones also come here after a
        write to port 0xf4, and know its status."""
        if self._let_go_reason:
            return
        self._let_go_reason = self.reason
        try:
            self.qmp("quit")
        except (OSError, qemu.BootError):
            pass  # it has ended

    def _end_of_timeout(self):
        return End("timeout", scene=self._ask_scene("where it was when the time was over:"))

    def _end_of_status(self):
        said = "\n".join(line for line in self._said_by_qemu().split("\n") if ": warning: " not in line)
        # The port makes it 2 * value + 1. 1 may be QEMU's own failure, from 124 on it is timeout's.
        if self.status & 1 and 0 < self.status < 124 and not (self.status == 1 and said):
            return End("debug-exit", f"{self.status >> 1:#x}", self.status)
        if self._let_go_reason == "guest-shutdown" and self.status == 0:
            return End("power-off")
        return End("qemu", said or f"status {self.status}") if self.status else End("closed")

    def _end_of_reset(self):
        try:
            is_triple = "Triple fault" in self.cpu_log.read_text(errors="replace")
        except OSError:
            is_triple = False
        what = "where it was when the CPU could deliver no fault any more:" if is_triple else "where it was:"
        return End("triple-fault" if is_triple else "reset", scene=self._ask_scene(what))

    # Where the kernel is

    def monitor(self, line):
        return super().monitor(line).replace("\r", "")

    def _read_words(self, address, count):
        return fault.parse_words(self.monitor(f"x /{count}gx {address:#x}"))

    def _read_physical(self, address):
        words = fault.parse_words(self.monitor(f"xp /1gx {address:#x}"))
        return words[0] if words else None

    def _add_returns(self, scene):
        rip = scene.registers.get("rip", 0)
        if self.kernel.is_known and not self.kernel.find(self._read_words, rip) and rip >= KERNEL_HALF:
            scene.hints.append(fault.MOVED)
        if self.kernel.is_known and "rsp" in scene.registers:
            if fault.is_overflow(scene.registers, self._read_words):
                scene.hints.append(fault.OVERFLOW)
            scene.returns, scene.is_exact = fault.find_returns(self.kernel, scene.registers, self._read_words)
            if scene.registers.get("rip") == 0 and not scene.returns:
                scene.hints.append(fault.RETURNED)
        return scene

    def _scene_of_fault(self):
        scene = fault.scene_of_report(self.serial)
        try:
            return self._add_returns(scene)
        except (OSError, qemu.BootError, RuntimeError):
            return scene

    def _ask_scene(self, what):
        """Where CPU 0 is, of a machine that may be gone."""
        self.extend_time()
        try:
            scene = fault.scene_of_registers(what, self.monitor("info registers"), self.serial)
            if self.reason == "guest-reset" and scene.registers.get("cr2"):
                scene.walk = fault.walk(self._read_physical, scene.registers)
            return self._add_returns(scene)
        except (OSError, qemu.BootError, RuntimeError):
            return None

    def wait_halted(self):
        """A moment for the loader to draw its report on the screen, too, after which the CPU halts."""
        end = time.monotonic() + DRAWING_SECONDS_MAX
        while time.monotonic() < end and "HLT=1" not in self.monitor("info registers"):
            time.sleep(0.05)

    def extend_time(self):
        """A machine whose time is over can still be asked."""
        self._deadline = max(self._deadline, time.monotonic() + LAST_WORDS_SECONDS)

    def wait_closed(self):
        """Until QEMU's window is closed, or for ever."""
        while self._process.poll() is None and self.reason == "running":
            self._pump("waiting for the window to be closed")
