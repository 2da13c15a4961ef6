"""The examples of docs/examples, built with what is installed as tests/test_sdk.py has it, and booted."""

import os
import shutil

import pytest

from qemu import make_image
from snapshots import boot
from support import EXIT_GOOD, MIB, ROOT, volume


@pytest.fixture
def kernels(sdk, run, tmp_path):
    """The example kernel, by pkg-config (position independent, too) and by CMake, with the other compiler."""
    folder = shutil.copytree(ROOT / "docs/examples/kernel", tmp_path / "kernel")
    compiler = os.environ.get("CC") or "gcc"
    other = "gcc" if "clang" in compiler else "clang"
    run("make", f"CC={compiler}", cwd=folder, PKG_CONFIG_PATH=f"{sdk}/lib/pkgconfig")
    run("cmake", f"-DCMAKE_C_COMPILER={other}", f"-DCMAKE_PREFIX_PATH={sdk}", "-B", "cmake", cwd=folder)
    run("cmake", "--build", "cmake", cwd=folder)
    return [folder / "kernel.elf", folder / "kernel-pie.elf", folder / "cmake/kernel.elf"]


@pytest.mark.weight(12)
@pytest.mark.parametrize("built", [0, 1, 2], ids=["pkg-config", "pie", "cmake"])
def test_kernel_manages_its_memory_with_the_libraries(kernels, tmp_path, built):
    result = boot([volume(tmp_path, kernels[built])], memory="256M")
    assert "Pages mapped, used and freed: all is well.\n" in result.serial
    assert result.debug_exit == EXIT_GOOD


@pytest.fixture
def application(sdk, run, tmp_path):
    """docs/examples/boot: boot.efi and its kernel, with nothing of Slipway's loader."""
    folder = shutil.copytree(ROOT / "docs/examples/boot", tmp_path / "boot")
    run("make", f"CC={os.environ.get('CC') or 'gcc'}", cwd=folder, PKG_CONFIG_PATH=f"{sdk}/lib/pkgconfig")
    return folder


@pytest.mark.weight(12)
def test_an_application_boots_a_kernel_with_the_loaders_parts(application, tmp_path):
    image = make_image(tmp_path / "esp.img", {"EFI/BOOT/BOOTX64.EFI": application / "boot.efi",
                                              "kernel.elf": application / "kernel.elf"}, size=16 * MIB)
    result = boot([image], memory="256M")
    assert "Every mapping is as it is listed: all is well.\n" in result.serial
    assert result.debug_exit == EXIT_GOOD


@pytest.mark.weight(12)
def test_an_application_says_why_a_file_is_no_kernel_and_goes_back_to_the_firmware(application, tmp_path):
    image = make_image(tmp_path / "esp.img", {"EFI/BOOT/BOOTX64.EFI": application / "boot.efi",
                                              "kernel.elf": (application / "kernel.elf").read_bytes()[:5000]},
                       size=16 * MIB)
    result = boot([image], memory="256M", until="(required: a kernel)")
    assert "segment 1, " in result.serial and "lies outside the file of 5000 bytes (required: a kernel)" in result.serial
