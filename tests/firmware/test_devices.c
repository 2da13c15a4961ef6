// Displays, tables and clocks: handed over as they are, absent where they are.
#include "common/base/arith.h"
#include "common/hash/sha256.h"
#include "common/x86/cpu.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct slipway_framebuffer *boot_for_framebuffer(uint32_t count) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, count);
    return setup_record(&info->framebuffers, 0);
}

TEST("two displays are two framebuffers, each with its mapping") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 1280, 800);
    struct fake_display *second = fake_add_display(UINT64_C(0xf8e0001000), 800, 600);
    second->mode.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
    second->mode.PixelsPerScanLine = 832;
    second->bytes = 832 * 4 * 600;
    const struct slipway_framebuffer *first = boot_for_framebuffer(2);
    assert_int_equal(first->address_phys, 0xc0000000);
    assert_int_equal(first->width, 1280);
    assert_int_equal(first->height, 800);
    assert_int_equal(first->pitch, 5120);
    assert_int_equal(first->format, SLIPWAY_PIXEL_BGRX8888);
    assert_int_equal(first->red_mask, 0xff0000);
    assert_int_equal(first[1].address_phys, UINT64_C(0xf8e0001000));
    assert_int_equal(first[1].pitch, 832 * 4);
    assert_int_equal(first[1].format, SLIPWAY_PIXEL_RGBX8888);
    assert_int_equal(first[1].red_mask, 0xff);
}

TEST("a display with masks of its own is described by them") {
    setup_boot(NULL);
    struct fake_display *display = fake_add_display(0xc0000800, 640, 480);
    display->mode.PixelFormat = PixelBitMask;
    display->mode.PixelInformation = (EFI_PIXEL_BITMASK){0x3ff00000, 0xffc00, 0x3ff, 0xc0000000};
    const struct slipway_framebuffer *framebuffer = boot_for_framebuffer(1);
    assert_int_equal(framebuffer->format, SLIPWAY_PIXEL_MASKS);
    assert_int_equal(framebuffer->red_mask, 0x3ff00000);
    assert_int_equal(framebuffer->green_mask, 0xffc00);
    assert_int_equal(framebuffer->blue_mask, 0x3ff);
    assert_int_equal(framebuffer->address & 0xfff, 0x800);
}

TEST("a mask of any colour, or of none, that goes beyond 24 bits makes pixels of 32 bits") {
    static const EFI_PIXEL_BITMASK masks[] = {{0xff000000, 0xff0000, 0xff00, 0},
                                              {0xff0000, 0xff000000, 0xff00, 0},
                                              {0xff0000, 0xff00, 0xff000000, 0},
                                              {0xff0000, 0xff00, 0xff, 0x1000000}};
    setup_boot(NULL);
    for (unsigned i = 0; i < ARRAY_LEN(masks); i++) {
        struct fake_display *display = fake_add_display(0xc0000000 + i * MIB(16), 640, 480);
        display->mode.PixelFormat = PixelBitMask;
        display->mode.PixelInformation = masks[i];
    }
    boot_for_framebuffer(ARRAY_LEN(masks));
}

TEST("displays without memory, with narrow pixels, or known already are left out") {
    setup_boot(NULL);
    fake_add_display(0xb0000000, 640, 480)->mode.PixelFormat = PixelBltOnly;
    fake_add_display(0, 640, 480);
    struct fake_display *narrow = fake_add_display(0xb8000000, 640, 480);
    narrow->mode.PixelFormat = PixelBitMask;
    narrow->mode.PixelInformation = (EFI_PIXEL_BITMASK){0xf800, 0x7e0, 0x1f, 0};
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xb0000000, 0, 480);
    assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "display at 0xb0000000 left out: it has no linear memory\n"));
    assert_non_null(strstr(log, "display at 0x0 left out: it has no linear memory\n"));
    assert_non_null(strstr(log, "display at 0xb8000000 left out: its pixels have not 32 bits\n"));
}

