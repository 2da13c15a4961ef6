"""The examples of docs/examples, built with what is installed as tests/test_sdk.py has it, and booted."""

import os
import shutil

import pytest

from snapshots import boot
from support import EXIT_GOOD, ROOT, volume


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
