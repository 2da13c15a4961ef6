"""cpio archives, as Linux unpacks its initrd: the format "newc" (070701)."""


def _entry(name, mode, data):
    name = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


def make_archive(files):
    """`files` maps a name to its bytes, executable for all, or to None, a folder."""
    entries = (_entry(name, 0o40755, b"") if data is None else _entry(name, 0o100755, data)
               for name, data in files.items())
    return b"".join(entries) + _entry("TRAILER!!!", 0, b"")
