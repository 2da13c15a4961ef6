// See volume.h.
#include "loader/volume.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"
#include "loader/boot_source.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/utf.h"

enum {
    // Of the volumes there are, in a message.
    NAMES_MAX = 6,
    TEXT_BYTES = 320,
};

static const char *const kind_names[] = {
    [VOLUME_PARTITION] = "GUID",
    [VOLUME_LABEL] = "label",
};

struct volume {
    EFI_HANDLE handle;
    EFI_FILE *root; // null: not open
    struct partition partition;
    uint64_t label_bytes; // 0: it has none, or nobody has asked
    char label[BOOT_SOURCE_LABEL_UNITS * BOOT_SOURCE_UTF8_MAX + 1]; // UTF-8
};

static struct volume *volumes; // in pages of the loader's
static uint64_t volume_count;  // 0: not listed
static bool has_labels;
static bool has_connected;

// ---- The list

static void describe(struct volume *volume, EFI_HANDLE handle) {
    EFI_GUID guid = DEVICE_PATH_PROTOCOL;
    EFI_DEVICE_PATH *path;
    *volume = (struct volume){.handle = handle};
    if (!EFI_ERROR(BS->HandleProtocol(handle, &guid, (void **)&path)))
        volume->partition = device_path_partition(path);
}

// All handles, or those with a protocol, in pages that begin with `room` bytes for each.
static EFI_STATUS locate(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid, uint64_t room,
                         uint64_t *ret_start, EFI_HANDLE **ret_handles, uint64_t *ret_count) {
    EFI_HANDLE none;
    UINTN bytes = 0;
    uint64_t start;
    EFI_STATUS status = BS->LocateHandle(how, guid, NULL, &bytes, &none);
    if (status != EFI_BUFFER_TOO_SMALL)
        return EFI_ERROR(status) ? status : EFI_NOT_FOUND;
    room *= bytes / sizeof(none);
    status = firmware_alloc_pages(room + bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return status;
    EFI_HANDLE *handles = firmware_pointer(start + room);
    status = BS->LocateHandle(how, guid, NULL, &bytes, handles);
    if (EFI_ERROR(status)) {
        firmware_free_pages(start);
        return status;
    }
    *ret_start = start;
    *ret_handles = handles;
    *ret_count = bytes / sizeof(none);
    return EFI_SUCCESS;
}

static EFI_STATUS list(const struct volume_request *request) {
    EFI_GUID guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    uint64_t start, count;
    EFI_HANDLE *handles;
    EFI_STATUS status = locate(ByProtocol, &guid, sizeof(*volumes), &start, &handles, &count);
    volumes = NULL;
    if (status == EFI_NOT_FOUND) // none has been connected, where the loader came over the network
        return EFI_SUCCESS;
    if (EFI_ERROR(status))
        return log_fail(EFI_DEVICE_ERROR, "%s: cannot list the volumes (%s)%s", request->path,
                        log_status_text(status), request->where);
    volumes = firmware_pointer(start);
    for (uint64_t i = 0; i < count; i++)
        describe(&volumes[volume_count++], handles[i]);
    return EFI_SUCCESS;
}

// Firmware that is in a hurry has connected drivers to little more than the device that it boots
// from (UEFI 2.9, 7.3.12). What cannot be connected stays as it is.
static void connect_all(void) {
    uint64_t start, count;
    EFI_HANDLE *handles;
    if (EFI_ERROR(locate(AllHandles, NULL, 0, &start, &handles, &count)))
        return;
    log_line(CONFIG_LOG_INFO, "drivers are connected to all devices, to find a volume");
    for (uint64_t i = 0; i < count; i++)
        BS->ConnectController(handles[i], NULL, NULL, TRUE);
    firmware_free_pages(start);
}

static EFI_STATUS open_root(const struct volume *volume, EFI_FILE **ret_root) {
    EFI_GUID guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_FILE_IO_INTERFACE *system;
    EFI_STATUS status = BS->HandleProtocol(volume->handle, &guid, (void **)&system);
    return EFI_ERROR(status) ? status : system->OpenVolume(system, ret_root);
}

// Not by EFI_FILE_SYSTEM_INFO, which has the label, too: for the free space in it edk2's FAT driver
// reads the whole FAT.
uint64_t volume_label(EFI_FILE *root, uint16_t *ret_label, uint64_t capacity) {
    EFI_GUID kind = EFI_FILE_SYSTEM_VOLUME_LABEL_ID;
    UINTN bytes = capacity * sizeof(*ret_label);
    EFI_STATUS status = root->GetInfo(root, &kind, &bytes, ret_label);
    uint64_t units = bytes / sizeof(*ret_label);
    return EFI_ERROR(status) || units > capacity ? 0 : units;
}

// Each is asked by a root of its own, which is good for nothing else afterwards. Some file systems
// fill a label up with blanks.
static void read_labels(void) {
    for (uint64_t i = 0; i < volume_count && !has_labels; i++) {
        uint16_t units[BOOT_SOURCE_LABEL_UNITS];
        EFI_FILE *root;
        struct volume *volume = &volumes[i];
        if (EFI_ERROR(open_root(volume, &root)))
            continue;
        uint64_t count = volume_label(root, units, ARRAY_LEN(units));
        volume->label_bytes = utf8_from_utf16(units, count, volume->label);
        while (volume->label_bytes != 0 && volume->label[volume->label_bytes - 1] == ' ')
            volume->label[--volume->label_bytes] = '\0';
        root->Close(root);
    }
    has_labels = true;
}

// ---- The one that is named

static bool is_named(const struct volume *volume, const struct volume_name *name) {
    if (name->kind == VOLUME_PARTITION)
        return volume_name_is_partition(name, &volume->partition);
    return volume->label_bytes == name->label.bytes &&
           memcmp(volume->label, name->label.text, volume->label_bytes) == 0;
}

static bool has_name(const struct volume *volume, enum volume_kind kind) {
    return kind == VOLUME_LABEL ? volume->label_bytes != 0
                                : volume->partition.id_kind != SLIPWAY_PARTITION_NONE;
}

static void print_name(const struct sink *sink, const struct volume *volume,
                       enum volume_kind kind) {
    if (!has_name(volume, kind))
        fmt_print(sink, "one without a %s", kind_names[kind]);
    else if (kind == VOLUME_LABEL)
        fmt_print(sink, "label(%s)", volume->label);
    else
        volume_name_print_partition(sink, &volume->partition);
}

// With those that there are.
static EFI_STATUS fail_absent(const struct volume_name *name,
                              const struct volume_request *request) {
    char text[TEXT_BYTES];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    uint64_t count = 0;
    for (uint64_t i = 0; i < volume_count; i++) {
        if (!has_name(&volumes[i], name->kind) || count++ >= NAMES_MAX)
            continue;
        fmt_print(&sink, count == 1 ? "" : ", ");
        print_name(&sink, &volumes[i], name->kind);
    }
    if (count > NAMES_MAX)
        fmt_print(&sink, " and %lu more", count - NAMES_MAX);
    return log_fail(EFI_NO_MAPPING, "%s: no volume has this %s%s; there %s %s", request->path,
                    kind_names[name->kind], request->where, count == 1 ? "is" : "are",
                    count == 0 ? "none" : text);
}

// Both by a name of the other kind, which may tell them apart.
static EFI_STATUS fail_ambiguous(const struct volume_name *name,
                                 const struct volume_request *request,
                                 struct volume *const found[2]) {
    char text[TEXT_BYTES];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    enum volume_kind other = name->kind == VOLUME_LABEL ? VOLUME_PARTITION : VOLUME_LABEL;
    read_labels();
    print_name(&sink, found[0], other);
    fmt_print(&sink, " and ");
    print_name(&sink, found[1], other);
    return log_fail(EFI_INVALID_PARAMETER, "%s: more than one volume has this %s%s: %s",
                    request->path, kind_names[name->kind], request->where, text);
}

// How many there are, the first two of which are *ret_found.
static uint64_t find_named(const struct volume_name *name, struct volume *ret_found[2]) {
    uint64_t count = 0;
    if (name->kind == VOLUME_LABEL)
        read_labels();
    for (uint64_t i = 0; i < volume_count; i++) {
        if (!is_named(&volumes[i], name))
            continue;
        if (count < 2)
            ret_found[count] = &volumes[i];
        count++;
    }
    return count;
}

static void forget(void) {
    volume_close_all();
    firmware_free_pages((uintptr_t)volumes);
}

EFI_STATUS volume_find(const struct volume_name *name, const struct volume_request *request,
                       EFI_FILE **ret_root) {
    struct volume *found[2];
    EFI_STATUS status = volume_count == 0 ? list(request) : EFI_SUCCESS;
    if (EFI_ERROR(status))
        return status;
    uint64_t count = find_named(name, found);
    if (count == 0 && !has_connected) {
        connect_all();
        forget();
        has_connected = true;
        status = list(request);
        if (EFI_ERROR(status))
            return status;
        count = find_named(name, found);
    }
    if (count == 0)
        return fail_absent(name, request);
    if (count > 1)
        return fail_ambiguous(name, request, found);
    if (found[0]->root == NULL) {
        status = open_root(found[0], &found[0]->root);
        if (EFI_ERROR(status))
            return log_fail(EFI_DEVICE_ERROR, "%s: cannot open the volume (%s)%s", request->path,
                            log_status_text(status), request->where);
    }
    *ret_root = found[0]->root;
    return EFI_SUCCESS;
}

EFI_HANDLE volume_device(const EFI_FILE *root) {
    uint64_t at = 0;
    while (volumes[at].root != root) {
        at++;
        ASSERT(at < volume_count);
    }
    return volumes[at].handle;
}

void volume_close_all(void) {
    for (uint64_t i = 0; i < volume_count; i++) {
        if (volumes[i].root != NULL)
            volumes[i].root->Close(volumes[i].root);
    }
    volume_count = 0;
    has_labels = false;
    has_connected = false;
}
