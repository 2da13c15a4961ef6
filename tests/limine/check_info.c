// Responses about the loader and about the machine, but for firmware's tables, files and screens.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "requests.h"
#include "tap.h"

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71 };

// Begins a check of a response, and returns it: without one there is nothing to check.
static const void *check_answer(enum limine_request_kind kind, const char *sentence,
                                const char *missing) {
    tap_check(sentence);
    const void *response = response_of(kind);
    if (!response)
        tap_skip_choice(missing);
    return response;
}

void check_loader_info(void) {
    const struct limine_pair_response *info =
        check_answer(LIMINE_BOOTLOADER_INFO, "BOOTLOADER_INFO: name and version are ASCII",
                     "no answer to BOOTLOADER_INFO");
    if (info) {
        bool good = is_given_text(info->first, TYPES_OF_LOADER) &&
                    is_given_text(info->second, TYPES_OF_LOADER);
        EXPECT(good, "name at %lx, version at %lx", info->first, info->second);
        if (good) {
            EXPECT(*(const char *)info->first, "no name at %lx", info->first);
            tap_note("the loader is %s, version %s", (const char *)info->first,
                     (const char *)info->second);
        }
    }

    const struct limine_value_response *firmware =
        check_answer(LIMINE_FIRMWARE_TYPE, "FIRMWARE_TYPE: 64-bit EFI, 32-bit EFI or BIOS",
                     "no answer to FIRMWARE_TYPE");
    if (firmware)
        EXPECT(firmware->value <= LIMINE_FIRMWARE_EFI64 &&
                   (firmware->value != 0) == (response_address(LIMINE_EFI_SYSTEM_TABLE) != 0),
               "type %lu", firmware->value);

    tap_check("STACK_SIZE is answered");
    if (!variant.asks_stack)
        tap_skip("this kernel does not ask");
    else if (!response_address(LIMINE_STACK_SIZE))
        tap_skip_choice("no answer to STACK_SIZE");
    else
        EXPECT(true, "%s", "");
    tap_check("ENTRY_POINT is answered");
    if (!variant.asks_entry)
        tap_skip("this kernel does not ask");
    else
        EXPECT(response_address(LIMINE_ENTRY_POINT), "%s", "response 0");

    tap_check("KEEP_IOMMU is answered");
    if (!request_is_made(LIMINE_KEEP_IOMMU))
        tap_skip("this kernel does not ask");
    else if (!response_address(LIMINE_KEEP_IOMMU))
        tap_skip_choice("no answer to KEEP_IOMMU");
    else
        EXPECT(true, "%s", "");

    const struct limine_performance_response *times =
        check_answer(LIMINE_BOOTLOADER_PERFORMANCE,
                     "BOOTLOADER_PERFORMANCE: reset, loader, kernel follow each other",
                     "no answer to BOOTLOADER_PERFORMANCE");
    if (times) {
        EXPECT(times->reset <= times->loader_start && times->loader_start <= times->kernel_start,
               "%lu, %lu, %lu", times->reset, times->loader_start, times->kernel_start);
        tap_note("microseconds: reset %lu, loader %lu, kernel %lu", times->reset,
                 times->loader_start, times->kernel_start);
    }
}

static uint8_t read_cmos_byte(uint8_t index) {
    out8(CMOS_INDEX, index);
    return in8(CMOS_DATA);
}

