// The start of a file of anything, as a PE file and as a Linux kernel.
#include "loader/protocol/pe.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct pe pe;
    struct linux_header header;
    uint64_t offset, length;
    if (pe_find_section(data, bytes, ".osrel", &offset, &length))
        require(offset <= UINT32_MAX && length <= UINT32_MAX);
    if (pe_parse(data, bytes, &pe)) {
        require(bytes >= 64);
        require(pe_check(&pe) != PE_OK || pe.magic != 0);
        require(linux_asks_for_initrd(&pe) == pe.image_major % 2);
    }
    if (!linux_parse(data, bytes, &header))
        return 0;
    require((header.release == NULL) == (header.release_bytes == 0));
    if (header.release == NULL)
        return 0;
    uint64_t at = (uint64_t)(header.release - (const char *)data);
    require(at < bytes && header.release_bytes <= 64 && header.release_bytes < bytes - at);
    for (uint32_t i = 0; i < header.release_bytes; i++)
        require(header.release[i] > ' ' && header.release[i] < 0x7f);
    return 0;
}
