// Event logs of anything: what is measured of one lies in it, is the same when only that is there,
// and ends behind the last event or is said to be cut.
#include "common/tpm/tpm_log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { EVENT_BYTES_MIN = 16, SPEC_ID_BYTES = 64 };

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check(const uint8_t *log, size_t bytes, uint64_t last, enum tpm_log_format format) {
    bool is_cut;
    bool is_cut_again;
    uint64_t found = tpm_log_measure(log, bytes, last, format, &is_cut);
    require(found <= bytes && (is_cut || found >= last + EVENT_BYTES_MIN));
    uint8_t *sound = malloc(found + 1);
    memcpy(sound, log, found);
    require(tpm_log_measure(sound, found, last, format, &is_cut_again) == found);
    require(is_cut_again == is_cut);
    free(sound);
}

// The first two bytes say where the last event is, the third whether a Spec ID event comes first.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const uint8_t spec_id[SPEC_ID_BYTES] =
        "\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0Spec ID Event03\0"
        "\0\0\0\0\0\2\0\2\1\0\0\0\4\0\x14";
    if (bytes < 3)
        return 0;
    uint64_t last = (uint64_t)data[0] << 8 | data[1];
    size_t first = data[2] & 1 ? sizeof(spec_id) : 0;
    uint8_t *log = malloc(first + bytes - 3 + 1);
    memcpy(log, spec_id, first);
    memcpy(log + first, data + 3, bytes - 3);
    bool is_cut;
    require(first == 0 || tpm_log_measure(log, first, 0, TPM_LOG_AGILE, &is_cut) == first);
    check(log, first + bytes - 3, last, TPM_LOG_SHA1);
    check(log, first + bytes - 3, last, TPM_LOG_AGILE);
    free(log);
    return 0;
}
