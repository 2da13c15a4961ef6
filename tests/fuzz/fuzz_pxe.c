// What comes over the network before a file does, of anything: packets of DHCP and DHCPv6, and a
// server's errors. The first byte is an error's code; the packets begin behind it.
#include "loader/netboot.h"
#include "loader/utf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_names(struct config_text file, const uint8_t *packet, uint64_t bytes) {
    static const char path[] = "\\a\\b";
    char name[NETBOOT_NAME_MAX + 1];
    require(file.bytes <= NETBOOT_FILE_MAX);
    if (file.bytes == 0)
        return;
    uint64_t at = (uint64_t)((const uint8_t *)file.text - packet);
    require(at < bytes && file.bytes <= bytes - at);
    require(utf8_find_invalid(file.text, file.bytes) == file.bytes);
    struct config_text root = {file.text, netboot_root_bytes(file)};
    require(root.bytes <= file.bytes);
    uint64_t joined = netboot_join(root, (struct config_text){path, sizeof(path) - 1}, name);
    require(joined == root.bytes + sizeof(path) - 2 && name[joined] == '\0');
    require(memcmp(name, root.text, root.bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint8_t address[16];
    if (bytes == 0)
        return 0;
    const uint8_t *packet = data + 1;
    bytes--;
    (void)netboot_server_4(packet, bytes, address);
    (void)netboot_server_6(packet, bytes, address);
    check_names(netboot_file_4(packet, bytes), packet, bytes);
    check_names(netboot_file_6(packet, bytes), packet, bytes);
    require(netboot_find_error(data[0], packet, bytes) != NETBOOT_ERR_NONE);
    return 0;
}
