// Runs the loader once for every folder below \cases, within one boot of the firmware, and reports
// what it returned and how many pages of each type the firmware had before and after.
//
// Each run sees a volume of its own whose root is the case's folder: a handle with a device path
// and a file system that prefixes every path and passes it on to the real volume. What is not in
// the folder is looked for in \common. The firmware has no console but one that says what it is
// told on COM1, each piece after `console: `, so that the test can tell it from what the loader
// says there itself, and on which a key is always held down.
#include "tests/apps/start.h"

enum { PIC_SLAVE_MASK = 0xa1 };
enum {
    PATH_MAX_CHARS = 1100,
    MAP_BYTES_MAX = 65536,
    INFO_BYTES_MAX = 1024,
    HANDLES_MAX = 16,
    EXIT_DONE = 0x22
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_BOOT_SERVICES *services;
static EFI_FILE *real_root;
static CHAR16 case_folder[PATH_MAX_CHARS];
static CHAR16 common_folder[] = L"\\common";

// Joins folder and path with one backslash between them.
static void join(CHAR16 to[PATH_MAX_CHARS], const CHAR16 *folder, const CHAR16 *path) {
    UINTN used = 0;
    while (*folder && used < PATH_MAX_CHARS - 2)
        to[used++] = *folder++;
    to[used++] = '\\';
    while (*path == '\\')
        path++;
    while (*path && used < PATH_MAX_CHARS - 1)
        to[used++] = *path++;
    to[used] = 0;
}

static EFI_STATUS EFIAPI root_open(EFI_FILE *self, EFI_FILE **ret_file, CHAR16 *path, UINT64 mode,
                                   UINT64 attributes) {
    CHAR16 full[PATH_MAX_CHARS];
    (void)self;
    join(full, case_folder, path);
    EFI_STATUS status = real_root->Open(real_root, ret_file, full, mode, attributes);
    if (status != EFI_NOT_FOUND)
        return status;
    join(full, common_folder, path);
    return real_root->Open(real_root, ret_file, full, mode, attributes);
}

static EFI_STATUS EFIAPI root_close(EFI_FILE *self) {
    (void)self;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI root_get_info(EFI_FILE *self, EFI_GUID *kind, UINTN *bytes, void *info) {
    (void)self;
    return real_root->GetInfo(real_root, kind, bytes, info);
}

static EFI_FILE root = {.Revision = EFI_FILE_HANDLE_REVISION,
                        .Open = root_open,
                        .Close = root_close,
                        .GetInfo = root_get_info};

static EFI_STATUS EFIAPI open_volume(EFI_FILE_IO_INTERFACE *self, EFI_FILE **ret_root) {
    (void)self;
    *ret_root = &root;
    return EFI_SUCCESS;
}

static EFI_FILE_IO_INTERFACE file_system = {.Revision = EFI_FILE_IO_INTERFACE_REVISION,
                                            .OpenVolume = open_volume};

// Device path of the volume, and of the loader's file on it (UEFI 2.9, 10.3).
struct volume_path {
    VENDOR_DEVICE_PATH volume;
    EFI_DEVICE_PATH end;
} __attribute__((packed));

struct loader_path {
    VENDOR_DEVICE_PATH volume;
    EFI_DEVICE_PATH file;
    CHAR16 name[sizeof("\\loader.efi")];
    EFI_DEVICE_PATH end;
} __attribute__((packed));

#define NODE(type, subtype, bytes)                                                                 \
    {                                                                                              \
        (type), (subtype), {                                                                       \
            (UINT8)(bytes), (UINT8)((bytes) >> 8)                                                  \
        }                                                                                          \
    }
#define END_NODE NODE(END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, sizeof(EFI_DEVICE_PATH))
#define VOLUME_NODE                                                                                \
    {                                                                                              \
        NODE(HARDWARE_DEVICE_PATH, HW_VENDOR_DP, sizeof(VENDOR_DEVICE_PATH)), {                    \
            0x51495053, 0x1c4e, 0x4a57, {                                                          \
                0x8e, 0x21, 0x63, 0x61, 0x73, 0x65, 0x73, 0x21                                     \
            }                                                                                      \
        }                                                                                          \
    }

static struct volume_path volume_path = {VOLUME_NODE, END_NODE};
static struct loader_path loader_path = {
    VOLUME_NODE,
    NODE(MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP,
         sizeof(EFI_DEVICE_PATH) + sizeof(((struct loader_path *)0)->name)),
    L"\\loader.efi", END_NODE};

// Says how many pages of each type the firmware counts.
static void report_pages(const char *when) {
    static UINT64 map[MAP_BYTES_MAX / sizeof(UINT64)];
    UINTN bytes = sizeof(map), key, stride;
    UINT32 version;
    need("GetMemoryMap",
         services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)map, &key, &stride, &version));
    UINT64 pages[EfiMaxMemoryType] = {0};
    for (UINTN at = 0; at < bytes; at += stride) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)map + at);
        if (d->Type < EfiMaxMemoryType)
            pages[d->Type] += d->NumberOfPages;
    }
    serial_text(when);
    for (UINTN type = 0; type < EfiMaxMemoryType; type++) {
        serial_byte(' ');
        serial_hex(pages[type]);
    }
    serial_text("\r\n");
}

