// The TPM's event log: whole logs are as long as their events, and every other one is cut where it
// stops being sound.
#include "common/tpm/tpm_log.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHA1 = 4,
    SHA256 = 11,
    SHA1_BYTES = 20,
    SHA256_BYTES = 32,
    EV_NO_ACTION = 3,
    EV_ACTION = 5,
    HEAD_BYTES = 32, // of an event with a SHA-1 digest
    LOG_BYTES = 4096,
    EVENTS_MAX = 8,
};

// A log in the making, with the offset of each event and of the end.
static struct {
    uint8_t bytes[LOG_BYTES];
    uint64_t used;
    uint64_t events[EVENTS_MAX + 1];
    unsigned count;
} made;

static void put(uint64_t value, unsigned bytes) {
    memcpy(made.bytes + made.used, &value, bytes);
    made.used += bytes;
}

static void put_bytes(uint8_t byte, uint64_t count) {
    memset(made.bytes + made.used, byte, count);
    made.used += count;
}

static void begin_event(uint32_t type) {
    made.events[made.count++] = made.used;
    put(7, 4); // the PCR
    put(type, 4);
}

static void end_event(void) {
    made.events[made.count] = made.used;
}

static void put_sha1_event(uint32_t data_bytes) {
    begin_event(EV_ACTION);
    put_bytes(0x11, SHA1_BYTES);
    put(data_bytes, 4);
    put_bytes(0xdd, data_bytes);
    end_event();
}

// The Spec ID event, with two kinds of digests.
static void put_spec_id(void) {
    begin_event(EV_NO_ACTION);
    put_bytes(0, SHA1_BYTES);
    put(16 + 8 + 4 + 2 * 4 + 1, 4);
    memcpy(made.bytes + made.used, "Spec ID Event03", 16);
    made.used += 16;
    put(1, 4);          // class of the platform: a server
    put(0x02000200, 4); // version 2.00, errata, size of UINTN
    put(2, 4);
    put(SHA1, 2);
    put(SHA1_BYTES, 2);
    put(SHA256, 2);
    put(SHA256_BYTES, 2);
    put(0, 1); // no bytes of the vendor's
    end_event();
}

static void put_event2(uint32_t data_bytes) {
    begin_event(EV_ACTION);
    put(2, 4);
    put(SHA256, 2);
    put_bytes(0x22, SHA256_BYTES);
    put(SHA1, 2);
    put_bytes(0x11, SHA1_BYTES);
    put(data_bytes, 4);
    put_bytes(0xdd, data_bytes);
    end_event();
}

static void make_agile(void) {
    memset(&made, 0, sizeof(made));
    put_spec_id();
    put_event2(0);
    put_event2(300);
    put_event2(1);
}

static void make_sha1(void) {
    memset(&made, 0, sizeof(made));
    put_sha1_event(0);
    put_sha1_event(300);
    put_sha1_event(1);
}

// Measures the first `bytes` bytes of the log, in a place of that size.
static void expect(enum tpm_log_format format, uint64_t bytes, uint64_t last, uint64_t want,
                   bool want_cut) {
    uint8_t *log = malloc(bytes + 1); // never none
    bool is_cut = !want_cut;
    memcpy(log + 1, made.bytes, bytes); // as unaligned as can be
    uint64_t found = tpm_log_measure(log + 1, bytes, last, format, &is_cut);
    if (found != want || is_cut != want_cut)
        fail_msg("%lu of %lu bytes, last at %lu: %lu%s instead of %lu", bytes, made.used, last,
                 found, is_cut ? ", cut" : "", want);
    free(log);
}

static uint64_t last_event(void) {
    return made.events[made.count - 1];
}

// The end of the last event that ends within the first `bytes` bytes.
static uint64_t whole_events(uint64_t bytes) {
    uint64_t end = 0;
    for (unsigned i = 0; i <= made.count; i++)
        end = made.events[i] <= bytes ? made.events[i] : end;
    return end;
}

static void (*const makers[])(void) = {[TPM_LOG_SHA1] = make_sha1, [TPM_LOG_AGILE] = make_agile};

TEST("tpm log: a whole log is as long as its events, whatever lies behind it") {
    for (enum tpm_log_format format = TPM_LOG_SHA1; format <= TPM_LOG_AGILE; format++) {
        makers[format]();
        expect(format, made.used, last_event(), made.used, false);
        expect(format, made.used + 1, last_event(), made.used, false);
        expect(format, LOG_BYTES, last_event(), made.used, false);
    }
}

TEST("tpm log: the log ends behind the event that is said to be the last") {
    for (enum tpm_log_format format = TPM_LOG_SHA1; format <= TPM_LOG_AGILE; format++) {
        makers[format]();
        for (unsigned i = 0; i < made.count; i++)
            expect(format, made.used, made.events[i], made.events[i + 1], false);
    }
}

TEST("tpm log: of a log that is cut anywhere the whole events are left") {
    for (enum tpm_log_format format = TPM_LOG_SHA1; format <= TPM_LOG_AGILE; format++) {
        makers[format]();
        for (uint64_t bytes = 0; bytes < made.used; bytes++)
            expect(format, bytes, last_event(), whole_events(bytes), true);
    }
}

TEST("tpm log: where no event starts at the last one, the events up to it are left") {
    for (enum tpm_log_format format = TPM_LOG_SHA1; format <= TPM_LOG_AGILE; format++) {
        makers[format]();
        for (uint64_t last = 0; last < made.used; last++) {
            unsigned i = 0;
            while (i < made.count && made.events[i] < last)
                i++;
            bool is_start = i < made.count && made.events[i] == last;
            expect(format, made.used, last, made.events[is_start ? i + 1 : i], !is_start);
        }
        expect(format, made.used, made.used, made.used, true);
        expect(format, made.used, UINT64_MAX, made.used, true);
    }
}

