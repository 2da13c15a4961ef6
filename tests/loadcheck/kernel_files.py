"""Kernels for loadcheck: those of the build, by name, and files made of headers and pages."""

import struct

PAGE = 4096
DEFAULT = 0xFFFFFFFF80000000
CONTRACT = ["exec", "pie", "moved", "lowest", "window", "wishes", "large", "cpus", "direct", "tls", "kaslr"]


def header(kind, entry, phdrs):
    """An ELF file's header and program headers: (type, flags, offset, address, bytes, memory)."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    parts = [ident, struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, entry, 64, 0, 0, 64, 56, len(phdrs), 0, 0, 0)]
    for type_, flags, offset, virt, file_bytes, memory_bytes in phdrs:
        parts.append(struct.pack("<IIQQQQQQ", type_, flags, offset, virt, virt, file_bytes, memory_bytes, PAGE))
    return b"".join(parts)


def small_kernel():
    """A page of text and a page of data."""
    file = header(2, DEFAULT, [(1, 5, PAGE, DEFAULT, PAGE, PAGE), (1, 6, 2 * PAGE, DEFAULT + PAGE, PAGE, PAGE)])
    return file.ljust(PAGE, b"\0") + b"\xf4" * PAGE + b"d" * PAGE
