// An SMBIOS entry point of any bytes: nothing behind it is read, and what it leads to is what it
// says.
#include "common/smbios/smbios.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static uint8_t sum_of(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum;
}

// The first byte says whether the sum is made right: a fuzzer would not.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 1 + SMBIOS_FIRST_BYTES)
        return 0;
    uint8_t first[SMBIOS_FIRST_BYTES];
    memcpy(first, data + 1, sizeof(first));
    uint32_t length = smbios_entry_bytes(first);
    require(length == 0 || (length >= 24 && length <= 255));
    if (length > bytes - 1)
        return 0;
    uint32_t count = length == 0 ? SMBIOS_FIRST_BYTES : length;
    uint8_t *entry = malloc(count);
    memcpy(entry, data + 1, count);
    if ((data[0] & 1) && length != 0)
        entry[7] = (uint8_t)(entry[7] - sum_of(entry, count));
    struct smbios_table table = {1, 2};
    enum smbios_status status = smbios_read_entry(entry, &table);
    require((status == SMBIOS_OK || status == SMBIOS_ERR_CHECKSUM) ? length != 0
                                                                   : status == SMBIOS_ERR_ENTRY);
    if (status == SMBIOS_OK) {
        bool is_3 = memcmp(entry, "_SM3_", 5) == 0;
        struct smbios_table want = {0, 0};
        memcpy(&want.phys, entry + (is_3 ? 16 : 24), is_3 ? 8 : 4);
        memcpy(&want.bytes, entry + (is_3 ? 12 : 22), is_3 ? 4 : 2);
        require(sum_of(entry, length) == 0);
        require(table.phys == want.phys && table.bytes == want.bytes);
    } else {
        require(table.phys == 1 && table.bytes == 2);
    }
    free(entry);
    return 0;
}
