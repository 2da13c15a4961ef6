// See linux.h.
#include "loader/protocol/linux.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/modules.h"

#define INITRD_ALIGN 4

// UEFI 2.9, 13.2; gnu-efi's headers have only LoadFile, which is the same but for its GUID.
#define LOAD_FILE2_GUID                                                                            \
    {                                                                                              \
        0x4006c0c1, 0xfcb3, 0x403e, {                                                              \
            0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d                                         \
        }                                                                                          \
    }

struct load_file2 {
    EFI_STATUS(EFIAPI *load)
    (struct load_file2 *self, EFI_DEVICE_PATH *path, BOOLEAN is_boot, UINTN *bytes, void *buffer);
};

static EFI_STATUS EFIAPI load_initrd(struct load_file2 *self, EFI_DEVICE_PATH *path,
                                     BOOLEAN is_boot, UINTN *bytes, void *buffer);

static struct load_file2 load_file2 = {load_initrd};

static struct {
    VENDOR_DEVICE_PATH initrd;
    EFI_DEVICE_PATH end;
} __attribute__((packed)) initrd_path = {
    {{MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, {sizeof(VENDOR_DEVICE_PATH), 0}},
     {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}}},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};
_Static_assert(sizeof(initrd_path) == 24, "a vendor's node and the end");

static EFI_HANDLE handle; // null: nothing is offered
static uint32_t module_count;
static uint64_t initrd_bytes;

// Called by the kernel.
static EFI_STATUS EFIAPI load_initrd(struct load_file2 *self, EFI_DEVICE_PATH *path,
                                     BOOLEAN is_boot, UINTN *bytes, void *buffer) {
    const struct module *modules = modules_loaded();
    if (self == NULL || path == NULL || bytes == NULL)
        return EFI_INVALID_PARAMETER;
    if (is_boot)
        return EFI_UNSUPPORTED;
    UINTN room = *bytes;
    *bytes = initrd_bytes;
    if (buffer == NULL || room < initrd_bytes)
        return EFI_BUFFER_TOO_SMALL;
    char *to = buffer;
    for (uint32_t i = 0; i < module_count; i++) {
        uint64_t padding = align_up(modules[i].bytes, INITRD_ALIGN) - modules[i].bytes;
        if (modules[i].bytes == 0)
            continue;
        memcpy(to, firmware_pointer(modules[i].phys), modules[i].bytes);
        memset(to + modules[i].bytes, 0, padding);
        to += modules[i].bytes + padding;
    }
    return EFI_SUCCESS;
}

EFI_STATUS linux_offer_initrd(uint32_t count) {
    EFI_GUID device_path = DEVICE_PATH_PROTOCOL, load_file = LOAD_FILE2_GUID;
    EFI_HANDLE new_handle = NULL;
    module_count = count;
    initrd_bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        initrd_bytes += align_up(modules_loaded()[i].bytes, INITRD_ALIGN);
    if (initrd_bytes == 0)
        return EFI_SUCCESS;
    EFI_STATUS status = BS->InstallMultipleProtocolInterfaces(
        &new_handle, &device_path, &initrd_path, &load_file, &load_file2, NULL);
    if (status == EFI_ALREADY_STARTED)
        return log_fail(status, "initrd: the program that has started this loader offers one");
    if (EFI_ERROR(status))
        return log_fail(status, "initrd: cannot be offered to Linux (%s)", log_status_text(status));
    handle = new_handle;
    log_line(CONFIG_LOG_INFO, "initrd: %lu bytes of %u modules", initrd_bytes, count);
    return EFI_SUCCESS;
}

void linux_withdraw_initrd(void) {
    EFI_GUID device_path = DEVICE_PATH_PROTOCOL, load_file = LOAD_FILE2_GUID;
    if (handle != NULL)
        BS->UninstallMultipleProtocolInterfaces(handle, &device_path, &initrd_path, &load_file,
                                                &load_file2, NULL);
    handle = NULL;
}
