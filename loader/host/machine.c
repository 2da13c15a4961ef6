// See machine.h. UEFI 2.9, 7.2 (memory), 13.4 and 13.5 (files).
#include "loader/host/machine.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/descriptor.h"
#include "loader/console.h"
#include "loader/entropy.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/host/folder.h"
#include "loader/log.h"
#include "loader/progress.h"
#include "loader/timeline.h"
#include "loader/volume.h"

#include "common/x86/uart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct machine_setup machine;
static uint64_t used_pages;
static int put_file = -1;
static char failure[512];
static EFI_FILE *root;

static EFI_STATUS fail(EFI_STATUS status, const char *what, const char *cause) {
    if (failure[0] == '\0')
        snprintf(failure, sizeof(failure), "%s: %s", what, cause);
    return status;
}

void machine_fail(const char *what, const char *cause) {
    (void)fail(EFI_DEVICE_ERROR, what, cause);
}

const char *machine_failure(void) {
    return failure;
}

// ---- Memory

static uint64_t free_pages(void) {
    return machine.ram_bytes / FRAME_BYTES - used_pages;
}

// A physical address is the host's pointer. No place can be asked for.
static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *start) {
    (void)type;
    if (how == AllocateAddress)
        return EFI_NOT_FOUND;
    if (pages > free_pages())
        return EFI_OUT_OF_RESOURCES;
    void *memory = mmap(NULL, pages * FRAME_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return fail(EFI_OUT_OF_RESOURCES, "memory of the image and modules", strerror(errno));
    used_pages += pages;
    *start = (uintptr_t)memory;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages_at(EFI_PHYSICAL_ADDRESS start, UINTN pages) {
    used_pages -= pages;
    munmap(firmware_pointer(start), pages * FRAME_BYTES);
    return EFI_SUCCESS;
}

// One free run, for the room that a module looks for.
static EFI_STATUS EFIAPI get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                        UINTN *stride, UINT32 *version) {
    UINTN capacity = *bytes;
    *bytes = *stride = sizeof(*map);
    *version = EFI_MEMORY_DESCRIPTOR_VERSION;
    *key = 0;
    if (capacity < sizeof(*map))
        return EFI_BUFFER_TOO_SMALL;
    *map = (EFI_MEMORY_DESCRIPTOR){.Type = EfiConventionalMemory,
                                   .NumberOfPages = free_pages(),
                                   .Attribute = EFI_ATTRIBUTE_WB};
    return EFI_SUCCESS;
}

// The loader zeroes the pages of an image that no file byte comes to. Whole pages of them are given
// back to the host, which has zeroes for them when they are touched again: a kernel may have more
// of them than the host has memory. The loader's files are compiled with this for memset.
void *machine_memset(void *destination, int value, size_t bytes) {
    uintptr_t start = align_up((uintptr_t)destination, FRAME_BYTES);
    uintptr_t end = align_down((uintptr_t)destination + bytes, FRAME_BYTES);
    if (value != 0 || bytes < MIB(1) ||
        madvise(firmware_pointer(start), end - start, MADV_DONTNEED) != 0)
        return __builtin_memset(destination, value, bytes);
    __builtin_memset(destination, 0, start - (uintptr_t)destination);
    __builtin_memset(firmware_pointer(end), 0, (uintptr_t)destination + bytes - end);
    return destination;
}

// ---- Protocols

static EFI_STATUS EFIAPI open_file(EFI_FILE *self, EFI_FILE **ret_file, CHAR16 *path, UINT64 mode,
                                   UINT64 attributes) {
    (void)self, (void)mode, (void)attributes;
    if (put_file >= 0)
        return folder_open_file(put_file, ret_file);
    return folder_open(machine.folder, path, ret_file);
}

static EFI_STATUS EFIAPI close_root(EFI_FILE *self) {
    (void)self;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI open_volume(EFI_FILE_IO_INTERFACE *self, EFI_FILE **ret_root) {
    static EFI_FILE volume = {.Open = open_file, .Close = close_root};
    (void)self;
    root = &volume;
    *ret_root = root;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **ret_protocol) {
    static EFI_LOADED_IMAGE own_image;
    static EFI_FILE_IO_INTERFACE file_system = {.OpenVolume = open_volume};
    EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL;
    EFI_GUID simple_file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
    (void)handle;
    if (memcmp(guid, &loaded_image, sizeof(*guid)) == 0)
        *ret_protocol = &own_image;
    else if (memcmp(guid, &simple_file_system, sizeof(*guid)) == 0)
        *ret_protocol = &file_system;
    else
        return EFI_UNSUPPORTED;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_watchdog(UINTN seconds, UINT64 code, UINTN bytes, CHAR16 *data) {
    (void)seconds, (void)code, (void)bytes, (void)data;
    return EFI_SUCCESS;
}

static EFI_TPL EFIAPI raise_tpl(EFI_TPL level) {
    (void)level;
    return TPL_APPLICATION;
}

static void EFIAPI restore_tpl(EFI_TPL level) {
    (void)level;
}

bool machine_start(const struct machine_setup *setup) {
    static EFI_BOOT_SERVICES services = {
        .AllocatePages = allocate_pages,
        .FreePages = free_pages_at,
        .GetMemoryMap = get_memory_map,
        .HandleProtocol = handle_protocol,
        .SetWatchdogTimer = set_watchdog,
        .RaiseTPL = raise_tpl,
        .RestoreTPL = restore_tpl,
    };
    static EFI_SYSTEM_TABLE system = {.BootServices = &services};
    machine = *setup;
    used_pages = 0;
    put_file = -1;
    failure[0] = '\0';
    firmware_init(&system, &system);
    log_init();
    return !EFI_ERROR(file_open_volume());
}

void machine_put_file(int file) {
    put_file = file;
}

bool machine_has(const char *path) {
    CHAR16 units[FILE_PATH_UNITS];
    size_t used = 0;
    for (; path[used] != '\0' && used < FILE_PATH_UNITS - 1; used++)
        units[used] = (unsigned char)path[used];
    units[used] = 0;
    EFI_FILE *file;
    if (EFI_ERROR(folder_open(machine.folder, units, &file)))
        return false;
    file->Close(file);
    return true;
}

void machine_stop(void) {
    file_close_volume();
    firmware_free_all();
}

// ---- What the machine lacks

EFI_STATUS volume_find(const struct volume_name *name, const struct volume_request *request,
                       EFI_FILE **ret_root) {
    (void)name;
    if (put_file < 0)
        return fail(EFI_NO_MAPPING, request->path,
                    "lies on another volume, which cannot be looked at here; name its file, too");
    *ret_root = root;
    return EFI_SUCCESS;
}

EFI_HANDLE volume_device(const EFI_FILE *volume) {
    (void)volume;
    return NULL;
}

void volume_close_all(void) {}

uint64_t volume_label(EFI_FILE *volume, uint16_t *ret_label, uint64_t capacity) {
    (void)volume, (void)ret_label, (void)capacity;
    return 0;
}

uint64_t timeline_now(void) {
    return 0;
}

// Nothing is moved here: what is planned is the space without KASLR.
uint32_t entropy_gather(uint8_t ret_entropy[ENTROPY_BYTES]) {
    memset(ret_entropy, 0, ENTROPY_BYTES);
    return 0;
}

void progress_allow(void) {}

void progress_forbid(void) {}

struct progress progress_begin(const char *name, uint64_t bytes) {
    return (struct progress){.name = name, .bytes = bytes};
}

void progress_show(struct progress *progress, uint64_t done, uint64_t now) {
    (void)progress, (void)done, (void)now;
}

void progress_end(struct progress *progress) {
    (void)progress;
}

void console_init(void) {}

void console_write(const char *text, size_t bytes) {
    (void)text, (void)bytes;
}

bool console_is_on_com1(void) {
    return true;
}

bool uart_init(void) {
    return false;
}

void uart_restore(void) {}

void uart_write(const char *text, size_t bytes) {
    (void)text, (void)bytes;
}
