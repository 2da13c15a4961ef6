// See file.h.
#include "loader/file.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/hash/sha256.h"
#include "loader/device_path.h"
#include "loader/disc.h"
#include "loader/file_system.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/network.h"
#include "loader/pace.h"
#include "loader/progress.h"
#include "loader/timeline.h"
#include "loader/utf.h"
#include "loader/volume.h"

#include <stdbool.h>

enum {
    // Every firmware's file system opens paths of this length. edk2's FAT driver opens no longer
    // one, not even folder by folder.
    PATH_CHARACTERS_SAFE = 255,
};

static const char too_long[] =
    "; firmware may not know paths of more than 255 characters: move the file up";
_Static_assert(PATH_CHARACTERS_SAFE == 255, "as the text says");

static EFI_FILE *own_volume;
static struct pace pace;
static const void *paced;    // the volume that it is of: the one read last
static const char disc_pace; // stands for the disc, which is none
static EFI_LOADED_IMAGE *own_image;

EFI_STATUS file_open_volume(void) {
    EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_FILE_IO_INTERFACE *system;
    EFI_STATUS status = BS->HandleProtocol(firmware_image, &loaded_image, (void **)&own_image);
    if (EFI_ERROR(status))
        return log_fail(status, "own image: %s", log_status_text(status));
    own_volume = NULL;
    paced = NULL;
    network_find(own_image->DeviceHandle);
    disc_set_device(own_image->DeviceHandle);
    status = BS->HandleProtocol(own_image->DeviceHandle, &file_system, (void **)&system);
    if (EFI_ERROR(status) && network_has_files())
        return EFI_SUCCESS;
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: no file system (%s), and no server by PXE",
                        log_status_text(status));
    status = system->OpenVolume(system, &own_volume);
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: cannot open the volume (%s)",
                        log_status_text(status));
    return EFI_SUCCESS;
}

void file_close_volume(void) {
    volume_close_all();
    if (own_volume != NULL)
        own_volume->Close(own_volume);
    own_volume = NULL;
}

const EFI_LOADED_IMAGE *file_own_image(void) {
    return own_image;
}

EFI_FILE *file_own_volume(void) {
    return own_volume;
}

uint64_t file_own_path(uint16_t *ret_units, uint64_t capacity) {
    uint64_t units = device_path_file(own_image->FilePath, ret_units, capacity);
    return own_volume == NULL ? network_own_path(ret_units, capacity) : units;
}

uint64_t file_volume_label(uint16_t *ret_label, uint64_t capacity) {
    return own_volume == NULL ? 0 : volume_label(own_volume, ret_label, capacity);
}

// The end of a long path tells more than its start. It is cut between two characters.
static void set_name(struct file *file, struct config_text path) {
    static const char mark[] = "...";
    struct fmt_buffer name = fmt_buffer_make(file->name, sizeof(file->name));
    struct sink sink = fmt_buffer_sink(&name);
    uint64_t cut = 0;
    if (path.bytes >= FILE_NAME_MAX) {
        cut = path.bytes - (FILE_NAME_MAX - sizeof(mark));
        while (cut < path.bytes && utf8_is_inside(path.text[cut]))
            cut++;
        fmt_print(&sink, mark);
    }
    fmt_print(&sink, "%.*s", (int)(path.bytes - cut), path.text + cut);
}

// The volume, and what of the path is a path on it.
static EFI_STATUS choose_volume(struct file *file, struct config_text *path) {
    struct volume_name name;
    enum volume_name_status parsed = volume_name_parse(*path, &name, path);
    if (parsed != VOLUME_NAME_OK)
        return log_fail(EFI_INVALID_PARAMETER, "%s: %s%s", file->name,
                        volume_name_status_text(parsed), file->where);
    file->is_own = name.kind == VOLUME_OWN;
    file->volume = own_volume;
    const struct volume_request request = {file->name, file->where};
    return file->is_own ? EFI_SUCCESS : volume_find(&name, &request, &file->volume);
}

// All but the opening.
static EFI_STATUS locate(struct file *file, struct config_text path, const char *where) {
    *file = (struct file){.where = where};
    set_name(file, path);
    EFI_STATUS status = choose_volume(file, &path);
    if (EFI_ERROR(status))
        return status;
    enum utf_status converted =
        utf_path_convert(path.text, path.bytes, file->path, ARRAY_LEN(file->path));
    if (converted != UTF_OK)
        return log_fail(EFI_INVALID_PARAMETER, "%s: %s%s%s", file->name, utf_status_text(converted),
                        where, converted == UTF_ERR_LONG ? too_long : "");
    return EFI_SUCCESS;
}

static EFI_STATUS open_on_volume(struct file *file) {
    EFI_STATUS status = file_system_reopen(file);
    if (status == EFI_NOT_FOUND)
        return status;
    if (EFI_ERROR(status))
        return log_fail(status, "%s: cannot open (%s)%s%s", file->name, log_status_text(status),
                        file->where, file->path[PATH_CHARACTERS_SAFE + 1] == 0 ? "" : too_long);
    status = file_system_find_size(file);
    if (EFI_ERROR(status))
        file_close(file);
    return status;
}

