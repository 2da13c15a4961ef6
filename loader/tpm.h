// The TPM's event log, as the firmware keeps it.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdint.h>

// More than any firmware keeps; the rest of a larger one is left out.
#define TPM_LOG_BYTES_MAX (UINT64_C(1) << 20)

struct tpm_log {
    const void *events; // in the firmware's memory, until ExitBootServices; null if there is none
    uint64_t bytes;
    uint32_t format; // SLIPWAY_TPM_LOG_...
    uint32_t truncated;
};

// Asks for the log, in the newer of its formats that there is. From then on the firmware lists what
// it measures in its table of final events, too (TCG EFI Protocol Specification 1.00, 6.5). No
// failure stops the boot: then there is no log.
void tpm_find_log(struct tpm_log *ret_log);
