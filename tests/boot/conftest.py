"""Boot tests need the build: `make` and the targets test-kernels and test-apps."""

import pytest

import support
from paths import BUILD, ROOT


@pytest.fixture(scope="session", autouse=True)
def built_files():
    apps = (path.stem for path in (ROOT / "tests/apps").glob("*.c"))
    wanted = [support.LOADER, *(BUILD / f"tests/apps/{name}.efi" for name in apps),
              *(support.KERNELS / f"{name}.elf"
                for name in ("exec", "pie", "moved", "wishes", "large", "cpus", "tls"))]
    missing = [str(path) for path in wanted if not path.exists()]
    assert not missing, f"not built: {', '.join(missing)}"


@pytest.fixture(scope="session")
def debug_build():
    """The folder of loader and kernel as `make DEBUG=1 TRACKING=1` builds them. Who uses it is of the
    xdist_group "debug", so that one process builds it."""
    return support.built_in("asserting", "DEBUG=1", "TRACKING=1", programs=("kernel.elf", "BOOTX64.EFI"))
