// The fake firmware's file system: what is in fake.files, read-only, with its faults. A folder that
// is there lists them. A handle that
// has failed once stays useless, as on real firmware.
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct handle {
    EFI_FILE protocol;            // first: a pointer to it is a pointer to the handle
    const struct fake_file *file; // null: the volume
    uint32_t volume;              // as a file has it
    uint64_t position;
    bool is_broken;
    bool is_lost; // the position is what firmware does not know
};

EFI_FILE_IO_INTERFACE fake_file_systems[1 + FAKE_VOLUMES_MAX];

static EFI_STATUS make_handle(uint32_t volume, const struct fake_file *file, EFI_FILE **ret_handle);

static EFI_STATUS break_handle(struct handle *handle, EFI_STATUS status) {
    handle->is_broken = true;
    return status;
}

// Counts the call and lets it fail if the handle is broken.
static EFI_STATUS begin(enum fake_call call, struct handle *handle) {
    EFI_STATUS status = fake_begin_call(call, handle->file);
    if (EFI_ERROR(status))
        return break_handle(handle, status);
    return handle->is_broken ? EFI_DEVICE_ERROR : EFI_SUCCESS;
}

static const struct fake_file *find(uint32_t volume, const CHAR16 *path) {
    for (uint32_t i = 0; i < fake.file_count; i++) {
        const char *name = fake.files[i].path;
        size_t at = 0;
        while (name[at] != '\0' && path[at] == (CHAR16)name[at])
            at++;
        if (name[at] == '\0' && path[at] == 0 && fake.files[i].volume == volume)
            return &fake.files[i];
    }
    return NULL;
}

static EFI_STATUS EFIAPI open_file(EFI_FILE *self, EFI_FILE **ret_handle, CHAR16 *path, UINT64 mode,
                                   UINT64 attributes) {
    uint32_t volume = ((struct handle *)self)->volume;
    const struct fake_file *file = find(volume, path);
    EFI_STATUS status = fake_begin_call(FAKE_OPEN, file);
    if (((struct handle *)self)->is_broken)
        fake_record_breach("Open from a volume that a call has failed of");
    if (((struct handle *)self)->file != NULL || mode != EFI_FILE_MODE_READ || attributes != 0)
        fake_record_breach("Open for more than reading, or not from the volume");
    if (EFI_ERROR(status))
        return status;
    size_t units = 0;
    while (path[units] != 0)
        units++;
    if (fake.path_max != 0 && units > fake.path_max)
        return EFI_INVALID_PARAMETER;
    return file == NULL ? EFI_NOT_FOUND : make_handle(volume, file, ret_handle);
}

// A call that is to fail closes all the same: the caller could do no more (UEFI 2.9, 13.5: Close
// always succeeds).
static EFI_STATUS EFIAPI close_file(EFI_FILE *self) {
    struct handle *handle = (struct handle *)self;
    EFI_STATUS status = fake_begin_call(FAKE_CLOSE, handle->file);
    free(handle);
    fake.open_handles--;
    return status;
}

static bool is_faulty(const struct fake_file *file, uint64_t position, uint64_t bytes) {
    bool too_large = file->fails_above != 0 && bytes > file->fails_above;
    bool bad = file->bad_offset != 0 && position <= file->bad_offset &&
               file->bad_offset - position < bytes;
    return too_large || bad;
}

// The name in the folder of a file that lies right there, or null.
static const char *name_in(const struct fake_file *folder, const struct fake_file *file) {
    size_t length = strlen(folder->path);
    bool is_below = file->volume == folder->volume &&
                    strncmp(file->path, folder->path, length) == 0 && file->path[length] == '\\';
    const char *name = file->path + length + 1;
    return is_below && strchr(name, '\\') == NULL ? name : NULL;
}

bool fake_is_odd_read(void) {
    fake.reads++;
    bool is_odd = fake.reads == fake.odd_read ||
                  (fake.odd_on && fake.odd_read != 0 && fake.reads > fake.odd_read);
    if (is_odd && fake.odd == FAKE_ODD_SLOW)
        fake_pass_time(2 * FAKE_TSC_HZ);
    return is_odd;
}

