// See tpm.h.
#include "loader/tpm.h"

#include "common/base/arith.h"
#include "common/tpm/tpm_log.h"
#include "loader/firmware.h"

// EFI_TCG2_PROTOCOL (TCG EFI Protocol Specification 1.00, 6.1), as far as it is called.
#define TCG2_PROTOCOL_GUID                                                                         \
    {                                                                                              \
        0x607f766c, 0x7455, 0x42be, {                                                              \
            0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f                                         \
        }                                                                                          \
    }

struct tcg2 {
    void *get_capability;
    EFI_STATUS(EFIAPI *get_event_log)
    (struct tcg2 *self, UINT32 format, EFI_PHYSICAL_ADDRESS *ret_start,
     EFI_PHYSICAL_ADDRESS *ret_last, BOOLEAN *ret_truncated);
};

// Of a log without events both addresses, or the last event's, are 0.
static bool read_log(struct tcg2 *tcg2, enum tpm_log_format format, struct tpm_log *ret_log) {
    EFI_PHYSICAL_ADDRESS start = 0;
    EFI_PHYSICAL_ADDRESS last = 0;
    BOOLEAN truncated = FALSE;
    bool is_cut;
    if (EFI_ERROR(tcg2->get_event_log(tcg2, format, &start, &last, &truncated)) || start == 0 ||
        last < start)
        return false;
    uint64_t bytes = min_u64(TPM_LOG_BYTES_MAX, -start); // to the end of addresses
    *ret_log = (struct tpm_log){.events = firmware_pointer(start), .format = format};
    ret_log->bytes = tpm_log_measure(ret_log->events, bytes, last - start, format, &is_cut);
    ret_log->truncated = truncated || is_cut;
    return true;
}

void tpm_find_log(struct tpm_log *ret_log) {
    EFI_GUID guid = TCG2_PROTOCOL_GUID;
    struct tcg2 *tcg2;
    *ret_log = (struct tpm_log){.events = NULL};
    if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&tcg2)))
        return;
    if (!read_log(tcg2, TPM_LOG_AGILE, ret_log))
        read_log(tcg2, TPM_LOG_SHA1, ret_log);
}
