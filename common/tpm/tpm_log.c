// See tpm_log.h.
#include "common/tpm/tpm_log.h"

#include "common/base/mem.h"

enum {
    // TCG_PCR_EVENT: index of the PCR, type, SHA-1 digest, size of the data behind it.
    EVENT_TYPE = 4,
    EVENT_DATA_BYTES = 28,
    EVENT_BYTES_MIN = 32,
    EV_NO_ACTION = 3,

    // TCG_PCR_EVENT2: index of the PCR, type, digests with their number, size of the data.
    EVENT2_DIGEST_COUNT = 8,
    EVENT2_DIGESTS = 12,

    // TCG_EfiSpecIDEvent, the data of the first event.
    SPEC_ID_SIGNATURE_BYTES = 16,
    SPEC_ID_COUNT = 24,
    SPEC_ID_ALGORITHMS = 28, // 2 bytes of identifier, 2 of the digest's size each
    ALGORITHM_BYTES = 4,
    ALGORITHMS_MAX = 16, // no TPM has so many banks of PCRs
};

struct bytes {
    const uint8_t *at;
    uint64_t left;
};

// The digests that the log has, as its first event names them.
struct algorithms {
    const uint8_t *list;
    uint32_t count;
};

static uint16_t read16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t read32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// The bytes of a head of `head_bytes` bytes, whose last four say how many follow it; 0 if they are
// not all there.
static uint64_t with_data(struct bytes log, uint64_t head_bytes) {
    if (log.left < head_bytes)
        return 0;
    uint32_t data_bytes = read32(log.at + head_bytes - sizeof(data_bytes));
    return data_bytes > log.left - head_bytes ? 0 : head_bytes + data_bytes;
}

static uint64_t event_bytes(struct bytes log) {
    return with_data(log, EVENT_BYTES_MIN);
}

// False if the first event does not name the digests.
static bool read_algorithms(struct bytes first, struct algorithms *ret_algorithms) {
    static const char signature[SPEC_ID_SIGNATURE_BYTES] = "Spec ID Event03";
    const uint8_t *data = first.at + EVENT_BYTES_MIN;
    uint64_t bytes = first.left - EVENT_BYTES_MIN;
    if (read32(first.at + EVENT_TYPE) != EV_NO_ACTION || bytes < SPEC_ID_ALGORITHMS ||
        memcmp(data, signature, sizeof(signature)) != 0)
        return false;
    uint32_t count = read32(data + SPEC_ID_COUNT);
    if (count > ALGORITHMS_MAX || count * ALGORITHM_BYTES > bytes - SPEC_ID_ALGORITHMS)
        return false;
    *ret_algorithms = (struct algorithms){data + SPEC_ID_ALGORITHMS, count};
    return true;
}

// 0 if the log does not name this digest.
static uint64_t digest_bytes(const struct algorithms *algorithms, uint16_t identifier) {
    for (uint32_t i = 0; i < algorithms->count; i++) {
        const uint8_t *algorithm = algorithms->list + i * ALGORITHM_BYTES;
        if (read16(algorithm) == identifier)
            return read16(algorithm + sizeof(identifier));
    }
    return 0;
}

static uint64_t event2_bytes(struct bytes log, const struct algorithms *algorithms) {
    if (log.left < EVENT2_DIGESTS)
        return 0;
    uint32_t count = read32(log.at + EVENT2_DIGEST_COUNT);
    uint64_t at = EVENT2_DIGESTS;
    for (uint32_t i = 0; i < count; i++) {
        if (log.left - at < sizeof(uint16_t))
            return 0;
        uint64_t bytes = digest_bytes(algorithms, read16(log.at + at));
        at += sizeof(uint16_t);
        if (bytes == 0 || bytes > log.left - at)
            return 0;
        at += bytes;
    }
    return with_data(log, at + sizeof(uint32_t));
}

uint64_t tpm_log_measure(const void *log, uint64_t bytes, uint64_t last, enum tpm_log_format format,
                         bool *ret_is_cut) {
    const uint8_t *start = log;
    struct algorithms algorithms = {0};
    uint64_t at = 0;
    bool is_whole = false;
    while (at <= last) {
        struct bytes rest = {start + at, bytes - at};
        bool is_agile = at != 0 && format == TPM_LOG_AGILE;
        uint64_t found = is_agile ? event2_bytes(rest, &algorithms) : event_bytes(rest);
        if (found == 0)
            break;
        bool names_digests = at == 0 && format == TPM_LOG_AGILE;
        if (names_digests && !read_algorithms((struct bytes){rest.at, found}, &algorithms))
            break;
        is_whole = at == last;
        at += found;
    }
    *ret_is_cut = !is_whole;
    return at;
}