TEST("a display whose numbers contradict each other is left out, with the reason in the log") {
    enum { COUNT = 9 };
    static const char *const reasons[COUNT] = {
        "it has no pixels",     "it has no pixels",       "its lines are longer than its pitch",
        "it is too large",      "it is too large",        "a colour has no bits",
        "a colour has no bits", "two colours share bits", "two colours share bits",
    };
    static const EFI_PIXEL_BITMASK masks[COUNT] = {
        [5] = {0, 0xff00, 0xff, 0xff000000},
        [6] = {0xff0000, 0xff00, 0, 0xff000000},
        [7] = {0xff0000, 0x1ff00, 0xff, 0xff000000},
        [8] = {0xff0000, 0xff00, 0x800000, 0xff000000},
    };
    for (uint64_t i = 0; i < COUNT; i++) {
        setup_boot(NULL);
        uint64_t base = i == 4 ? UINT64_MAX - 640 * 480 * 4 : 0x80000000; // ends beyond 2^64
        EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = &fake_add_display(base, 640, 480)->mode;
        mode->HorizontalResolution = i == 0 ? 0 : 640;
        mode->VerticalResolution = i == 1 ? 0 : 480;
        mode->PixelsPerScanLine = i == 2 ? 639 : i == 3 ? 1 << 30 : 640;
        if (i >= 5)
            mode->PixelFormat = PixelBitMask;
        mode->PixelInformation = masks[i];
        fake_add_display(0xc0000000, 640, 480);
        assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
        char want[120];
        snprintf(want, sizeof(want), "slipway: display at 0x%lx left out: %s\n", base, reasons[i]);
        const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
        if (strstr(log, want) == NULL)
            fail_msg("no '%s' in '%s'", want, log);
    }
}

TEST("a display without a mode, or whose mode has no description, is left out") {
    setup_boot(NULL);
    fake_add_display(0x80000000, 640, 480)->has_no_mode = true;
    fake_add_display(0x90000000, 640, 480)->has_no_info = true;
    fake_add_display(0xc0000000, 640, 480);
    assert_int_equal(boot_for_framebuffer(1)->address_phys, 0xc0000000);
}

TEST("a kernel without modules and displays finds arrays at address 0") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.address, 0);
    assert_int_equal(info->framebuffers.count, 0);
    assert_int_equal(info->modules.address, 0);
}

TEST("more displays than the hand-over holds are left out, and the log says so") {
    setup_boot(NULL);
    for (uint64_t i = 0; i < 9; i++)
        fake_add_display(0x80000000 + i * MIB(16), 640, 480);
    boot_for_framebuffer(7);
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_non_null(strstr((const char *)(uintptr_t)info->log.address,
                           "display at 0x88000000 left out: more than 7 displays"));
}

TEST("displays whose memory overlaps are two framebuffers, mapped twice with one cache type") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake_add_display(0xc0001000, 640, 480);
    boot_for_framebuffer(2);
}

TEST("a display that cannot be mapped is left out, and the boot goes on") {
    setup_boot(NULL);
    fake_add_display(UINT64_C(1) << 50, 640, 480);            // beyond the CPU's physical addresses
    fake_add_display((UINT64_C(1) << 48) - MIB(1), 640, 480); // over their end
    fake_add_display(0xd0000000, 1 << 17, 1 << 17);           // 64 GiB
    fake_add_display((UINT64_C(1) << 48) - 640 * 480 * 4, 640, 480); // up to it
    fake_add_display(UINT64_C(1) << 40, 1 << 16, 63 << 12);          // 63 GiB
    assert_int_equal(boot_for_framebuffer(2)->address_phys, (UINT64_C(1) << 48) - 640 * 480 * 4);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "framebuffer at 0x4000000000000 left out: it lies beyond the CPU's "
                                "physical addresses"));
    assert_non_null(strstr(log, "framebuffer at 0xfffffff00000 left out: it lies beyond the CPU's "
                                "physical addresses"));
    assert_non_null(strstr(log, "framebuffer at 0xd0000000 left out: it is too large"));
}

TEST("a display up to RAM or from its end on is a framebuffer, one that reaches a page in is not") {
    const uint64_t bytes = UINT64_C(640) * 480 * 4; // whole pages
    const uint64_t high_end = FAKE_HIGH_PHYS + FAKE_HIGH_BYTES;
    setup_boot(NULL);
    fake_add_display(FAKE_HIGH_PHYS - bytes, 640, 480);
    fake_add_display(high_end, 640, 480);
    fake_add_display(FAKE_HIGH_PHYS - bytes + FRAME_BYTES, 640, 480);
    fake_add_display(high_end - FRAME_BYTES, 640, 480);
    fake_add_display(0x800, 16, 16); // in the first frame alone
    const struct slipway_framebuffer *framebuffers = boot_for_framebuffer(2);
    assert_int_equal(framebuffers[0].address_phys, FAKE_HIGH_PHYS - bytes);
    assert_int_equal(framebuffers[1].address_phys, high_end);
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "framebuffer at 0xffed5000 left out: it lies in RAM"));
    assert_non_null(strstr(log, "framebuffer at 0x17ffff000 left out: it lies in RAM"));
    assert_non_null(strstr(log, "framebuffer at 0x800 left out: it lies in RAM"));
}

