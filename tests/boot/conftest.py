"""Boot tests need the build: `make` and the targets test-kernels and test-apps."""

import pytest

import snapshots
import support


@pytest.fixture(scope="session", autouse=True)
def built_files():
    wanted = [support.LOADER, support.NEXT_APP, support.LAUNCHER, support.USERMAP, support.BADCPU,
              support.LA57, support.UNENDED, support.NOEXIT, support.STRICT, snapshots.APPLICATION,
              *(support.KERNELS / f"{name}.elf" for name in ("exec", "pie", "moved", "wishes",
                                                             "large"))]
    missing = [str(path) for path in wanted if not path.exists()]
    assert not missing, f"not built: {', '.join(missing)}"
