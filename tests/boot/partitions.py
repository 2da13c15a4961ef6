"""Disks with partitions, each of which is an image, and a CD with one."""

import struct
import subprocess
import uuid
import zlib

SECTOR = 512
FIRST = 2048  # sector of the first partition
GUIDS = [uuid.UUID(f"{index}1234567-89ab-cdef-0123-456789abcdef") for index in range(4)]
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
SIGNATURE = 0xDEADBEEF


def with_gpt(images, path, guids=GUIDS):
    """A disk with the images, in a GPT (UEFI 2.9, 5.3)."""
    contents, entries, next_sector = [], b"", FIRST
    for image, guid in zip(images, guids):
        contents.append((next_sector, image.read_bytes()))
        last = next_sector + len(contents[-1][1]) // SECTOR - 1
        entry = ESP_TYPE.bytes_le + guid.bytes_le + struct.pack("<QQQ", next_sector, last, 0)
        entries += entry.ljust(128, b"\0")
        next_sector = last + 1
    end = last + 1 + 33  # the second table, and its header in the last sector
    table = entries.ljust(128 * 128, b"\0")

    def header(own, other, table_at):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, last, uuid.UUID(int=7).bytes_le,
                  table_at, 128, 128, zlib.crc32(table)]
        packed = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
        fields[3] = zlib.crc32(packed)
        return struct.pack("<8sIIIIQQQQ16sQIII", *fields)

    disk = bytearray((end + 1) * SECTOR)
    disk[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, end)
    disk[510:512] = b"\x55\xaa"
    for own, other, table_at in ((1, end, 2), (end, 1, end - 32)):
        disk[own * SECTOR:own * SECTOR + 92] = header(own, other, table_at)
        disk[table_at * SECTOR:table_at * SECTOR + len(table)] = table
    for start, content in contents:
        disk[start * SECTOR:start * SECTOR + len(content)] = content
    path.write_bytes(disk)
    return path


def with_mbr(images, path):
    """A disk whose second partition is the image, in an MBR (UEFI 2.9, 5.2) with a signature."""
    content = images[0].read_bytes()
    disk = bytearray(FIRST * SECTOR)
    disk[440:444] = struct.pack("<I", SIGNATURE)
    disk[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\0\0\0", 64, 64)
    disk[462:478] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEF, b"\0\0\0", FIRST,
                                len(content) // SECTOR)
    disk[510:512] = b"\x55\xaa"
    path.write_bytes(disk + content)
    return path


def cd(folder, image):
    """QEMU's arguments for a CD whose boot image (El Torito, platform EFI) this is."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "boot.img").write_bytes(image.read_bytes())
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "A_CD", "-o", folder / "cd.iso",
                    "-e", "boot.img", "-no-emul-boot", tree], check=True, timeout=60, stdin=subprocess.DEVNULL)
    return ["-drive", f"if=none,id=cd,format=raw,readonly=on,media=cdrom,file={folder}/cd.iso",
            "-device", "ide-cd,drive=cd,bootindex=1"]
