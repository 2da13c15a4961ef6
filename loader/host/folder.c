// See folder.h. UEFI 2.9, 13.5, EFI_FILE_PROTOCOL.
#include "loader/host/folder.h"

#include "common/base/arith.h"
#include "loader/utf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_UNITS_MAX = 256, // a separator and 255 characters
    PATH_BYTES = 3 * PATH_UNITS_MAX + 1,
    NAMES_MAX = PATH_UNITS_MAX / 2,
};

struct handle {
    EFI_FILE protocol; // first: a pointer to it is a pointer to the handle
    int file;
    bool is_kept; // by somebody else
    bool is_folder;
    DIR *list; // of a folder that is read; null: nobody has
    uint64_t bytes;
    uint64_t position;
};

static EFI_STATUS EFIAPI close_file(EFI_FILE *self) {
    struct handle *handle = (struct handle *)self;
    if (handle->list != NULL)
        closedir(handle->list);
    if (!handle->is_kept)
        close(handle->file);
    free(handle);
    return EFI_SUCCESS;
}

// The next file or folder whose name is text; false at the end.
static bool next_name(struct handle *handle, struct stat *ret_about, const char **ret_name) {
    for (struct dirent *entry; (entry = readdir(handle->list)) != NULL;) {
        const char *name = entry->d_name;
        bool is_text = utf8_find_invalid(name, strlen(name)) == strlen(name);
        if (name[0] == '.' || !is_text || fstatat(handle->file, name, ret_about, 0) != 0)
            continue;
        *ret_name = name;
        if (S_ISREG(ret_about->st_mode) || S_ISDIR(ret_about->st_mode))
            return true;
    }
    return false;
}

