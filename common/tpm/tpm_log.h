// How long an event log of the TPM is, by its own structure. Pure: the loader, host tests and a
// fuzzer run the same file. Whatever the log holds, nothing outside of it is read, and the walk
// ends.
//
// TCG PC Client Platform Firmware Profile 1.05: TCG_PCR_EVENT and TCG_PCR_EVENT2 10.2,
// TCG_EfiSpecIDEvent 10.4.5.1. Little-endian, and nothing is aligned.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Values of EFI_TCG2_EVENT_LOG_FORMAT (TCG EFI Protocol Specification 1.00, 6.4).
enum tpm_log_format {
    TPM_LOG_SHA1 = 1,  // a list of TCG_PCR_EVENT
    TPM_LOG_AGILE = 2, // one TCG_PCR_EVENT, which names the digests, then TCG_PCR_EVENT2
};

// Returns the bytes of the events, from the first one on, that are whole and sound, up to the one
// at offset `last` of the log, which is included. `bytes`: how many may be read.
//
// *ret_is_cut is true if that is not all: an event before does not fit or has a digest that the log
// does not name, or no event starts at `last`.
uint64_t tpm_log_measure(const void *log, uint64_t bytes, uint64_t last, enum tpm_log_format format,
                         bool *ret_is_cut);
