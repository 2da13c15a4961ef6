"""A fault of a kernel, or its reset, in words: the loader's report of a fault before the kernel has
an IDT (loader/enter.c, common/x86/trap.c) or the CPU's registers, with the kernel's symbols."""

import re
from dataclasses import dataclass, field

from slipway_lib.errors import Stop
from slipway_lib.symbols import source_line

FAULT_BEGINS = "slipway: fault before the kernel has its own IDT"
FRAMES_MAX = 16
STACK_WORDS = 256
# Of two frames one above the other; a chain that leaps further is none.
FRAME_BYTES_MAX = 1 << 20
LINES_BEFORE = 8
PAGE_BYTES = 4096
OVERFLOW = ("the stack has overflowed: cr2 is on the page below it (the loader's stack has 64 KiB, unless the kernel"
            " asks for more)")
RETURNED = ("no call led to 0: the function that the loader entered seems to have returned, and nobody is there to"
            " return to")
MOVED = ("the kernel is not found at any of its places: functions are those of a kernel that was not moved"
         " (kaslr = off)")
# An entry of a page table, SDM 3A 4.5.
ENTRY_PRESENT, ENTRY_WRITE, ENTRY_LARGE, ENTRY_NO_EXECUTE = 1, 2, 1 << 7, 1 << 63
ENTRY_ADDRESS = 0x000ffffffffff000
CR4_LA57 = 1 << 12


@dataclass
class Scene:
    """Where the kernel was when it ended."""
    what: str                                    # "page fault: write to a page that is not present"
    registers: dict = field(default_factory=dict)
    walk: list = field(default_factory=list)     # of CR2, a line a level
    hints: list = field(default_factory=list)    # what else the loader said
    before: list = field(default_factory=list)   # the kernel's last lines
    returns: list = field(default_factory=list)  # return addresses, the innermost first
    is_exact: bool = True                        # they are a chain of frame pointers


def last_lines(said, count=LINES_BEFORE):
    """Without those of the firmware, if there are others."""
    lines = [line.rstrip() for line in said.split("\n")]
    others = [line for line in lines if not line.startswith("BdsDxe: ")]
    lines = others if any(others) else lines
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines[-count:]


def scene_of_report(said):
    """The last fault that the loader has reported, or None."""
    before, begun, report = said.rpartition(FAULT_BEGINS)
    if not begun:
        return None
    exception = re.search(r"^CPU exception: (.*) at rip 0x[0-9a-f]+$", report, re.M)
    error = re.search(r"^  error code 0x[0-9a-f]+: (.*)$", report, re.M)
    scene = Scene(exception[1] if exception else "a fault", before=last_lines(before))
    if error and error[1] not in ("none", "no selector is to blame"):
        scene.what += f": {error[1]}"
    scene.registers = {name: int(value, 16) for name, value in
                       re.findall(r"\b(r[a-z0-9]{1,2}|rflags|cr[0-4]) +([0-9a-f]{8,16})\b", report)}
    walk = re.search(r"^(walk of .*\n(?:  .*\n)*)", report, re.M)
    scene.walk = walk[1].splitlines() if walk else []
    scene.hints = re.findall(r"^slipway: (?!stopped$|fault in the fault report: )(.*)$", report, re.M)
    if not walk and "cr2" in scene.registers and "page fault" not in scene.what:
        del scene.registers["cr2"]  # an older fault's
    if again := re.search(r"^slipway: fault in the fault report: vector (\d+), rip (\S+), cr2 (\S+)$", report, re.M):
        scene.hints.append(f"the report itself faulted (vector {again[1]}, cr2 {again[3]}):"
                           " the loader's memory or tables have been overwritten")
    return scene


def scene_of_registers(what, text, said):
    """What QEMU's `info registers` says."""
    # In 32-bit mode, too, where the firmware begins.
    registers = {re.sub("^e", "r", name.lower()): int(value, 16) for name, value in
                 re.findall(r"\b(R[A-Z0-9]{1,2}|E[A-DS][XIP]|E[BS]P|EIP|CR[0-4]) *=([0-9a-f]+)", text)}
    if idt := re.search(r"^IDT= *([0-9a-f]+) ([0-9a-f]+)$", text, re.M):
        registers["idt limit"] = int(idt[2], 16)
    return Scene(what, registers, before=last_lines(said))


def parse_words(text):
    """The words of QEMU's `x /Ngx`, up to the first that is not mapped."""
    return [int(word, 16) for line in re.findall(r"^[0-9a-f]+:((?: 0x[0-9a-f]+)+)", text, re.M)
            for word in line.split()]


