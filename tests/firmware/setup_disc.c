// See setup_disc.h.
#include "tests/firmware/setup_disc.h"

#include "common/base/arith.h"

#include <string.h>

uint8_t setup_disc_image[SETUP_SECTORS * SETUP_SECTOR];
static uint64_t root_used, next_sector;

static const struct {
    PCI_DEVICE_PATH controller;
    CDROM_DEVICE_PATH cd;
    EFI_DEVICE_PATH end;
} __attribute__((packed)) cd_path = {
    {{HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(PCI_DEVICE_PATH), 0}}, 0, 0x1f},
    {{MEDIA_DEVICE_PATH, MEDIA_CDROM_DP, {sizeof(CDROM_DEVICE_PATH), 0}}, 0, 0, 0},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};

void setup_put_32(uint8_t *at, uint64_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = at[7 - i] = (uint8_t)(value >> 8 * i);
}

static void put_record(uint8_t *record, const char *name, uint64_t name_bytes, uint64_t sector,
                       uint64_t bytes, unsigned flags) {
    record[0] = (uint8_t)align_up(33 + name_bytes, 2);
    setup_put_32(record + 2, sector);
    setup_put_32(record + 10, bytes);
    record[25] = (uint8_t)flags;
    record[32] = (uint8_t)name_bytes;
    memcpy(record + 33, name, name_bytes);
}

static uint8_t *add_file(const char *name, const void *contents, uint64_t bytes) {
    uint8_t *record = setup_disc_image + SETUP_DISC_ROOT * SETUP_SECTOR + root_used;
    put_record(record, name, strlen(name), next_sector, bytes, 0);
    memcpy(setup_disc_image + next_sector * SETUP_SECTOR, contents, bytes);
    root_used += record[0];
    next_sector += align_up(bytes, SETUP_SECTOR) / SETUP_SECTOR;
    return record;
}

void setup_disc(const char *on_volume, const char *on_disc) {
    setup_boot(on_volume);
    setup_file("\\kernel.elf")->path = "\\elsewhere";
    setup_file("\\boot\\initrd.img")->path = "\\elsewhere 2";
    setup_file("\\empty")->path = "\\elsewhere 3";
    memset(setup_disc_image, 0, sizeof(setup_disc_image));
    root_used = 0;
    next_sector = SETUP_DISC_FILES;
    uint8_t *primary = setup_disc_image + 16 * SETUP_SECTOR;
    memcpy(primary, "\1CD001\1", 7);
    memcpy(setup_disc_image + 17 * SETUP_SECTOR, "\377CD001\1", 7);
    primary[129] = SETUP_SECTOR >> 8;
    put_record(primary + 156, "\0", 1, SETUP_DISC_ROOT, SETUP_SECTOR, 2);
    put_record(setup_disc_image + SETUP_DISC_ROOT * SETUP_SECTOR, "\0", 1, SETUP_DISC_ROOT,
               SETUP_SECTOR, 2);
    root_used = setup_disc_image[SETUP_DISC_ROOT * SETUP_SECTOR];
    add_file("KERNEL.ELF;1", &setup_kernel, sizeof(setup_kernel));
    add_file("INITRD.IMG;1", setup_module, sizeof(setup_module));
    add_file("EMPTY.;1", "", 0);
    if (on_disc != NULL)
        add_file("SLIPWAY.CON;1", "", 0); // another file
    if (on_disc != NULL)
        add_file("SLIPWAY.CONF;1", on_disc, strlen(on_disc));
    fake.device_path = &cd_path;
    fake.disc.contents = setup_disc_image;
    fake.disc.bytes = sizeof(setup_disc_image);
}
