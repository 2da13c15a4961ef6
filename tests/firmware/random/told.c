// What firmware and CPU tell at random: random numbers, a TPM's log that is sound or is not, a
// label, a server, load options. Nothing of it is needed.
#include "tests/firmware/random/boot.h"

#include <string.h>

enum { LOG_BYTES_MAX = 1 << 20, EVENT_BYTES = 32 };

static uint64_t numbers[8];
static bool is_ready;

static bool give_number(uint64_t *ret_value) {
    *ret_value = numbers[0]++;
    return is_ready;
}

// Events of format 1; behind them nothing is sound.
static void make_log(struct boot *boot) {
    static uint8_t log[2 * LOG_BYTES_MAX];
    uint64_t used = 0;
    memset(log, 0xff, 4096);
    for (uint64_t left = 1 + boot_below(boot, 10); left != 0; left--) {
        uint32_t data =
            (uint32_t)boot_below(boot, boot_chance(boot, 90) ? 300 : LOG_BYTES_MAX / 10);
        memcpy(log + used + EVENT_BYTES - sizeof(data), &data, sizeof(data));
        fake.tpm_logs[1].last = used;
        used += EVENT_BYTES + data;
    }
    memset(log + used, 0xff, EVENT_BYTES);
    fake.has_tpm = true;
    fake.tpm_logs[1].events = log;
    fake.tpm_logs[1].last += boot_chance(boot, 20) ? boot_below(boot, 100) : 0;
    boot->pages -= used / 4096 + 1;
    boot_tell(boot, "a TPM's log of %lu bytes, ", used);
}

// Load options that are a command line, or are none.
static void make_load_options(struct boot *boot) {
    static const CHAR16 text[] = L" boot.efi a=b  c";
    static uint8_t junk[64];
    if (boot_chance(boot, 50)) {
        fake.load_options = text;
        fake.load_options_bytes = sizeof(text) - (boot_chance(boot, 50) ? sizeof(CHAR16) : 0);
        boot->cmdline = fake.image_path != NULL ? "a=b  c" : "boot.efi a=b  c"; // see files.c
        boot->pages -= 1;
        boot_tell(boot, "load options, ");
        return;
    }
    for (unsigned i = 0; i < sizeof(junk); i++)
        junk[i] = (uint8_t)(1 + boot_below(boot, 31)); // control characters, or foreign ones
    fake.load_options = junk;
    fake.load_options_bytes = (uint32_t)boot_below(boot, sizeof(junk));
    fake.is_shell = boot_chance(boot, 50);
    boot_tell(boot, "%u bytes of load options that are none, ", fake.load_options_bytes);
}

void boot_make_told(struct boot *boot) {
    static const uint64_t times[5] = {1, 2, 3, 4, 5};
    static EFI_PXE_BASE_CODE_MODE pxe;
    for (unsigned i = 0; i < 8; i++)
        numbers[i] = random_next(&boot->random);
    is_ready = boot_chance(boot, 70);
    fake.rng = boot_chance(boot, 50) ? numbers : NULL;
    fake.rdrand = boot_chance(boot, 50) ? give_number : NULL;
    fake.rdseed = boot_chance(boot, 50) ? give_number : NULL;
    fake.boot_times = boot_chance(boot, 50) ? times : NULL;
    fake.label = boot_chance(boot, 50) ? L"a label" : NULL;
    fake.label_units = boot_below(boot, 8);
    for (unsigned i = 0; i < 200; i++)
        pxe.DhcpAck.Raw[i] = (uint8_t)boot_below(boot, 256);
    pxe.DhcpAckReceived = TRUE;
    pxe.UsingIpv6 = boot_chance(boot, 50);
    fake.pxe = boot_chance(boot, 50) ? &pxe : NULL;
    if (boot_chance(boot, 50))
        make_log(boot);
    if (boot_chance(boot, 20))
        make_load_options(boot);
}