def walk(read_physical, registers):
    """The walk of CR2 through the tables of CR3, in the loader's words (SDM 3A 4.5).

    read_physical(address) gives a word of physical memory, or None.
    """
    address, table = registers["cr2"], registers.get("cr3", 0) & ENTRY_ADDRESS
    levels = 5 if registers.get("cr4", 0) & CR4_LA57 else 4
    lines = [f"walk of {address:016x} from root {table:013x}, {levels} levels"]
    for level in range(levels, 0, -1):
        shift = 12 + 9 * (level - 1)
        index = address >> shift & 511
        entry = read_physical(table + 8 * index)
        if entry is None:
            return [*lines, f"  level {level}: no table at {table:013x}"]
        line = f"  level {level} [{index:3}] {entry:016x}"
        if not entry & ENTRY_PRESENT:
            return [*lines, f"{line} not present"]
        rights = f"r{'w' if entry & ENTRY_WRITE else '-'}{'-' if entry & ENTRY_NO_EXECUTE else 'x'}"
        if level == 1 or level <= 3 and entry & ENTRY_LARGE:
            return [*lines, f"{line} page {rights}"]
        lines.append(f"{line} table {rights}")
        table = entry & ENTRY_ADDRESS
    return lines


def _next_page(address):
    return (address // PAGE_BYTES + 1) * PAGE_BYTES


def is_overflow(registers, read_words):
    """Whether CR2 is near RSP, on a page that is not there, with the stack above it and not below."""
    cr2, rsp = registers.get("cr2", 0), registers.get("rsp", 0)

    def is_mapped(address):
        return bool(read_words(address & -8, 1))
    return (abs(cr2 - rsp) < PAGE_BYTES and not is_mapped(cr2) and is_mapped(_next_page(cr2))
            and (cr2 < rsp or not is_mapped(rsp)))


def find_returns(kernel, registers, read_words):
    """Return addresses, and whether they are a chain of frame pointers.

    read_words(address, count) gives words of the kernel's memory, fewer where it ends. A kernel that
    keeps no frame pointers has its stack searched for what looks like a return address.
    """
    rip, rsp, rbp = (registers.get(name, 0) for name in ("rip", "rsp", "rbp"))
    # Of one that has overflowed the last page counts.
    stack = read_words(_next_page(rsp) if is_overflow(registers, read_words) else rsp, STACK_WORDS)
    first = []
    if stack and kernel.is_after_call(stack[0]):
        # A function that has not made its frame, or a call to where there is no code.
        first, stack, rsp = stack[:1], stack[1:], rsp + 8
    chain, frame, ended = [], rbp, False
    while len(chain) < FRAMES_MAX and frame % 8 == 0 and rsp <= frame < rsp + FRAME_BYTES_MAX:
        words = read_words(frame, 2)
        ended = words == [0, 0]  # of the function that the loader has entered
        if len(words) < 2 or not kernel.is_after_call(words[1]):
            break
        chain.append(words[1])
        rsp, frame = frame + 16, words[0]
    if chain or ended:
        return first + chain, True
    found = [word for word in stack if kernel.is_after_call(word)]
    return (first + found)[:FRAMES_MAX], not first + found


def _source(lines):
    text = source_line(lines[0]) if lines and lines[0].number else ""
    return f"\n        {text}" if text else ""


def _frame(mark, address, lines, with_source):
    text = f"  {mark:<3} {address:#018x}  {lines[0] if lines else '?'}"
    text += _source(lines) if with_source else ""
    return text + "".join(f"\n      {'inlined into':>18}  {line}" for line in lines[1:])


def render(scene, kernel):
    """The scene as text for people."""
    parts = [scene.what]
    rip = scene.registers.get("rip")
    note = ""
    if rip is not None and kernel.is_known:
        # A return address is behind its call, which may be the last of its function.
        addresses = [rip, *(address - 1 for address in scene.returns)]
        try:
            decoded = kernel.decode(addresses)
        except Stop as stop:
            decoded, note = [[] for _ in addresses], f"no symbols: {stop}"
        if not note and not any(decoded) and kernel.is_text(rip):
            note = (f"{kernel.symbols} has no symbols for these addresses:"
                    " --symbols FILE names the file that has them")
        at = decoded[0] if kernel.is_text(rip) else []
        parts.append(_frame("at", rip, at, True) if at or kernel.is_text(rip)
                     else f"  at  {rip:#018x}  not in the kernel's code")
        mark = "by" if scene.is_exact else "by?"
        parts += [_frame(mark, address, lines, False) for address, lines in zip(scene.returns, decoded[1:])]
        if not scene.is_exact:
            note = note or ("by?: what looks like a return address on the stack; with"
                            " -fno-omit-frame-pointer the callers are exact")
    elif rip is not None:
        parts.append(f"  at  {rip:#018x}")
    shown = [f"{name} {scene.registers[name]:#x}" for name in ("cr2", "cr3", "rsp", "idt limit")
             if name in scene.registers]
    if shown:
        parts.append("  " + "  ".join(shown))
    parts += [f"  {line}" for line in scene.walk + scene.hints]
    if note:
        parts.append(f"  ({note})")
    if scene.before:
        parts += ["the last lines on COM1:", *(f"  | {line}" for line in scene.before)]
    return "\n".join(parts) + "\n"