uint64_t fake_odd_bytes(uint64_t bytes) {
    if (fake.odd == FAKE_ODD_SHORT)
        return (bytes + 1) / 2;
    return fake.odd == FAKE_ODD_ZERO ? 0 : bytes;
}

// UEFI 2.9, 13.5: one entry for each Read, none at the end; nothing moves without room for it.
static EFI_STATUS read_folder(struct handle *handle, UINTN *bytes, void *buffer) {
    const char *name = NULL;
    uint64_t at = handle->position;
    while (at < fake.file_count && (name = name_in(handle->file, &fake.files[at])) == NULL)
        at++;
    UINTN capacity = *bytes;
    *bytes = name == NULL ? 0 : offsetof(EFI_FILE_INFO, FileName) + 2 * (strlen(name) + 1);
    if (name == NULL)
        return EFI_SUCCESS;
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    EFI_FILE_INFO *info = buffer;
    memset(info, 0, *bytes);
    info->Size = *bytes;
    info->FileSize = fake.files[at].lies_by_info ? fake.files[at].info_bytes : fake.files[at].bytes;
    info->Attribute = fake.files[at].is_directory ? EFI_FILE_DIRECTORY : 0;
    CHAR16 *to = info->FileName; // which is declared as of one unit
    for (size_t i = 0; name[i] != '\0'; i++)
        to[i] = (unsigned char)name[i];
    handle->position = handle->file->is_endless ? at : at + 1;
    if (!fake_is_odd_read())
        return EFI_SUCCESS;
    *bytes = fake.odd == FAKE_ODD_OVER ? capacity + 1 : fake_odd_bytes(*bytes);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI read_file(EFI_FILE *self, UINTN *bytes, void *buffer) {
    struct handle *handle = (struct handle *)self;
    const struct fake_file *file = handle->file;
    EFI_STATUS status = begin(FAKE_READ, handle);
    if (!EFI_ERROR(status) && file->is_directory)
        return read_folder(handle, bytes, buffer);
    if (fake.in_read != NULL)
        fake.in_read(*bytes);
    if (EFI_ERROR(status))
        return status;
    if (handle->position > file->bytes || is_faulty(file, handle->position, *bytes))
        return break_handle(handle, EFI_DEVICE_ERROR);
    uint64_t end = file->ends_early != 0 ? file->ends_early : file->bytes;
    uint64_t left = handle->position < end ? end - handle->position : 0;
    if (file->gives_at_most != 0 && left > file->gives_at_most)
        left = file->gives_at_most;
    UINTN asked = *bytes;
    bool is_odd = fake_is_odd_read();
    if (*bytes > left)
        *bytes = left;
    if (is_odd)
        *bytes = fake_odd_bytes(*bytes);
    if (file->contents != NULL)
        memcpy(buffer, (const char *)file->contents + handle->position, *bytes);
    handle->position += *bytes;
    *bytes += file->claims_more;
    if (is_odd && fake.odd == FAKE_ODD_OVER)
        *bytes = asked + 1;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_position(EFI_FILE *self, UINT64 position) {
    struct handle *handle = (struct handle *)self;
    EFI_STATUS status = begin(FAKE_SET_POSITION, handle);
    if (EFI_ERROR(status))
        return status;
    if (handle->file->is_directory)
        return EFI_UNSUPPORTED;
    bool is_end = position == UINT64_MAX;
    handle->is_lost = is_end && handle->file->end_is_unknown;
    if (!is_end)
        handle->position = position;
    else if (!handle->file->end_is_fixed)
        handle->position = handle->file->bytes;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_position(EFI_FILE *self, UINT64 *ret_position) {
    struct handle *handle = (struct handle *)self;
    EFI_STATUS status = begin(FAKE_GET_POSITION, handle);
    if (!EFI_ERROR(status))
        *ret_position = handle->is_lost ? UINT64_MAX : handle->position;
    return status;
}

// Of the volume itself.
static EFI_STATUS get_label(struct handle *handle, const EFI_GUID *kind, UINTN *bytes,
                            void *ret_label) {
    EFI_GUID label = EFI_FILE_SYSTEM_VOLUME_LABEL_ID;
    EFI_STATUS status = begin(FAKE_GET_LABEL, handle);
    if (EFI_ERROR(status))
        return status;
    const struct fake_volume own = {.label = fake.label, .label_units = fake.label_units};
    const struct fake_volume *volume =
        handle->volume == 0 ? &own : &fake.volumes[handle->volume - 1];
    const CHAR16 *text = volume->label;
    if (text == NULL || memcmp(kind, &label, sizeof(label)) != 0)
        return break_handle(handle, EFI_UNSUPPORTED);
    UINTN capacity = *bytes;
    *bytes = volume->label_units * sizeof(*text);
    if (capacity < *bytes && !fake.label_lies)
        return EFI_BUFFER_TOO_SMALL;
    memcpy(ret_label, text, capacity < *bytes ? capacity : *bytes);
    return EFI_SUCCESS;
}

// The answer is as long as with the name, which nobody asks for.
static EFI_STATUS EFIAPI get_info(EFI_FILE *self, EFI_GUID *kind, UINTN *bytes, void *ret_info) {
    struct handle *handle = (struct handle *)self;
    const struct fake_file *file = handle->file;
    EFI_GUID file_info = EFI_FILE_INFO_ID;
    if (file == NULL)
        return get_label(handle, kind, bytes, ret_info);
    EFI_STATUS status = begin(FAKE_GET_INFO, handle);
    if (EFI_ERROR(status))
        return status;
    if (file->has_no_info || memcmp(kind, &file_info, sizeof(file_info)) != 0)
        return break_handle(handle, EFI_UNSUPPORTED);
    UINTN capacity = *bytes;
    *bytes = offsetof(EFI_FILE_INFO, FileName) +
             (strlen(strrchr(file->path, '\\') + 1) + 1) * sizeof(CHAR16);
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    EFI_FILE_INFO info = {
        .Size = *bytes,
        .FileSize = file->lies_by_info ? file->info_bytes : file->bytes,
        .Attribute = file->is_directory ? EFI_FILE_DIRECTORY : 0,
    };
    memset(ret_info, 0, *bytes);
    memcpy(ret_info, &info, offsetof(EFI_FILE_INFO, FileName));
    return EFI_SUCCESS;
}

static EFI_STATUS make_handle(uint32_t volume, const struct fake_file *file,
                              EFI_FILE **ret_handle) {
    struct handle *handle = malloc(sizeof(*handle));
    if (handle == NULL)
        abort();
    *handle = (struct handle){
        .protocol = {.Revision = EFI_FILE_PROTOCOL_REVISION,
                     .Open = open_file,
                     .Close = close_file,
                     .Read = read_file,
                     .SetPosition = set_position,
                     .GetPosition = get_position,
                     .GetInfo = get_info},
        .file = file,
        .volume = volume,
    };
    fake.open_handles++;
    *ret_handle = &handle->protocol;
    return EFI_SUCCESS;
}

EFI_STATUS EFIAPI fake_open_volume(EFI_FILE_IO_INTERFACE *self, EFI_FILE **ret_root) {
    uint32_t volume = (uint32_t)(self - fake_file_systems);
    EFI_STATUS status = fake_begin_call(FAKE_OPEN_VOLUME, NULL);
    if (EFI_ERROR(status))
        return status;
    if (volume != 0 && fake.volumes[volume - 1].cannot_open)
        return EFI_VOLUME_CORRUPTED;
    if (volume != 0)
        fake.volumes[volume - 1].opens++;
    return make_handle(volume, NULL, ret_root);
}

struct fake_file *fake_add_file(const char *path, const void *contents, uint64_t bytes) {
    if (fake.file_count == FAKE_FILES_MAX)
        abort();
    struct fake_file *file = &fake.files[fake.file_count++];
    *file = (struct fake_file){.path = path, .contents = contents, .bytes = bytes};
    return file;
}

uint32_t fake_add_volume(const void *device_path, const CHAR16 *label) {
    if (fake.volume_count == FAKE_VOLUMES_MAX)
        abort();
    uint64_t units = 0;
    while (label != NULL && label[units] != 0)
        units++;
    fake.volumes[fake.volume_count++] =
        (struct fake_volume){.device_path = device_path, .label = label, .label_units = units};
    return fake.volume_count;
}