TEST("more displays than the loader can list are left out, and the log says so") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480);
    fake.refused = FAKE_LOCATE_HANDLE;
    fake.fail_status = EFI_BUFFER_TOO_SMALL;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, 0);
    assert_non_null(strstr((const char *)(uintptr_t)info->log.address,
                           "displays left out: more than 128 of them\n"));
}

TEST("a framebuffer is as large as its picture, whatever the firmware says of its size") {
    setup_boot(NULL);
    fake_add_display(0xc0000000, 640, 480)->bytes = GIB(100);
    assert_int_equal(boot_for_framebuffer(1)->bytes, 640 * 480 * 4);
}

TEST("the firmware's tables are handed over by both addresses") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->rsdp_phys, FAKE_ACPI_PHYS);
    assert_int_equal(info->rsdp, info->hhdm_base + FAKE_ACPI_PHYS);
    assert_int_equal(info->smbios_phys, FAKE_ACPI_PHYS + 0x1000);
    assert_int_equal(info->smbios, info->hhdm_base + FAKE_ACPI_PHYS + 0x1000);
    assert_int_equal(info->efi_system_table, info->hhdm_base + FAKE_SYSTEM_PHYS);
}

TEST("a table of the firmware's has an address in the direct map only where that reaches") {
    static const struct {
        uint64_t phys;
        bool direct;
    } tables[] = {
        {0x10, true},                            // in frame 0, which is RAM
        {FAKE_ARENA_START + 0xa0000, true},      // where a region begins
        {FAKE_ARENA_START + 0x100000 - 1, true}, // where RAM ends
        {FAKE_ARENA_START + 0x100000, false},    // and reserved memory begins
        {FAKE_ARENA_START + 0x80000, false},     // reserved
        {UINT64_C(0x7fffffffff), false},         // in no region
    };
    for (uint32_t i = 0; i < ARRAY_LEN(tables); i++) {
        setup_boot(NULL);
        fake.smbios = tables[i].phys;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->smbios_phys, tables[i].phys);
        assert_int_equal(info->smbios, tables[i].direct ? info->hhdm_base + tables[i].phys : 0);
    }
}

TEST("the TSC's frequency is measured against the power management timer, within 0.2 percent") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_in_range(info->tsc_hz, FAKE_TSC_HZ - FAKE_TSC_HZ / 500, FAKE_TSC_HZ + FAKE_TSC_HZ / 500);
}

// CPUID of the fake machine, with what these three leaves say of the TSC.
static struct cpuid highest, crystal, hypervisor;

static struct cpuid with_tsc(uint32_t leaf, uint32_t subleaf) {
    if (subleaf != 0 && leaf != 7) // they have none
        return (struct cpuid){0};
    if (leaf == 0)
        return highest;
    if (leaf == 0x15)
        return crystal;
    if (leaf == 0x40000000)
        return (struct cpuid){.eax = hypervisor.ebx}; // the highest leaf
    if (leaf == 0x40000010)
        return hypervisor;
    fake.cpuid = NULL;
    struct cpuid registers = cpu_cpuid(leaf, subleaf);
    fake.cpuid = with_tsc;
    registers.ecx |= leaf == 1 ? hypervisor.ecx : 0;
    return registers;
}

TEST(
    "the TSC's frequency is what CPUID says, by its crystal or by the hypervisor, if all is there") {
    enum { IS_GUEST = 1u << 31 };
    static const struct {
        struct cpuid highest, crystal, hypervisor;
        uint64_t hz; // 0: measured
    } cases[] = {
        {{.eax = 0x15}, {2, 216, 24000000, 0}, {0}, UINT64_C(2592000000)},
        {{.eax = 0x16}, {3, 400, 38400000, 0}, {0}, UINT64_C(5120000000)},
        {{.eax = 0x15}, {1, 1, 1, 0}, {0}, 1},
        {{.eax = 0x14}, {2, 216, 24000000, 0}, {0}, 0},
        {{.eax = 0x15}, {0, 216, 24000000, 0}, {0}, 0},
        {{.eax = 0x15}, {2, 0, 24000000, 0}, {0}, 0},
        {{.eax = 0x15}, {2, 216, 0, 0}, {0}, 0},
        {{.eax = 7}, {0}, {3000001, 0x40000010, IS_GUEST, 0}, UINT64_C(3000001000)},
        {{.eax = 7}, {0}, {3000001, 0x4000000f, IS_GUEST, 0}, 0},
        {{.eax = 7}, {0}, {3000001, 0x40000010, 0, 0}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup_boot(NULL);
        fake.cpuid = with_tsc;
        highest = cases[i].highest;
        crystal = cases[i].crystal;
        hypervisor = cases[i].hypervisor;
        fake_boot();
        uint64_t hz = setup_expect_kernel()->tsc_hz;
        if (cases[i].hz != 0)
            assert_int_equal(hz, cases[i].hz);
        else
            assert_in_range(hz, FAKE_TSC_HZ - FAKE_TSC_HZ / 500, FAKE_TSC_HZ + FAKE_TSC_HZ / 500);
    }
}

TEST("without ACPI's tables the TSC's frequency is unknown") {
    setup_boot(NULL);
    fake.has_pm_timer = false;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->tsc_hz, 0);
    assert_int_equal(info->rsdp_phys, 0);
    assert_int_equal(info->rsdp, 0);
}

