// Stands for firmware that maps its memory as user pages: allows the user all that the firmware's
// page tables map, says how many entries that were, and starts \EFI\BOOT\LOADER.EFI of its own
// volume under them.
#include "tests/apps/serial.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

enum { EXIT_FAILED = 0x23, PATH_BYTES_MAX = 1024 };

// Page table entries, SDM 3A 4.5.
enum { ENTRIES = 512, ENTRY_PRESENT = 1 << 0, ENTRY_USER = 1 << 2, ENTRY_LARGE = 1 << 7 };
#define ENTRY_ADDRESS 0x000ffffffffff000

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_BOOT_SERVICES *services;

struct file_node {
    EFI_DEVICE_PATH header;
    CHAR16 name[sizeof("\\EFI\\BOOT\\LOADER.EFI")];
    EFI_DEVICE_PATH end;
} __attribute__((packed));

static const struct file_node loader_file = {
    {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {sizeof(EFI_DEVICE_PATH) + sizeof(loader_file.name), 0}},
    L"\\EFI\\BOOT\\LOADER.EFI",
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}}};

static void need(const char *what, EFI_STATUS status) {
    if (!EFI_ERROR(status))
        return;
    serial_text("USERMAP FAILED: ");
    serial_text(what);
    serial_text(" ");
    serial_hex(status);
    serial_text("\r\n");
    machine_exit(EXIT_FAILED);
}

// Returns how many entries below the table were not the user's before. A 1 GiB leaf is at level 3,
// a 2 MiB one at level 2.
static UINT64 give_to_user(UINT64 table, unsigned level) {
    UINT64 *entries = (UINT64 *)table;
    UINT64 changed = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (!(entries[i] & ENTRY_PRESENT))
            continue;
        changed += !(entries[i] & ENTRY_USER);
        entries[i] |= ENTRY_USER;
        if (level > 1 && (level > 3 || !(entries[i] & ENTRY_LARGE)))
            changed += give_to_user(entries[i] & ENTRY_ADDRESS, level - 1);
    }
    return changed;
}

static void write_cr0(UINT64 value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

// The firmware may have mapped its page tables read-only: WP is off meanwhile.
static UINT64 map_all_as_user(void) {
    UINT64 cr0 = cpu_read_cr0(), cr3 = cpu_read_cr3();
    write_cr0(cr0 & ~(UINT64)CR0_WP);
    UINT64 changed = give_to_user(cr3 & CR3_ROOT, cpu_read_cr4() & CR4_LA57 ? 5 : 4);
    write_cr0(cr0);
    cpu_write_cr3(cr3);
    return changed;
}

// With a whole device path the firmware tells the loader which volume it came from.
static EFI_HANDLE load_loader(EFI_HANDLE image) {
    static UINT8 path[PATH_BYTES_MAX];
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_GUID device_path_id = DEVICE_PATH_PROTOCOL;
    EFI_LOADED_IMAGE *self;
    EFI_DEVICE_PATH *volume;
    EFI_HANDLE loader = NULL;
    need("own image", services->HandleProtocol(image, &loaded_image_id, (void **)&self));
    need("own volume",
         services->HandleProtocol(self->DeviceHandle, &device_path_id, (void **)&volume));
    UINTN bytes = 0;
    for (EFI_DEVICE_PATH *node = volume; !IsDevicePathEnd(node); node = NextDevicePathNode(node))
        bytes += (UINTN)DevicePathNodeLength(node);
    if (bytes + sizeof(loader_file) > sizeof(path))
        need("path of own volume", EFI_BUFFER_TOO_SMALL);
    services->CopyMem(path, volume, bytes);
    services->CopyMem(path + bytes, (void *)(UINTN)&loader_file, sizeof(loader_file));
    need("LoadImage", services->LoadImage(FALSE, image, (EFI_DEVICE_PATH *)path, NULL, 0, &loader));
    return loader;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    services = system->BootServices;
    EFI_HANDLE loader = load_loader(image);
    UINT64 changed = map_all_as_user(); // last: what the firmware mapped for the loader is included
    serial_text("USERMAP ENTRIES ");
    serial_hex(changed);
    serial_text("\r\n");
    return services->StartImage(loader, NULL, NULL);
}