static EFI_STATUS EFIAPI console_output(SIMPLE_TEXT_OUTPUT_INTERFACE *self, CHAR16 *text) {
    (void)self;
    serial_text("console: ");
    serial_wide(text);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI console_read(SIMPLE_INPUT_INTERFACE *self, EFI_INPUT_KEY *key) {
    (void)self;
    *key = (EFI_INPUT_KEY){.UnicodeChar = ' '};
    return EFI_SUCCESS;
}

// Takes its mark from every console of the firmware's, so that COM1 is none (see loader/console.c).
static void remove_consoles(void) {
    EFI_GUID mark = {0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
    EFI_HANDLE handles[HANDLES_MAX];
    UINTN bytes = sizeof(handles);
    void *interface;
    need("consoles", services->LocateHandle(ByProtocol, &mark, NULL, &bytes, handles));
    for (UINTN i = 0; i < bytes / sizeof(handles[0]); i++) {
        need("console", services->HandleProtocol(handles[i], &mark, &interface));
        need("console's mark", services->UninstallProtocolInterface(handles[i], &mark, interface));
    }
}

static void run_case(EFI_HANDLE parent, const CHAR16 *name) {
    EFI_HANDLE loader = NULL;
    join(case_folder, L"\\cases", name);
    serial_text("\r\nCASE ");
    serial_wide(name);
    serial_text("\r\n");
    report_pages("BEFORE");
    port_write(PIC_SLAVE_MASK, 0);
    need("LoadImage",
         services->LoadImage(FALSE, parent, (EFI_DEVICE_PATH *)&loader_path, NULL, 0, &loader));
    EFI_STATUS status = services->StartImage(loader, NULL, NULL);
    report_pages("AFTER");
    serial_text("RETURNED ");
    serial_hex(status);
    serial_text("\r\n");
}

static void run_cases(EFI_HANDLE parent) {
    static UINT64 space[INFO_BYTES_MAX / sizeof(UINT64)];
    const EFI_FILE_INFO *info = (const EFI_FILE_INFO *)space;
    EFI_FILE *folder;
    need("\\cases", real_root->Open(real_root, &folder, L"\\cases", EFI_FILE_MODE_READ, 0));
    for (;;) {
        UINTN bytes = sizeof(space);
        need("reading \\cases", folder->Read(folder, &bytes, space));
        if (bytes == 0)
            return;
        if (info->FileName[0] != '.')
            run_case(parent, info->FileName);
    }
}

static void open_own_volume(EFI_HANDLE image) {
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system_id = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_LOADED_IMAGE *self;
    EFI_FILE_IO_INTERFACE *volume;
    need("own image", services->HandleProtocol(image, &loaded_image_id, (void **)&self));
    need("own volume",
         services->HandleProtocol(self->DeviceHandle, &file_system_id, (void **)&volume));
    need("opening own volume", volume->OpenVolume(volume, &real_root));
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_GUID file_system_id = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_GUID device_path_id = DEVICE_PATH_PROTOCOL;
    EFI_HANDLE volume = NULL;
    services = system->BootServices;
    open_own_volume(image);
    need("file system", services->InstallProtocolInterface(&volume, &file_system_id,
                                                           EFI_NATIVE_INTERFACE, &file_system));
    need("device path", services->InstallProtocolInterface(&volume, &device_path_id,
                                                           EFI_NATIVE_INTERFACE, &volume_path));
    remove_consoles();
    system->ConOut->OutputString = console_output;
    system->ConIn->ReadKeyStroke = console_read;
    run_cases(image);
    serial_text("CASES DONE\r\n");
    machine_exit(EXIT_DONE);
}