// Where there is no such source there is no such file.
static EFI_STATUS open_located(struct file *file, enum file_source source) {
    file->source = source;
    switch (source) {
    case FILE_ON_VOLUME:
        return file->volume == NULL ? EFI_NOT_FOUND : open_on_volume(file);
    case FILE_ON_DISC:
        return file->is_own && file->volume != NULL ? disc_open(file) : EFI_NOT_FOUND;
    case FILE_ON_SERVER:
        return file->is_own && network_has_files() ? network_open(file) : EFI_NOT_FOUND;
    case FILE_SOURCES:
        break;
    }
    return EFI_NOT_FOUND;
}

EFI_STATUS file_open_on(enum file_source source, struct file *file, struct config_text path,
                        const char *where) {
    EFI_STATUS status = locate(file, path, where);
    return EFI_ERROR(status) ? status : open_located(file, source);
}

EFI_STATUS file_open(struct file *file, struct config_text path, const char *where) {
    EFI_STATUS status = locate(file, path, where);
    if (EFI_ERROR(status))
        return status;
    status = EFI_NOT_FOUND;
    for (enum file_source source = 0; status == EFI_NOT_FOUND && source < FILE_SOURCES; source++)
        status = open_located(file, source);
    return status;
}

EFI_HANDLE file_device(const struct file *file) {
    return file->is_own ? own_image->DeviceHandle : volume_device(file->volume);
}

// ---- Contents

static void add_to_hash(const struct file *file, const void *contents, uint64_t bytes) {
    if (file->hash != NULL)
        sha256_add(file->hash, contents, bytes);
}

static EFI_STATUS read_chunk(struct file *file, uint64_t offset, void *destination, UINTN *bytes) {
    return file->source == FILE_ON_DISC ? disc_read(file, offset, destination, *bytes)
                                        : file_system_read(file, offset, destination, bytes);
}

// After a read that has failed, for one of fewer bytes.
static bool can_try_again(struct file *file) {
    return file->source == FILE_ON_DISC || !EFI_ERROR(file_system_reopen(file));
}

static EFI_STATUS read_all(struct file *file, uint64_t offset, char *to, uint64_t bytes,
                           struct progress *progress) {
    uint64_t done = 0;
    const void *medium = file->source == FILE_ON_DISC ? &disc_pace : (const void *)file->volume;
    if (medium != paced)
        pace = pace_begin(); // another device, perhaps
    paced = medium;
    while (done != bytes) {
        uint64_t at = offset + done;
        UINTN asked = min_u64(bytes - done, pace.chunk);
        UINTN got = asked;
        uint64_t started = timeline_now();
        EFI_STATUS status = read_chunk(file, at, to + done, &got);
        uint64_t now = timeline_now();
        if (EFI_ERROR(status) && pace_shrink(&pace, asked) && can_try_again(file))
            continue;
        if (EFI_ERROR(status))
            return log_fail(status, "%s: read of %lu bytes at offset %lu failed (%s)", file->name,
                            bytes - done, at, log_status_text(status));
        if (got > asked)
            return log_fail(EFI_DEVICE_ERROR,
                            "%s: read at offset %lu gave %lu bytes, asked for were %lu", file->name,
                            at, got, asked);
        if (got == 0)
            return log_fail(EFI_END_OF_FILE,
                            "%s: short read at offset %lu: wanted %lu bytes, got %lu", file->name,
                            offset, bytes, done);
        pace_note(&pace, asked, got, now - started);
        add_to_hash(file, to + done, got);
        done += got;
        progress_show(progress, done, now);
    }
    return EFI_SUCCESS;
}

// A server has no parts of files.
static EFI_STATUS read_whole(struct file *file) {
    EFI_STATUS status =
        firmware_alloc_pages(file->bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &file->pages);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for its %lu bytes (%s)%s", file->name, file->bytes,
                        log_status_text(status), file->where);
    status = network_read(file, firmware_pointer(file->pages));
    if (!EFI_ERROR(status))
        file->contents = firmware_pointer(file->pages);
    return status;
}

EFI_STATUS file_read(struct file *file, uint64_t offset, void *destination, uint64_t bytes) {
    EFI_STATUS status = EFI_SUCCESS;
    if (bytes == 0) // an empty file has no place to go
        return EFI_SUCCESS;
    bool is_on_server = file->source == FILE_ON_SERVER && file->contents == NULL;
    if (is_on_server && bytes == file->bytes) {
        status = network_read(file, destination);
        if (!EFI_ERROR(status))
            add_to_hash(file, destination, bytes);
        return status;
    }
    if (is_on_server)
        status = read_whole(file);
    if (EFI_ERROR(status))
        return status;
    if (file->contents != NULL) {
        memcpy(destination, file->contents + offset, bytes);
        add_to_hash(file, destination, bytes);
        return EFI_SUCCESS;
    }
    struct progress progress = progress_begin(file->name, bytes);
    status = read_all(file, offset, destination, bytes, &progress);
    progress_end(&progress);
    return status;
}

void file_close(struct file *file) {
    file_system_close(file);
    firmware_free_pages(file->pages);
    file->pages = 0;
}
