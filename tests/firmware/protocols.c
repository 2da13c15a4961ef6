// The fake firmware's protocols that a loader can do without: its random numbers, the TPM's event
// logs.
#include "tests/firmware/fake_parts.h"

#include <string.h>

struct tcg2 {
    void *get_capability;
    EFI_STATUS(EFIAPI *get_event_log)
    (struct tcg2 *self, UINT32 format, EFI_PHYSICAL_ADDRESS *ret_start,
     EFI_PHYSICAL_ADDRESS *ret_last, BOOLEAN *ret_truncated);
};

// TCG EFI Protocol Specification 1.00, 6.1.
static const EFI_GUID tcg2_guid = {
    0x607f766c, 0x7455, 0x42be, {0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f}};

static EFI_STATUS EFIAPI get_rng([[maybe_unused]] EFI_RNG_PROTOCOL *self,
                                 EFI_RNG_ALGORITHM *algorithm, UINTN bytes, UINT8 *ret_value) {
    EFI_STATUS status = fake_begin_call(FAKE_GET_RNG, NULL);
    if (algorithm != NULL || bytes != 64)
        fake_record_breach("GetRNG of %lu bytes, or by an algorithm of choice", bytes);
    fake.rng_buffer = ret_value;
    // Some of it, before it failed.
    memcpy(ret_value, fake.rng, fake.rng_is_short ? fake.rng_writes : bytes);
    return status;
}

static EFI_STATUS EFIAPI get_event_log([[maybe_unused]] struct tcg2 *self, UINT32 format,
                                       EFI_PHYSICAL_ADDRESS *ret_start,
                                       EFI_PHYSICAL_ADDRESS *ret_last, BOOLEAN *ret_truncated) {
    EFI_STATUS status = fake_begin_call(FAKE_GET_EVENT_LOG, NULL);
    if (format != 1 && format != 2) {
        fake_record_breach("GetEventLog of format %u", format);
        return EFI_INVALID_PARAMETER;
    }
    fake.log_formats |= 1U << format;
    const struct fake_tpm_log *log = &fake.tpm_logs[format];
    if (EFI_ERROR(status))
        return status;
    *ret_last = (uintptr_t)log->events + log->last;
    if (log->events == NULL) // of a log without events the start stays as it is
        return format == 2 ? EFI_INVALID_PARAMETER : EFI_SUCCESS;
    *ret_start = (uintptr_t)log->events;
    *ret_truncated = log->is_truncated;
    return EFI_SUCCESS;
}

EFI_STATUS EFIAPI fake_locate_protocol(EFI_GUID *guid, void *registration, void **ret_interface) {
    static EFI_RNG_PROTOCOL rng = {.GetRNG = get_rng};
    static struct tcg2 tcg2 = {.get_event_log = get_event_log};
    const EFI_GUID rng_guid = EFI_RNG_PROTOCOL_GUID;
    EFI_STATUS status = fake_begin_call(FAKE_LOCATE_PROTOCOL, NULL);
    bool is_rng = fake.rng != NULL && memcmp(guid, &rng_guid, sizeof(*guid)) == 0;
    bool is_tcg2 = fake.has_tpm && memcmp(guid, &tcg2_guid, sizeof(*guid)) == 0;
    if (EFI_ERROR(status))
        return status;
    if (registration != NULL)
        return EFI_NOT_FOUND;
    *ret_interface = is_rng ? (void *)&rng : is_tcg2 ? (void *)&tcg2 : fake_find_attributes(guid);
    return *ret_interface == NULL ? EFI_NOT_FOUND : EFI_SUCCESS;
}
