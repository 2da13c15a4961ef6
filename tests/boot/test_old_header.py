"""A kernel that was built against an older header, tests/headers/old/slipway_boot.h, boots as ever: all
that it knew of is where it was. From snapshots."""

import subprocess

import pytest

from paths import ROOT
from snapshots import boot
from support import volume
from test_linkers import CODE, COMMON, EXIT_GOOD

OLD = ROOT / "tests/headers/old"
WISHES = ".version = SLIPWAY_BOOT_VERSION, .flags = SLIPWAY_NOTE_CPUS, .stack_bytes = 131072, .ram_floor_bytes = 1 << 20"
SOURCE = COMMON.replace("common/boot/", "").replace(".version = SLIPWAY_BOOT_VERSION", "WISHES") + r"""
#define RECORDS(array, type, name, ...)                                                            \
    for (uint32_t i = 0; i < info->array.count; i++) {                                             \
        const struct type *name = (const void *)(info->array.address + (uint64_t)i * info->array.stride); \
        __VA_ARGS__                                                                                \
    }

static int is_text(const struct slipway_text *text, const char *want) {
    for (uint64_t i = 0; i <= text->bytes; i++)
        if (((const char *)text->address)[i] != want[i])
            return 0;
    return 1;
}

_Static_assert(sizeof(struct slipway_boot_info) == 696, "the header is the old one");
static uint64_t usable, modules, boot_cpus, parked_cpus, stages;

void _start(const struct slipway_boot_info *info) {
    EXPECT(info->magic == SLIPWAY_BOOT_MAGIC && info->version == 1);
    EXPECT(info->header_bytes >= sizeof(*info) && info->total_bytes > info->header_bytes);
    EXPECT(is_text(&info->loader_name, "Slipway"));
    EXPECT(info->hhdm_base == SLIPWAY_HHDM_BASE && info->hhdm_end > info->hhdm_base);
    EXPECT(info->paging_levels == 4 && info->root_phys % 4096 == 0 && info->table_pages > 4);
    EXPECT(rights_of(info, (void *)(uint64_t)_start) == SLIPWAY_RIGHT_EXECUTE);
    EXPECT(rights_of(info, &usable) == SLIPWAY_RIGHT_WRITE);
    RECORDS(memory, slipway_memory, m, EXPECT(m->kind != 0 && m->kind < SLIPWAY_MEM_KINDS);
            if (m->kind == SLIPWAY_MEM_USABLE) usable += m->bytes;)
    EXPECT(usable > 64 << 20 && usable < 128 << 20);
    uint64_t previous = 0;
    RECORDS(ranges, slipway_range, r, EXPECT(r->start_phys >= previous && r->reclaimable <= 1);
            EXPECT(r->purpose != 0 && r->purpose <= SLIPWAY_RANGE_CPUS); previous = r->start_phys + r->bytes;)
    RECORDS(modules, slipway_module, m, modules++; EXPECT(m->bytes == 5 && *(const char *)m->address == 'h');
            EXPECT(is_text(&m->path, "/module") && is_text(&m->cmdline, "its words"));)
    EXPECT(modules == 1);
    RECORDS(framebuffers, slipway_framebuffer, f, EXPECT(*(volatile uint32_t *)f->address == 0);
            EXPECT(f->pitch >= f->width * 4 && f->mode < f->modes.count);)
    RECORDS(stages, slipway_stage, s, EXPECT(s->tsc_end >= s->tsc_start); stages++;)
    EXPECT(stages > 5);
    EXPECT(info->efi_map_bytes % info->efi_map_stride == 0 && info->efi_map_version == 1);
    EXPECT(info->kernel_slide == 0 && info->kernel_entry == (uint64_t)_start);
    EXPECT(is_text(&info->kernel_path, "/kernel.elf") && is_text(&info->cmdline, "all of it"));
    EXPECT(info->stack_top - info->stack_bottom == 131072);
    EXPECT((uint64_t)&info > info->stack_top - 256 && (uint64_t)&info < info->stack_top);
    EXPECT(*(const uint64_t *)info->rsdp == 0x2052545020445352); // "RSD PTR "
    EXPECT(info->efi_system_table != 0 && info->boot_time > 1577836800);
    EXPECT(info->tsc_hz != 0 && info->tsc_method != SLIPWAY_TSC_UNKNOWN);
    EXPECT(info->exit_attempts != 0 && info->log.address != 0);
    RECORDS(cpus, slipway_cpu, c, boot_cpus += c->state == SLIPWAY_CPU_BOOT;
            parked_cpus += c->state == SLIPWAY_CPU_PARKED;)
    EXPECT(boot_cpus == 1 && parked_cpus == 1);
    EXPECT(info->apic_mode == SLIPWAY_APIC_XAPIC && info->mtrrs.count != 0);
    EXPECT(info->entropy_sources & SLIPWAY_ENTROPY_JITTER);
    EXPECT(info->partition_id_kind <= SLIPWAY_PARTITION_GPT && info->server_kind == SLIPWAY_SERVER_NONE);
    EXPECT(is_text(&info->loader_path, "\\EFI\\BOOT\\BOOTX64.EFI"));
    EXPECT(info->hhdm_base + info->gdt_phys < info->hhdm_end && info->gdt_phys != 0);
    EXPECT(info->hhdm_base + info->idt_phys < info->hhdm_end && info->idt_phys != 0);
    end();
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_kernel_that_was_built_against_an_older_header_finds_all_that_it_knew(tmp_path, compiler):
    (tmp_path / "kernel.c").write_text(SOURCE)
    flags = "-mcmodel=kernel -fno-pic -fno-pie -static -fuse-ld=bfd -Wl,-Ttext-segment=0xffffffff80000000".split()
    flags += ["-no-pie"] if compiler == "gcc" else []
    command = [compiler, f"-I{OLD}", f"-DWISHES={WISHES}", *CODE, *flags, tmp_path / "kernel.c", "-o",
               tmp_path / "kernel.elf"]
    subprocess.run(command, check=True, timeout=120)
    image = volume(tmp_path, tmp_path / "kernel.elf",
                   "kernel = /kernel.elf\ncmdline = all of it\nmodule = /module its words\n", {"module": b"hello"})
    result = boot([image], memory="128M", smp=2)
    assert "WRONG" not in result.serial and "BOOTED\n" in result.serial, result.serial
    assert result.debug_exit == EXIT_GOOD