static int64_t boot_at(EFI_TIME time) {
    setup_boot(NULL);
    fake.time = time;
    fake_boot();
    return setup_expect_kernel()->boot_time;
}

TEST("the boot time is the firmware's, in seconds since 1970, by its zone") {
    EFI_TIME time = {.Year = 2024, .Month = 2, .Day = 29, .Hour = 23, .Minute = 59, .Second = 58};
    assert_int_equal(boot_at(time), 1709251198);
    time.TimeZone = -60;
    assert_int_equal(boot_at(time), 1709251198 - 3600);
    time.TimeZone = EFI_UNSPECIFIED_TIMEZONE;
    assert_int_equal(boot_at(time), 1709251198);
    time = (EFI_TIME){.Year = 1970, .Month = 1, .Day = 1};
    assert_int_equal(boot_at(time), 0);
}

TEST("the boot time is right in every month of common, leap and century years") {
    static const uint16_t years[] = {1970, 1999, 2000, 2001, 2004, 2099, 2100, 2399, 2400, 9999};
    for (size_t i = 0; i < ARRAY_LEN(years); i++) {
        for (int month = 1; month <= 12; month++) {
            struct tm calendar = {.tm_year = years[i] - 1900, .tm_mon = month - 1};
            for (int day = 1; day <= 31; day += month == 12 ? 30 : 27) {
                calendar.tm_mday = day;
                EFI_TIME time = {.Year = years[i], .Month = (uint8_t)month, .Day = (uint8_t)day};
                assert_int_equal(boot_at(time), timegm(&calendar));
            }
        }
    }
}

TEST("a clock that makes no sense is no clock") {
    assert_int_equal(boot_at((EFI_TIME){.Year = 2024, .Month = 0, .Day = 1}), 0);
    assert_int_equal(boot_at((EFI_TIME){.Year = 2024, .Month = 1, .Day = 32}), 0);
    assert_int_equal(boot_at((EFI_TIME){.Year = 2024, .Month = 13, .Day = 1}), 0);
    assert_int_equal(boot_at((EFI_TIME){.Year = 2024, .Month = 1, .Day = 0}), 0);
    assert_int_equal(boot_at((EFI_TIME){.Year = 1969, .Month = 1, .Day = 1}), 0);
}

TEST("modules have their digest when the config asks for it") {
    uint8_t want[32];
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_module *module = setup_record(&info->modules, 0);
    sha256(setup_module, SETUP_MODULE_BYTES, want);
    assert_int_equal(module->digest_kind, SLIPWAY_DIGEST_SHA256);
    assert_memory_equal(module->digest, want, sizeof(want));
    setup_expect_text(&module->path, "\\boot\\initrd.img");
    setup_expect_text(&module->cmdline, "the first one");
    module = setup_record(&info->modules, 1);
    sha256("", 0, want);
    assert_memory_equal(module->digest, want, sizeof(want));
    setup_boot("module = \\empty\n");
    fake_boot();
    info = setup_expect_kernel();
    module = setup_record(&info->modules, 0);
    assert_int_equal(module->digest_kind, SLIPWAY_DIGEST_NONE);
}

TEST("CET's state is cleared where the CPU has it, and let alone elsewhere") {
    for (int cet = 0; cet < 2; cet++) {
        setup_boot(NULL);
        fake.has_cet = cet;
        fake_boot();
        setup_expect_kernel();
        assert_int_equal(fake.s_cet_was_cleared, cet);
    }
}

TEST("machine checks are on where the CPU has them, and the bit is clear elsewhere") {
    for (int mce = 0; mce < 2; mce++) {
        setup_boot(NULL);
        fake.has_mce = mce;
        fake_boot();
        setup_expect_kernel(); // checks CR4
    }
}

TEST("a guest with encrypted memory is refused, and the firmware goes on") {
    setup_boot(NULL);
    fake.is_sev_guest = true;
    fake_boot();
    setup_expect_failure("memory encryption (SEV or TDX) is on, which is not supported");
}
