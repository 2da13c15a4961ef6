"""The kernel at the place where it runs: what loadcheck says of its file, and what its symbols and
DWARF lines say of an address (addr2line of binutils or LLVM, which knows inlining and the names of
C++ and Rust)."""

import json
import os
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from slipway_lib import places
from slipway_lib.errors import Stop

CALL_BYTES_MAX = 7
WORD_BYTES = 8
ADDRESSES = 1 << 64
# So many words of the code at the entry tell a kernel's place from all others.
ENTRY_WORDS_MAX = 8


@dataclass
class Line:
    """One line of a decoded address; an address in inlined code has several, the innermost first."""
    function: str  # "" if nobody knows
    file: str      # "" if nobody knows
    number: int

    def __str__(self):
        place = f"{shown_path(self.file)}:{self.number}" if self.number else shown_path(self.file)
        return (self.function or "?") + (f" ({place})" if place else "")


def shown_path(file):
    """Short where it can be: people stand in the folder of their kernel."""
    folder = os.getcwd() + "/"
    return file[len(folder):] if file.startswith(folder) else file


def source_line(line):
    """The text of a line of source, or ""."""
    try:
        text = Path(line.file).read_text(errors="replace").split("\n")
    except (OSError, ValueError):
        return ""
    return text[line.number - 1].strip() if 0 < line.number <= len(text) else ""


def loadcheck_all(*arguments):
    """What loadcheck says, as JSON, of each kernel or entry; at least one answer."""
    done = subprocess.run([places.own(places.LOADCHECK), "--json", *map(str, arguments)],
                          capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    try:
        first, *others = map(json.loads, done.stdout.splitlines())
        return [first, *others]
    except ValueError:
        said = done.stderr.strip() or f"status {done.returncode}"
        raise Stop(f"{places.LOADCHECK} gave no answer: {said}") from None


def loadcheck(kernel, *options):
    """What loadcheck says of one kernel."""
    return loadcheck_all(*options, kernel)[0]


class Kernel:
    """A kernel that runs; `symbols` is the file with its symbols if that is another one."""

    def __init__(self, path, facts, symbols=None):
        """`facts`: the kernel's part of what loadcheck says; None for a PE file, of which nothing is
        known once it runs."""
        self.path = Path(path)
        self.symbols = Path(symbols or path)
        self.is_known = facts is not None
        facts = facts or {}
        self.slide = int(facts.get("slide") or "0", 16)
        self.entry = int(facts.get("entry") or "0", 16)
        step = facts.get("slide_step") or 0
        lowest, highest = (int(facts[key], 16) for key in ("slide_lowest", "slide_highest")) if step else (0, 0)
        # Where KASLR may have moved it.
        self._slides = [(lowest + by) % ADDRESSES for by in range(0, (highest - lowest) % ADDRESSES + 1, step)] \
            if step else []
        self._texts = [(int(s["start"], 16), int(s["end"], 16), s["file_offset"])
                       for s in facts.get("segments", []) if s["execute"]]
        self._bytes = self.path.read_bytes() if self._texts else b""

    def _words_at(self, address):
        """Of the file's code, from an address on."""
        for start, end, offset in self._texts:
            if start <= address < end:
                count = min(ENTRY_WORDS_MAX, (end - address) // WORD_BYTES)
                return list(struct.unpack_from(f"<{count}Q", self._bytes, offset + address - start))
        return []

    def move(self, slide):
        """From now on it is at this place."""
        by = slide - self.slide
        self.slide = slide
        self.entry = (self.entry + by) % ADDRESSES
        self._texts = [((start + by) % ADDRESSES, (end + by) % ADDRESSES, offset)
                       for start, end, offset in self._texts]

    def find(self, read_words, rip):
        """Looks where KASLR has put it: where its entry's code stands. False: nowhere, and the place stays.

        read_words(address, count) gives words of the kernel's memory, fewer where it ends.
        """
        wanted = self._words_at(self.entry)
        if not self._slides or not wanted:
            return True

        def is_at(slide):
            return read_words((self.entry + slide - self.slide) % ADDRESSES, len(wanted)) == wanted

        def is_likely(slide):
            return self.is_text((rip - slide + self.slide) % ADDRESSES)
        found = next(filter(is_at, sorted(self._slides, key=is_likely, reverse=True)), None)
        if found is not None:
            self.move(found)
        return found is not None

    def is_text(self, address):
        return any(start <= address < end for start, end, _ in self._texts)

    def is_after_call(self, address):
        """Whether the instruction that ends here may be a call: E8, or FF /2 (SDM 2A, CALL)."""
        for start, end, offset in self._texts:
            if start + CALL_BYTES_MAX <= address < end:
                at = offset + address - start
                before = self._bytes[at - CALL_BYTES_MAX:at]
                return len(before) == CALL_BYTES_MAX and (before[-5] == 0xE8 or any(
                    before[-size] == 0xFF and before[1 - size] >> 3 & 7 == 2 for size in (2, 3, 4, 6, 7)))
        return False

    def decode(self, addresses):
        """A list of Lines for each address; an empty one where nothing is known."""
        if not addresses:
            return []
        command = [places.find_addr2line(), "-e", str(self.symbols), "-a", "-f", "-i", "-C",
                   *(f"{(address - self.slide) % ADDRESSES:#x}" for address in addresses)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL)
        decoded = []
        for record in re.split(r"^0x[0-9a-f]+\n", done.stdout, flags=re.M)[1:]:
            parts = record.rstrip("\n").split("\n")
            decoded.append([_line(*pair) for pair in zip(parts[::2], parts[1::2])])
        if len(decoded) != len(addresses):
            said = done.stderr.strip().removeprefix(f"{command[0]}: ")
            raise Stop(f"{command[0]}: {said or 'no answer'}")
        return [[line for line in lines if line.function or line.file] for lines in decoded]


def _line(function, place):
    """Of addr2line's two lines for one; `??` and `?` are what it does not know."""
    file, _, number = re.sub(r" \(discriminator \d+\)$", "", place).rpartition(":")
    return Line("" if function == "??" else function, "" if file == "??" else os.path.normpath(file),
                int(number) if number.isdigit() else 0)
