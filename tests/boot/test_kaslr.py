"""KASLR on a machine: a kernel that may lie anywhere finds the contract wherever it lies, and lies elsewhere
in the next boot. From snapshots: what differs from boot to boot is the host's random numbers.
"""

import pytest

import snapshots
from support import (EXIT_GOOD, GIB, KERNEL, KERNELS, MIB, KernelOutput, boot_contract_kernel, sentences,
                     volume)
from test_direct import CPUS, DIRECT_FLAG, with_note
from test_limine import boot_limine
from test_facts import RNG

IMAGE, DIRECT = 1, 2
FIRMWARE, RDSEED, RDRAND = 1, 2, 4
KASLR_FLAG = 64
KERNEL_DEFAULT = 0xFFFFFFFF80000000
HHDM_BASE, HHDM_END = 0xFFFF800000000000, 0xFFFFC00000000000
UPPER_HALF_5LEVELS = 0xFF00000000000000
CHECKS = [*sentences("check_image.c"), *sentences("check_symbols.c"), *sentences("check_maps.c")]
# Of 512 and of 65536 places the same ones twice in a row: once in so many millions.
BOOTS_MAX = 3


def boot_kernel(folder, kernel, config="", **options):
    """A kernel of the contract's, from its file, which finds all of it; on one machine of test_cpu_state's."""
    image = volume(folder, kernel, f"log = info\n{config}", size=32 * MIB)
    result = snapshots.boot([image], **{"memory": "256M", "cpu": "max", **options})
    output = KernelOutput(result)
    assert result.debug_exit == EXIT_GOOD and not output.bad, result.serial
    missing = [sentence for sentence in sentences("check_maps.c") if sentence not in output.good]
    assert not missing, result.serial
    return output


def places(output):
    return output.fact("kernel.slide"), output.fact("hhdm.base")


def expect_anywhere(output, lowest=HHDM_BASE):
    slide, base = places(output)
    assert output.fact("kaslr.moved") == IMAGE | DIRECT
    assert 0 <= slide - KERNEL_DEFAULT < GIB and slide % (2 * MIB) == 0
    assert lowest <= base < HHDM_END and base % GIB == 0
    assert output.fact("kaslr.image_places") == 512
    # RAM below the first GiB, and one GiB more.
    assert output.fact("kaslr.direct_places") == (HHDM_END - lowest) // GIB - 1


def test_two_boots_of_a_kernel_that_may_lie_anywhere_find_it_at_other_places(tmp_path):
    first = boot_kernel(tmp_path, KERNELS / "kaslr.elf.sym")
    expect_anywhere(first)
    assert first.fact("symbols") > 100
    assert set(CHECKS) <= set(first.good)
    assert first.fact("kaslr.sources") & (RDSEED | RDRAND)
    slide, base = places(first)
    assert (f"slipway: kaslr: image at {slide:#x}, slid by {slide:#x}, one of 512 places" in first.result.serial
            and f"slipway: kaslr: direct map at {base:#x}, one of 65535 places" in first.result.serial)
    for _ in range(BOOTS_MAX):
        next_one = boot_kernel(tmp_path, KERNELS / "kaslr.elf")
        expect_anywhere(next_one)
        if all(one != other for one, other in zip(places(first), places(next_one))):
            return
    raise AssertionError(f"{places(first)} again and again")


def test_with_kaslr_off_the_same_kernel_is_where_all_are(tmp_path):
    output = boot_kernel(tmp_path, KERNELS / "kaslr.elf", "kaslr = off\n")
    assert places(output) == (KERNEL_DEFAULT, HHDM_BASE)
    assert output.fact("kaslr.moved") == output.fact("kaslr.sources") == 0
    assert "kaslr" not in output.result.serial.partition("ok - ")[0]


def test_without_a_source_nothing_moves_and_the_firmware_s_generator_is_one(tmp_path):
    """qemu64 has neither RDSEED nor RDRAND."""
    output = boot_kernel(tmp_path, KERNELS / "kaslr.elf", cpu=None)
    assert places(output) == (KERNEL_DEFAULT, HHDM_BASE) and output.fact("kaslr.moved") == 0
    assert "slipway: kaslr: nothing is moved: no RDSEED, RDRAND or EFI_RNG_PROTOCOL to seed it" in \
        output.result.serial
    output = boot_kernel(tmp_path, KERNELS / "kaslr.elf", cpu=None, extra=RNG)
    expect_anywhere(output)
    assert output.fact("kaslr.sources") == FIRMWARE


@pytest.mark.parametrize("levels", [4, 5])
def test_stacks_tables_and_cpus_in_the_direct_map_are_wherever_it_is(tmp_path, levels):
    lowest = HHDM_BASE if levels == 4 else UPPER_HALF_5LEVELS
    kernel = with_note(KERNELS / "direct.elf", CPUS | DIRECT_FLAG | KASLR_FLAG, 0, levels)
    output = boot_kernel(tmp_path, kernel, "cmdline = direct-tables\n", smp=2)
    no_screen = "framebuffers are at their addresses in the direct map"
    assert set(sentences("check_direct.c")) - set(output.good) == {no_screen}
    assert output.fact("cpus.released") == 1
    assert output.fact("kaslr.moved") == DIRECT and output.fact("kernel.slide") == 0
    assert lowest <= output.fact("hhdm.base") < HHDM_END


def test_the_config_moves_kernels_that_do_not_know_of_it_to_where_notes_may_ask_for(tmp_path):
    output = boot_contract_kernel(tmp_path, "pie", "", "kaslr = on\n", cpu="max")
    assert output.fact("kaslr.moved") == IMAGE | DIRECT and output.fact("kaslr.direct_places") == 128
    assert output.fact("hhdm.base") % (512 * GIB) == 0


def test_the_reference_kernel_finds_its_direct_map_where_the_config_has_moved_it(tmp_path):
    image = volume(tmp_path, KERNEL, "kaslr = on\ncmdline = exit=debug\n")
    result = snapshots.boot([image], memory="256M", cpu="max")
    assert result.debug_exit == EXIT_GOOD, result.serial
    base = result.report()["hhdm.base"]
    assert HHDM_BASE <= base < HHDM_END and base % (512 * GIB) == 0


def test_a_limine_kernel_finds_its_protocol_wherever_the_config_has_moved_it(tmp_path):
    tap = boot_limine(tmp_path, "pie", "la57", more="kaslr = on\n")
    hhdm, = [int(note.removeprefix("HHDM at "), 16) for note in tap.notes if note.startswith("HHDM at ")]
    assert hhdm % GIB == 0 and hhdm not in (HHDM_BASE, UPPER_HALF_5LEVELS)
