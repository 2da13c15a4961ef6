"""What the tests of loadcheck share: the program, kernels of the build, and trees."""

import json

import pytest

from kernel_files import CONTRACT

TOP = {"file", "esp", "entry", "verdict", "reason", "machine", "config", "kernel", "image", "space"}


@pytest.fixture(scope="session")
def program(build):
    return build / "host/loadcheck-checked"


@pytest.fixture
def loadcheck(program, run):
    """loadcheck(arguments..., status=0): what it says of one kernel, as JSON."""
    def loadcheck(*arguments, status=0):
        said = json.loads(run(program, "--json", *arguments, status=status).stdout)
        assert set(said) == TOP
        assert said["verdict"] == ["boots", "refused", "unknown"][status]
        assert (said["reason"] is None) == (status == 0)
        return said
    return loadcheck


@pytest.fixture
def kernels(build):
    return {"kernel": build / "kernel.elf", **{name: build / f"tests/kernels/{name}.elf" for name in CONTRACT}}


@pytest.fixture
def esp(tmp_path):
    """esp(files): a folder with these files, by path."""
    def esp(files):
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path
    return esp
