"""Other builds of the firmware: that of 2 MiB, and the one for Secure Boot, in which SMM guards the
variables and the exit. All boots are cold: the snapshots are those of the usual build.
"""

from pathlib import Path

import pytest

import qemu
from support import boot_contract_kernel, sentences
from test_contract import ALWAYS, assert_checked

OVMF = Path("/usr/share/OVMF")
SMM = {"machine": "q35,smm=on",
       "extra": ["-global", "driver=cfi.pflash01,property=secure,value=on"]}


@pytest.mark.parametrize("code, variables, options", [
    ("OVMF_CODE.fd", "OVMF_VARS.fd", {}),
    ("OVMF_CODE.fd", "OVMF_VARS.fd", {"machine": "pc"}),
    ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", SMM),
], ids=["2M-q35", "2M-pc", "secboot"])
def test_a_kernel_finds_the_contract_under_other_builds(tmp_path, monkeypatch, code, variables, options):
    monkeypatch.setattr(qemu, "OVMF_CODE", OVMF / code)
    monkeypatch.setattr(qemu, "OVMF_VARS", OVMF / variables)
    output = boot_contract_kernel(tmp_path, "cpus", boot=qemu.boot, smp=2, **options)
    asked = [s for s in ALWAYS if not s.startswith("without a wish")]
    assert_checked(output, asked + [s for s in sentences("check_cpus.c")
                                    if not s.startswith("without a wish")])
    assert output.fact("cpus.released") == 1
