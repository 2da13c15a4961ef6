"""Boots from a CD whose boot image holds the loader alone: what it boots lies in the ISO 9660 tree. And
from a disk that the image of such a CD was written to. Cold boots, as of every CD.
"""

import subprocess

import qemu
from support import EXIT_GOOD, KERNELS, LOADER, MIB, ROOT, KernelOutput, make_image
from test_contract import module_bytes

MODULE = module_bytes(5 * MIB + 1)
FILES = {
    "slipway.conf": b"kernel = /boot/a-kernel-of-the-disc.elf\nmodule = \\BOOT\\large.module a\n"
                    b"module = /boot/small b\ndigest = sha256\n",
    "boot/a-kernel-of-the-disc.elf": (KERNELS / "exec.elf"),
    "boot/Large.Module": MODULE,
    "boot/small": b"\3",
}


def write_tree(tree, files):
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return tree


def make_disc(folder, files, in_image=None, options=()):
    """A disc with these files, and a boot image with the loader and those of `in_image`."""
    tree = write_tree(folder / "tree", files)
    boot_image = make_image(tree / "efi.img", {"EFI/BOOT/BOOTX64.EFI": LOADER, **(in_image or {})}, 2 * MIB)
    disc = folder / "disc.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", *options, "-o", disc, "-e", boot_image.name,
                    "-no-emul-boot", tree], check=True, timeout=60, stdin=subprocess.DEVNULL)
    return disc


def cd(disc):
    return {"memory": "512M",
            "extra": ["-drive", f"if=none,id=cd,format=raw,readonly=on,media=cdrom,file={disc}",
                      "-device", "ide-cd,drive=cd,bootindex=1"]}


def check(result):
    output = KernelOutput(result)
    assert not output.bad, result.serial
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert output.facts["module.bytes"] == [len(MODULE), 1]
    assert output.texts["module.cmdline"] == ["a", "b"]


def test_config_kernel_and_modules_come_from_the_tree_of_the_disc(tmp_path):
    check(qemu.boot([], **cd(make_disc(tmp_path, FILES))))


def test_the_boot_image_counts_where_it_has_a_file_and_joliets_names_do_as_well(tmp_path):
    files = {**FILES, "boot/small": b"not this one", "slipway.conf": b"kernel = /none\n"}
    in_image = {"slipway.conf": FILES["slipway.conf"], "boot/small": b"\3"}
    check(qemu.boot([], **cd(make_disc(tmp_path, files, in_image, ["--norock", "-J"]))))


def test_the_disc_that_slipway_makes_boots_as_a_cd_and_written_to_a_disk(tmp_path, run):
    tree = write_tree(tmp_path / "tree", FILES)
    disc = tmp_path / "disc.iso"
    run(ROOT / "scripts/slipway", "image", "--iso", tree, disc)
    check(qemu.boot([], **cd(disc)))
    check(qemu.boot([disc], memory="512M"))
