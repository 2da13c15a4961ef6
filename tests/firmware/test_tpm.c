// The TPM's event log in the hand-over: byte for byte what the firmware keeps, or as much of it as
// is sound, or none.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOG_BYTES = 1 << 20,
    SHA1_HEAD_BYTES = 32,
    SPEC_ID_BYTES = 32 + 28 + 4 + 1,
    EVENT2_BYTES = 12 + 2 + 20 + 4,
};

static uint8_t log_1[LOG_BYTES + 4096];
static uint8_t log_2[LOG_BYTES + 4096];

static void put32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, sizeof(value));
}

// An event with a SHA-1 digest; returns its bytes.
static uint64_t put_event(uint8_t *at, uint32_t data_bytes) {
    memset(at, 0x5a, SHA1_HEAD_BYTES + data_bytes);
    put32(at + 28, data_bytes);
    return SHA1_HEAD_BYTES + data_bytes;
}

// The event that names SHA-1 as the only digest.
static uint64_t put_spec_id(uint8_t *at) {
    memset(at, 0, SPEC_ID_BYTES);
    put32(at + 4, 3);
    put32(at + 28, SPEC_ID_BYTES - 32);
    memcpy(at + 32, "Spec ID Event03", 16);
    put32(at + 32 + 24, 1);
    put32(at + 32 + 28, 20 << 16 | 4);
    return SPEC_ID_BYTES;
}

static uint64_t put_event2(uint8_t *at, uint32_t data_bytes) {
    memset(at, 0x5a, EVENT2_BYTES + data_bytes);
    put32(at + 8, 1);
    at[12] = 4;
    at[13] = 0;
    put32(at + EVENT2_BYTES - 4, data_bytes);
    return EVENT2_BYTES + data_bytes;
}

// A TPM with logs of both formats, whose second events have so many bytes of data.
static void set_up(uint32_t data_bytes) {
    setup_boot(NULL);
    fake.has_tpm = true;
    fake.tpm_logs[1] = (struct fake_tpm_log){.events = log_1, .last = put_event(log_1, 10)};
    put_event(log_1 + fake.tpm_logs[1].last, data_bytes);
    fake.tpm_logs[2] = (struct fake_tpm_log){.events = log_2, .last = put_spec_id(log_2)};
    put_event2(log_2 + fake.tpm_logs[2].last, data_bytes);
}

static void expect(uint32_t format, const void *events, uint64_t bytes, uint32_t truncated) {
    fake_boot();
    const struct slipway_tpm_log *log = &setup_expect_kernel()->tpm_log;
    assert_int_equal(log->format, format);
    assert_int_equal(log->bytes, bytes);
    assert_int_equal(log->truncated, truncated);
    if (bytes == 0)
        assert_int_equal(log->address, 0);
    else
        assert_memory_equal((const void *)(uintptr_t)log->address, events, bytes);
}

TEST("tpm: the newer log is handed over, whole, and the older one is not asked for") {
    set_up(300);
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES + EVENT2_BYTES + 300, 0);
    assert_int_equal(fake.log_formats, 1 << 2);
}

TEST("tpm: the older log is handed over where there is no newer one") {
    set_up(300);
    fake.tpm_logs[2].events = NULL;
    expect(SLIPWAY_TPM_LOG_SHA1, log_1, 2 * SHA1_HEAD_BYTES + 10 + 300, 0);
    assert_int_equal(fake.log_formats, 1 << 1 | 1 << 2);
}

TEST("tpm: without a TPM, without logs, or with a last event before the first, there is no log") {
    set_up(300);
    fake.has_tpm = false;
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
    set_up(300);
    fake.tpm_logs[1].events = fake.tpm_logs[2].events = NULL;
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
    set_up(300);
    fake.tpm_logs[1].last = fake.tpm_logs[2].last = UINT64_MAX; // by one byte
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
    set_up(300);
    fake.tpm_logs[1].last = -(uintptr_t)log_1; // at address 0
    fake.tpm_logs[2].last = -(uintptr_t)log_2;
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
}

TEST("tpm: a log of one event has its last where its first is") {
    set_up(300);
    fake.tpm_logs[2].last = 0;
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES, 0);
}

TEST("tpm: a log that the firmware has cut says so") {
    set_up(300);
    fake.tpm_logs[2].is_truncated = true;
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES + EVENT2_BYTES + 300, 1);
}

TEST("tpm: of a log that is not sound the events before are handed over, if there are any") {
    set_up(300);
    log_2[SPEC_ID_BYTES + 12]++; // a digest that it does not name
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES, 1);
    set_up(300);
    log_2[32]++; // not the event that names digests
    expect(SLIPWAY_TPM_LOG_AGILE, NULL, 0, 1);
}

TEST("tpm: events up to 1 MiB are handed over, and none that ends behind that") {
    const uint32_t most = LOG_BYTES - SPEC_ID_BYTES - EVENT2_BYTES;
    set_up(most);
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, LOG_BYTES, 0);
    set_up(most + 1);
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES, 1);
    set_up(most);
    put32(log_2 + SPEC_ID_BYTES + EVENT2_BYTES - 4, UINT32_MAX);
    expect(SLIPWAY_TPM_LOG_AGILE, log_2, SPEC_ID_BYTES, 1);
}

TEST("tpm: firmware that fails to give a log is asked for the older one, and then there is none") {
    set_up(300);
    fake.refused = FAKE_GET_EVENT_LOG;
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
    assert_int_equal(fake.log_formats, 1 << 1 | 1 << 2);
    set_up(300);
    fake.refused = FAKE_LOCATE_PROTOCOL;
    expect(SLIPWAY_TPM_LOG_NONE, NULL, 0, 0);
    assert_int_equal(fake.log_formats, 0);
}
