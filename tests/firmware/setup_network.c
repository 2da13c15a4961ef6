#include "tests/firmware/setup_network.h"

#include "common/base/arith.h"

#include <string.h>

EFI_PXE_BASE_CODE_MODE setup_pxe;

void setup_network(const char *config, const char *root, const char *boot_file) {
    static char names[FAKE_FILES_MAX][64];
    setup_boot(config);
    memset(&setup_pxe, 0, sizeof(setup_pxe));
    setup_pxe.Started = setup_pxe.DhcpAckReceived = TRUE;
    memcpy(setup_pxe.DhcpAck.Dhcpv4.BootpSiAddr, "\x0a\0\2\2", 4);
    strcpy((char *)setup_pxe.DhcpAck.Dhcpv4.BootpBootFile, root);
    strcat((char *)setup_pxe.DhcpAck.Dhcpv4.BootpBootFile, boot_file);
    fake.pxe = &setup_pxe;
    fake.has_no_volume = true;
    fake.has_tsc_leaf = true;
    for (uint32_t i = 0; i < fake.file_count; i++) {
        strcpy(names[i], root);
        strcat(names[i], fake.files[i].path + 1);
        for (char *c = names[i]; *c != '\0'; c++)
            *c = *c == '\\' ? '/' : *c;
        fake.files[i].path = names[i];
        fake.files[i].volume = FAKE_ON_SERVER;
    }
}

struct fake_file *setup_served(const char *name) {
    for (uint32_t i = 0; i < fake.file_count; i++) {
        if (fake.files[i].volume == FAKE_ON_SERVER && strcmp(fake.files[i].path, name) == 0)
            return &fake.files[i];
    }
    fail_msg("no file %s on the server", name);
    return NULL;
}
