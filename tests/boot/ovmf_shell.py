"""The UEFI shell, taken out of OVMF's firmware: Debian has it nowhere else.

Formats: UEFI Platform Initialization 1.7, volume 3 (firmware volumes, files, sections). A volume holds
files at multiples of 8; a file holds sections at multiples of 4, one of which may be a compressed
volume, by LZMA.
"""

import lzma
import struct
import uuid

from qemu import OVMF_CODE

SHELL = uuid.UUID("7c04a583-9e3e-4f1c-ad65-e05268d0b4d1").bytes_le
LZMA = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le
VOLUME_SIGNATURE, SIGNATURE_AT = b"_FVH", 40
FILE_HEADER_BYTES, LARGE_FILE_HEADER_BYTES, LARGE = 24, 32, 1
SECTION_GUIDED, SECTION_PE32, SECTION_VOLUME = 0x02, 0x10, 0x17


def _u24(data, at):
    return int.from_bytes(data[at:at + 3], "little")


def _sections(data):
    at = 0
    while at + 4 <= len(data):
        size, head = _u24(data, at), 4
        if size == 0xffffff:
            size, head = struct.unpack_from("<I", data, at + 4)[0], 8
        if size < head:
            return
        yield data[at + 3], data[at:at + size], head
        at = (at + size + 3) & ~3


def _files(volume):
    """Name and contents of every file of a volume."""
    at = (struct.unpack_from("<H", volume, 48)[0] + 7) & ~7
    extended = struct.unpack_from("<H", volume, 52)[0]
    if extended:
        at = (extended + struct.unpack_from("<I", volume, extended + 16)[0] + 7) & ~7
    while at + FILE_HEADER_BYTES <= len(volume):
        size, head = _u24(volume, at + 20), FILE_HEADER_BYTES
        if volume[at + 19] & LARGE:
            size, head = struct.unpack_from("<Q", volume, at + 24)[0], LARGE_FILE_HEADER_BYTES
        if size < head or size == 0xffffff:
            return
        yield volume[at:at + 16], volume[at + head:at + size]
        at = (at + size + 7) & ~7


def _find(data):
    """The shell's PE file among the sections, or None."""
    for kind, section, head in _sections(data):
        if kind == SECTION_GUIDED and section[head:head + 16] == LZMA:
            start = struct.unpack_from("<H", section, head + 16)[0]
            found = _find(lzma.decompress(section[start:], lzma.FORMAT_ALONE))
        elif kind == SECTION_VOLUME:
            found = _find_in_volume(section[head:])
        else:
            continue
        if found:
            return found
    return None


def _find_in_volume(volume):
    for name, contents in _files(volume):
        if name == SHELL:
            return next(section[head:] for kind, section, head in _sections(contents)
                        if kind == SECTION_PE32)
        if found := _find(contents):
            return found
    return None


def read_shell():
    firmware = OVMF_CODE.read_bytes()
    at = firmware.find(VOLUME_SIGNATURE)
    while at >= 0:
        start = at - SIGNATURE_AT
        size = struct.unpack_from("<Q", firmware, start + 32)[0]
        if shell := _find_in_volume(firmware[start:start + size]):
            return shell
        at = firmware.find(VOLUME_SIGNATURE, start + size)
    raise AssertionError(f"{OVMF_CODE} has no shell")
