"""Boots over the network: OVMF's PXE, a server of QEMU's, which tells sizes and knows no windows. Cold
boots, since the firmware gets its address, and the loader, before it starts that.
"""

import re

import pytest

import qemu
from support import EXIT_GOOD, KERNELS, LOADER, MIB, KernelOutput
from test_contract import module_bytes
from test_volumes import fat

SERVER = "tftp://10.0.2.2/"


def served(folder, files):
    """A folder of the server's with these files: host Paths or bytes."""
    tree = folder / "tftp"
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return tree


def machine(tree, boot_file, card="virtio-net-pci,romfile=", disks=()):
    """QEMU's arguments for a machine that boots from there. Disks are not what it boots from."""
    extra = ["-netdev", f"user,id=net,tftp={tree},bootfile={boot_file}",
             "-device", f"{card},netdev=net,bootindex=1"]
    for index, disk in enumerate(disks):
        extra += ["-drive", f"if=none,id=other{index},format=raw,snapshot=on,file={disk}",
                  "-device", f"virtio-blk-pci,drive=other{index}"]
    return {"memory": "512M", "timeout": 180, "extra": extra}


def boot_good(*arguments, **options):
    result = qemu.boot([], **machine(*arguments, **options))
    output = KernelOutput(result)
    assert not output.bad, result.serial
    assert result.debug_exit == EXIT_GOOD, result.serial
    return output


def boot_refused(*arguments):
    serial = qemu.boot([], until="press a key", **machine(*arguments)).serial
    return [line for line in serial.splitlines() if line.startswith("slipway: ")][0]


@pytest.mark.weight(40)
def test_kernel_and_a_module_of_64_mib_come_from_the_server_with_the_tree_of_a_disk(tmp_path):
    large = (module_bytes(251 * 256) * 1045)[:64 * MIB]  # what the kernel wants repeats
    config = ("kernel = \\boot\\k.elf\nmodule = /boot/Large a\nmodule = label(OTHER)/m b\n"
              "digest = sha256\n")
    tree = served(tmp_path, {"os/EFI/BOOT/BOOTX64.EFI": LOADER, "os/boot/k.elf": KERNELS / "exec.elf",
                             "os/boot/Large": large, "os/slipway.conf": config.encode()})
    output = boot_good(tree, "os/EFI/BOOT/BOOTX64.EFI", disks=[fat(tmp_path, "FAT16", {"m": b"\3\x0a"})])
    assert output.texts["kernel.path"] == ["\\boot\\k.elf"]
    assert output.texts["module.cmdline"] == ["a", "b"]
    assert output.facts["module.bytes"] == [64 * MIB, 2]
    assert output.facts["server.kind"] == [4]
    assert output.facts["server.byte"][:4] == [10, 0, 2, 2]


def test_without_a_config_the_kernel_beside_the_boot_file_is_booted_by_ipxe(tmp_path):
    """The card's ROM is iPXE, which gets the loader itself and has a file system without other files."""
    tree = served(tmp_path, {"BOOTX64.EFI": LOADER, "kernel.elf": KERNELS / "exec.elf"})
    assert boot_good(tree, "BOOTX64.EFI", card="virtio-net-pci").facts["server.kind"] == [4]


def test_what_is_wrong_on_the_server_is_said_with_its_url(tmp_path):
    config = b"kernel = /kernel.elf\nsha256 = " + b"00" * 32 + b"\n"
    tree = served(tmp_path, {"BOOTX64.EFI": LOADER, "slipway.conf": config,
                             "kernel.elf": KERNELS / "exec.elf"})
    assert re.fullmatch(rf"slipway: {SERVER}kernel.elf: its SHA-256 is [0-9a-f]{{64}}, not 0{{64}} "
                        rf"\(key 'sha256', {SERVER}slipway.conf line 2\)", boot_refused(tree, "BOOTX64.EFI"))
    (tree / "kernel.elf").unlink()
    assert boot_refused(tree, "BOOTX64.EFI") == (
        f"slipway: {SERVER}kernel.elf: not found (key 'kernel', {SERVER}slipway.conf line 1)")