static uint64_t read_cmos(uint8_t index) {
    enum { STATUS_B = 11, IS_BINARY = 4 };
    uint64_t value = read_cmos_byte(index);
    return read_cmos_byte(STATUS_B) & IS_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

// Seconds since 1970 of the RTC, in this century and with hours up to 23.
static uint64_t read_clock_once(void) {
    uint64_t year = 2000 + read_cmos(9), month = read_cmos(8), day = read_cmos(7);
    // Days before the month, in years that begin with March: Gregorian, as in ISO 8601.
    uint64_t from_march = (month + 9) % 12, years = year - (month <= 2);
    uint64_t days =
        365 * years + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day - 1;
    const uint64_t days_to_1970 = 719468;
    return (days - days_to_1970) * 86400 + read_cmos(4) * 3600 + read_cmos(2) * 60 + read_cmos(0);
}

// The clock may be about to count: what it says twice is right.
static uint64_t read_clock(void) {
    uint64_t before, now = read_clock_once();
    do {
        before = now;
        now = read_clock_once();
    } while (now != before);
    return now;
}

static void check_date(void) {
    enum { HOUR = 3600 };
    const struct limine_value_response *date =
        check_answer(LIMINE_DATE_AT_BOOT, "DATE_AT_BOOT: within an hour of the RTC",
                     "no answer to DATE_AT_BOOT");
    if (!date)
        return;
    uint64_t now = read_clock();
    EXPECT(date->value <= now + HOUR && now <= date->value + HOUR, "%lu, and the RTC says %lu",
           date->value, now);
}

static void check_entropy(void) {
    const struct limine_list_response *entropy =
        check_answer(LIMINE_ENTROPY, "ENTROPY: as many words as were asked for, all different",
                     "no answer to ENTROPY");
    if (!entropy)
        return;
    EXPECT(entropy->count <= WANTED_ENTROPY, "%lu words", entropy->count);
    if (entropy->count < WANTED_ENTROPY)
        tap_note("of %lu words %lu: the loader's limit", WANTED_ENTROPY, entropy->count);
    if (entropy->count == 0) {
        EXPECT(entropy->list == 0, "none at %lx", entropy->list);
        return;
    }
    EXPECT(is_given(entropy->list, 8 * entropy->count), "%lx", entropy->list);
    claim(entropy->list - boot.hhdm, 8 * entropy->count, "entropy");
    const uint64_t *words = (const uint64_t *)entropy->list;
    for (uint64_t i = 0; i < entropy->count; i++) {
        for (uint64_t j = 0; j < i; j++)
            EXPECT(words[i] != words[j], "words %lu and %lu are %lx", i, j, words[i]);
    }
}

static void check_event_log(void) {
    const struct limine_tpm_log_response *log =
        check_answer(LIMINE_TPM_EVENT_LOG, "TPM_EVENT_LOG: a log of one of two formats",
                     "no answer to TPM_EVENT_LOG");
    if (!log)
        return;
    EXPECT(log->format == LIMINE_TPM_FORMAT_1_2 || log->format == LIMINE_TPM_FORMAT_2, "format %lu",
           log->format);
    if (log->bytes == 0) {
        EXPECT(log->address == 0, "empty at %lx", log->address);
        return;
    }
    EXPECT(is_given(log->address, log->bytes), "%lx, %lx bytes", log->address, log->bytes);
    claim(log->address - boot.hhdm, log->bytes, "the TPM's event log");
    // Both formats begin with a record of PCR 0, EV_NO_ACTION (3): TCG PC Client, 10.4.
    const uint32_t *record = (const uint32_t *)log->address;
    EXPECT(log->bytes >= 32 && record[0] == 0 && (log->format == 1 || record[1] == 3),
           "the first record is of PCR %lu, type %lx", (uint64_t)record[0], (uint64_t)record[1]);
    tap_note("an event log of %lu bytes", log->bytes);
}

void check_machine_info(void) {
    check_date();
    const struct limine_value_response *tsc =
        check_answer(LIMINE_TSC_FREQUENCY, "TSC_FREQUENCY: between 1 MHz and 100 GHz",
                     "no answer to TSC_FREQUENCY");
    if (tsc) {
        EXPECT(tsc->value >= 1000000 && tsc->value <= UINT64_C(100000000000), "%lu Hz", tsc->value);
        tap_note("the TSC counts %lu times a second", tsc->value);
    }
    check_entropy();
    check_event_log();

    tap_check("DTB: no answer where there is none");
    const struct limine_value_response *tree = response_of(LIMINE_DTB);
    EXPECT(!tree || (is_given(tree->value, 4) && *(const uint32_t *)tree->value == 0xedfe0dd0),
           "a tree at %lx", tree ? tree->value : 0);

    const struct limine_list_response *terminals =
        check_answer(LIMINE_FLANTERM, "FLANTERM_FB_INIT_PARAMS: one for each framebuffer",
                     "no answer to FLANTERM_FB_INIT_PARAMS");
    const struct limine_list_response *screens = response_of(LIMINE_FRAMEBUFFER);
    if (terminals)
        EXPECT(screens && terminals->count == screens->count, "%lu", terminals->count);
}
