// Tables and clocks: handed over as they are, absent where they are.
#include "common/base/arith.h"
#include "common/hash/sha256.h"
#include "common/x86/cpu.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <string.h>

#include <time.h>

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

TEST("the TSC's frequency is measured against the power management timer, within 0.2 percent") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->tsc_method, SLIPWAY_TSC_PM_TIMER);
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
        uint32_t method;
    } cases[] = {
        {{.eax = 0x15}, {2, 216, 24000000, 0}, {0}, UINT64_C(2592000000), SLIPWAY_TSC_CPUID},
        {{.eax = 0x16}, {3, 400, 38400000, 0}, {0}, UINT64_C(5120000000), SLIPWAY_TSC_CPUID},
        {{.eax = 0x15}, {1, 1, 1, 0}, {0}, 1, SLIPWAY_TSC_CPUID},
        {{.eax = 0x14}, {2, 216, 24000000, 0}, {0}, 0, 0},
        {{.eax = 0x15}, {0, 216, 24000000, 0}, {0}, 0, 0},
        {{.eax = 0x15}, {2, 0, 24000000, 0}, {0}, 0, 0},
        {{.eax = 0x15}, {2, 216, 0, 0}, {0}, 0, 0},
        {{.eax = 7},
         {0},
         {3000001, 0x40000010, IS_GUEST, 0},
         UINT64_C(3000001000),
         SLIPWAY_TSC_HYPERVISOR},
        {{.eax = 7}, {0}, {3000001, 0x4000000f, IS_GUEST, 0}, 0, 0},
        {{.eax = 7}, {0}, {3000001, 0x40000010, 0, 0}, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup_boot(NULL);
        fake.cpuid = with_tsc;
        highest = cases[i].highest;
        crystal = cases[i].crystal;
        hypervisor = cases[i].hypervisor;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        uint64_t hz = info->tsc_hz;
        assert_int_equal(info->tsc_method,
                         cases[i].hz != 0 ? cases[i].method : (uint32_t)SLIPWAY_TSC_PM_TIMER);
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
    assert_int_equal(info->tsc_method, SLIPWAY_TSC_UNKNOWN);
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

static const uint64_t boot_times[] = {UINT64_MAX, 2222, 3333, 0, 0};

// The record of the call, which the firmware writes as it ends.
static void record_exit([[maybe_unused]] uint32_t attempt) {
    const uint64_t exit[] = {4444, 5555};
    memcpy((char *)(uintptr_t)FAKE_FBPT_PHYS + 8 + 8 + 3 * 8, exit, sizeof(exit));
}

TEST("the firmware's own times are handed over, with those of ExitBootServices") {
    setup_boot(NULL);
    fake.boot_times = boot_times;
    fake.in_exit = record_exit;
    fake_boot();
    const struct slipway_firmware_times want = {UINT64_MAX, 2222, 3333, 4444, 5555};
    assert_memory_equal(&setup_expect_kernel()->firmware_times, &want, sizeof(want));
}

TEST("firmware without a record of its times, or without ACPI's tables, has zeros") {
    const struct slipway_firmware_times none = {0};
    for (int has_tables = 0; has_tables < 2; has_tables++) {
        setup_boot(NULL);
        fake.boot_times = has_tables ? NULL : boot_times;
        fake.has_pm_timer = has_tables;
        fake_boot();
        assert_memory_equal(&setup_expect_kernel()->firmware_times, &none, sizeof(none));
    }
}