// UEFI 2.9, 13.5: one entry for each Read, none at the end.
static EFI_STATUS read_folder(struct handle *handle, UINTN *bytes, void *buffer) {
    struct stat about;
    const char *name;
    EFI_FILE_INFO info = {0};
    uint16_t units[NAME_MAX];
    if (handle->list == NULL)
        handle->list = fdopendir(openat(handle->file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (handle->list == NULL) {
        machine_fail("read", strerror(errno));
        return EFI_DEVICE_ERROR;
    }
    UINTN capacity = *bytes;
    *bytes = 0;
    if (!next_name(handle, &about, &name))
        return EFI_SUCCESS;
    uint64_t count = utf16_from_utf8(name, strlen(name), units);
    *bytes = offsetof(EFI_FILE_INFO, FileName) + (count + 1) * sizeof(CHAR16);
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    info.Size = *bytes;
    info.FileSize = (uint64_t)about.st_size;
    info.Attribute = S_ISDIR(about.st_mode) ? EFI_FILE_DIRECTORY : 0;
    memset(buffer, 0, *bytes);
    memcpy(buffer, &info, offsetof(EFI_FILE_INFO, FileName));
    memcpy((char *)buffer + offsetof(EFI_FILE_INFO, FileName), units, count * sizeof(CHAR16));
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI read_file(EFI_FILE *self, UINTN *bytes, void *buffer) {
    struct handle *handle = (struct handle *)self;
    if (handle->is_folder)
        return read_folder(handle, bytes, buffer);
    if (handle->position > INT64_MAX)
        return EFI_DEVICE_ERROR;
    ssize_t got = pread(handle->file, buffer, *bytes, (off_t)handle->position);
    if (got < 0) {
        machine_fail("read", strerror(errno));
        return EFI_DEVICE_ERROR;
    }
    *bytes = (UINTN)got;
    handle->position += (UINTN)got;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_position(EFI_FILE *self, UINT64 position) {
    struct handle *handle = (struct handle *)self;
    if (handle->is_folder)
        return EFI_UNSUPPORTED;
    handle->position = position == UINT64_MAX ? handle->bytes : position;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_position(EFI_FILE *self, UINT64 *ret_position) {
    *ret_position = ((struct handle *)self)->position;
    return EFI_SUCCESS;
}

// Without the name, which nobody asks for.
static EFI_STATUS EFIAPI get_info(EFI_FILE *self, EFI_GUID *kind, UINTN *bytes, void *ret_info) {
    const struct handle *handle = (struct handle *)self;
    const EFI_FILE_INFO info = {
        .Size = sizeof(info),
        .FileSize = handle->bytes,
        .Attribute = handle->is_folder ? EFI_FILE_DIRECTORY : 0,
    };
    EFI_GUID file_info = EFI_FILE_INFO_ID;
    if (memcmp(kind, &file_info, sizeof(file_info)) != 0)
        return EFI_UNSUPPORTED;
    if (*bytes < sizeof(info))
        return EFI_BUFFER_TOO_SMALL;
    memcpy(ret_info, &info, sizeof(info));
    *bytes = sizeof(info);
    return EFI_SUCCESS;
}

// A handle for the open file, which it closes unless that is kept.
static EFI_STATUS make_handle(int file, bool is_kept, EFI_FILE **ret_file) {
    struct stat about;
    struct handle *handle = malloc(sizeof(*handle));
    if (handle == NULL || fstat(file, &about) != 0)
        abort(); // no memory, or not open
    *handle = (struct handle){
        .protocol = {.Revision = EFI_FILE_PROTOCOL_REVISION,
                     .Close = close_file,
                     .Read = read_file,
                     .SetPosition = set_position,
                     .GetPosition = get_position,
                     .GetInfo = get_info},
        .file = file,
        .is_kept = is_kept,
        .is_folder = S_ISDIR(about.st_mode),
        .bytes = (uint64_t)about.st_size,
    };
    *ret_file = &handle->protocol;
    return EFI_SUCCESS;
}

EFI_STATUS folder_open_file(int file, EFI_FILE **ret_file) {
    return make_handle(file, true, ret_file);
}

// ---- Names

// The name that the folder has for `name`: the same one, or else one that differs by case. False:
// there is none.
static bool find_name(int folder, const char *name, char ret_name[NAME_MAX + 1]) {
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again < 0 ? NULL : fdopendir(again);
    bool found = false, is_same = false;
    if (list == NULL) {
        if (errno != ENOTDIR)
            machine_fail(name, strerror(errno));
        return false;
    }
    for (struct dirent *entry; !is_same && (entry = readdir(list)) != NULL;) {
        is_same = strcmp(entry->d_name, name) == 0;
        if (!is_same && (found || strcasecmp(entry->d_name, name) != 0))
            continue;
        strcpy(ret_name, entry->d_name);
        found = true;
    }
    closedir(list);
    return found;
}

static EFI_STATUS fail_open(const char *name) {
    if (errno == ENOENT || errno == ENOTDIR)
        return EFI_NOT_FOUND;
    machine_fail(name, strerror(errno));
    return EFI_ACCESS_DENIED;
}

// Goes from `*folder`, which it closes, to what has the name there.
static EFI_STATUS step(int *folder, const char *name) {
    char found[NAME_MAX + 1];
    struct stat about;
    EFI_STATUS status = EFI_NOT_FOUND;
    int next = -1;
    if (find_name(*folder, name, found)) {
        // A pipe or a device must not be waited for.
        next = openat(*folder, found, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        status = next < 0 ? fail_open(found) : EFI_SUCCESS;
    }
    close(*folder);
    *folder = next;
    if (!EFI_ERROR(status) &&
        (fstat(next, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))) {
        machine_fail(found, "neither a file nor a folder");
        close(next);
        status = EFI_DEVICE_ERROR;
    }
    return status;
}

// Cuts `path` at its separators, which become NULs. "." and ".." are followed here, so that no path
// leads out of the folder.
static size_t cut_names(char *path, const char *names[NAMES_MAX]) {
    size_t count = 0;
    for (char *name = strtok(path, "\\"); name != NULL; name = strtok(NULL, "\\")) {
        if (strcmp(name, "..") == 0)
            count -= count != 0;
        else if (strcmp(name, ".") != 0)
            names[count++] = name;
    }
    return count;
}

EFI_STATUS folder_open(int folder, const uint16_t *path, EFI_FILE **ret_file) {
    char text[PATH_BYTES];
    const char *names[NAMES_MAX];
    size_t units = 0;
    while (path[units] != 0)
        units++;
    if (units > PATH_UNITS_MAX)
        return EFI_INVALID_PARAMETER;
    if (folder < 0)
        return EFI_NOT_FOUND;
    (void)utf8_from_utf16(path, units, text);
    size_t count = cut_names(text, names);
    int at = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return fail_open(".");
    for (size_t i = 0; i < count; i++) {
        EFI_STATUS status = step(&at, names[i]);
        if (EFI_ERROR(status))
            return status;
    }
    return make_handle(at, false, ret_file);
}