static void change32(uint64_t at, uint32_t value) {
    memcpy(made.bytes + at, &value, sizeof(value));
}

TEST("tpm log: an event that says that it is larger than the rest of the log ends it") {
    static const uint32_t sizes[] = {0, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        make_sha1();
        uint32_t rest = (uint32_t)(made.used - made.events[2]) + 300;
        change32(made.events[1] + HEAD_BYTES - 4, i == 0 ? rest + 1 : sizes[i]);
        expect(TPM_LOG_SHA1, made.used, last_event(), made.events[1], true);
        make_agile();
        rest = (uint32_t)(made.used - made.events[3]) + 300;
        change32(made.events[3] - 300 - 4, i == 0 ? rest + 1 : sizes[i]);
        expect(TPM_LOG_AGILE, made.used, last_event(), made.events[2], true);
    }
}

TEST("tpm log: a digest that the log does not name, or too many of them, end it") {
    make_agile();
    made.bytes[made.events[2] + 12]++; // the first digest's algorithm
    expect(TPM_LOG_AGILE, made.used, last_event(), made.events[2], true);
    make_agile();
    made.bytes[made.events[2] + 12 + 2 + SHA256_BYTES + 1]++; // the second's upper byte
    expect(TPM_LOG_AGILE, made.used, last_event(), made.events[2], true);
    for (uint32_t count = 3; count != 0; count = count == 3 ? UINT32_MAX : 0) {
        make_agile();
        change32(made.events[2] + 8, count);
        expect(TPM_LOG_AGILE, made.used, last_event(), made.events[2], true);
    }
}

TEST("tpm log: a digest of no bytes is none, be it named or not") {
    for (int is_named = 0; is_named < 2; is_named++) {
        memset(&made, 0, sizeof(made));
        put_spec_id();
        memset(made.bytes + HEAD_BYTES + 30, 0, 2); // of a SHA-1 digest
        begin_event(EV_ACTION);
        put(1, 4);
        put(is_named ? SHA1 : SHA1 + 1, 2);
        put(0, 5); // no data, behind a digest of no bytes or of one
        end_event();
        expect(TPM_LOG_AGILE, made.used, last_event(), made.events[1], true);
    }
}

TEST("tpm log: an event may have any number of digests, none too") {
    memset(&made, 0, sizeof(made));
    put_spec_id();
    begin_event(EV_NO_ACTION);
    put(0, 4);
    put(5, 4);
    put_bytes(0xdd, 5);
    end_event();
    put_event2(9);
    expect(TPM_LOG_AGILE, made.used, last_event(), made.used, false);
}

// One change to the first event of an agile log, after which nothing of it is sound.
static void expect_nothing(uint64_t at, uint32_t value) {
    make_agile();
    change32(at, value);
    expect(TPM_LOG_AGILE, made.used, last_event(), 0, true);
    expect(TPM_LOG_AGILE, made.used, 0, 0, true);
}

TEST("tpm log: without a sound Spec ID event there is nothing to be told of an agile log") {
    const uint64_t data = HEAD_BYTES;
    expect_nothing(4, EV_ACTION);
    for (uint64_t at = 0; at < 16; at += 4)
        expect_nothing(data + at, 0x58585858);
    expect_nothing(data + 12, 0x58333074); // its last byte alone
    expect_nothing(data + 24, 3);          // its data end behind two
    expect_nothing(data + 24, 0x40000001);
    expect_nothing(data + 24, UINT32_MAX);
    expect_nothing(HEAD_BYTES - 4, 27); // its data end before the list
    expect_nothing(HEAD_BYTES - 4, 28 + 7);
    expect_nothing(HEAD_BYTES - 4, UINT32_MAX);
    make_sha1();
    expect(TPM_LOG_AGILE, made.used, last_event(), 0, true);
}

// A Spec ID event with so many algorithms, of which the last is SHA-1.
static void make_algorithms(uint32_t count) {
    memset(&made, 0, sizeof(made));
    begin_event(EV_NO_ACTION);
    put_bytes(0, SHA1_BYTES);
    put(28 + 4 * count, 4); // some firmware leaves out the bytes of the vendor's
    memcpy(made.bytes + made.used, "Spec ID Event03", 16);
    made.used += 16;
    put(0, 8);
    put(count, 4);
    for (uint32_t i = 1; i <= count; i++) {
        put(i == count ? SHA1 : 0x100 + i, 2);
        put(SHA1_BYTES, 2);
    }
    end_event();
    begin_event(EV_ACTION);
    put(1, 4);
    put(SHA1, 2);
    put_bytes(0x11, SHA1_BYTES);
    put(0, 4);
    end_event();
}

TEST("tpm log: up to sixteen kinds of digests are known") {
    for (uint32_t count = 1; count <= 16; count++) {
        make_algorithms(count);
        expect(TPM_LOG_AGILE, made.used, last_event(), made.used, false);
    }
    make_algorithms(17);
    expect(TPM_LOG_AGILE, made.used, last_event(), 0, true);
}

TEST("tpm log: what stands behind the list of digests names none, and the list may be empty") {
    for (uint32_t count = 0; count < 2; count++) {
        make_algorithms(count);
        expect(TPM_LOG_AGILE, made.used, 0, made.events[1], false);
        make_algorithms(count + 1);
        change32(HEAD_BYTES + 24, count); // which ends before SHA-1
        expect(TPM_LOG_AGILE, made.used, last_event(), made.events[1], true);
    }
}
