// See check.h.
#include "loader/host/check.h"

#include "common/base/arith.h"
#include "loader/bls.h"
#include "loader/bls_files.h"
#include "loader/config_file.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/host/machine.h"
#include "loader/kaslr.h"
#include "loader/log.h"
#include "loader/protocol/protocol.h"
#include "loader/volume_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Where the installed loader may lie: beside it a config counts before that in the root.
static const struct place {
    const char *loader;
    const char *config; // as a path on the volume
    const char *shown;
} places[] = {
    {"\\EFI\\BOOT\\BOOTX64.EFI", "\\EFI\\BOOT\\slipway.conf", "/EFI/BOOT/slipway.conf"},
    {"\\EFI\\slipway\\BOOTX64.EFI", "\\EFI\\slipway\\slipway.conf", "/EFI/slipway/slipway.conf"},
    {"\\BOOTX64.EFI", "\\slipway.conf", "/slipway.conf"},
};

// What the loader calls a kernel that no config names: in its place a message has the host's name.
#define UNNAMED "kernel"

static void give_up(struct check *check, const char *what, const char *cause) {
    check->verdict = CHECK_UNKNOWN;
    snprintf(check->reason, sizeof(check->reason), "%s: %s", what, cause);
}

// Takes over what the loader has recorded, unless the host is to blame.
static void refuse(struct check *check) {
    static const char unnamed[] = UNNAMED ": ";
    const char *reason = log_failure();
    if (machine_failure()[0] != '\0') {
        check->verdict = CHECK_UNKNOWN;
        snprintf(check->reason, sizeof(check->reason), "%s", machine_failure());
        return;
    }
    check->verdict = CHECK_REFUSED;
    bool is_unnamed =
        check->request->folder == NULL && strncmp(reason, unnamed, strlen(unnamed)) == 0;
    snprintf(check->reason, sizeof(check->reason), "%.4000s%s%s",
             is_unnamed ? check->request->kernel : "", is_unnamed ? ": " : "",
             is_unnamed ? reason + strlen(unnamed) : reason);
}

// A pipe or a device must not be waited for.
static int open_host(struct check *check, const char *path, bool is_folder) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &about) != 0) {
        give_up(check, path, strerror(errno));
    } else if (is_folder ? !S_ISDIR(about.st_mode) : !S_ISREG(about.st_mode)) {
        give_up(check, path, is_folder ? "not a folder" : "not a file");
        close(file);
        file = -1;
    }
    return file;
}

// The entry that is asked for. False: there is none of this name.
static bool find_entry(struct check *check, const struct config_read *read) {
    const struct config_file *file = &read->file;
    const char *name = check->request->entry;
    check->entry_count = file->entry_count;
    if (name != NULL) {
        const struct config_text wanted = {name, strlen(name)};
        check->entry = config_find_entry(file, wanted);
        if (check->entry == NULL)
            (void)config_file_fail_entry(read, "--entry", wanted);
        return check->entry != NULL;
    }
    if (file->entry_count != 0)
        check->entry = &file->entries[check->request->entry_index];
    return true;
}

static bool read_entry(struct check *check, struct config_read *read) {
    size_t bytes;
    if (EFI_ERROR(bls_files_add(read)) || !find_entry(check, read))
        return false;
    check->notes = log_text(&bytes);
    check->config = config_of_entry(&read->file, check->entry, read->room);
    if (check->entry != NULL && check->entry->bls != NULL)
        config_file_turn_to(check->entry->bls->file);
    return true;
}

static bool read_config(struct check *check) {
    static struct boot_source source;
    const struct place *place = places;
    struct config_read read;
    while (place + 1 < places + ARRAY_LEN(places) && !machine_has(place->config))
        place++;
    source.path_bytes = strlen(place->loader);
    memcpy(source.path, place->loader, source.path_bytes);
    if (EFI_ERROR(config_file_read(&source, &read)) || !read_entry(check, &read))
        return false;
    check->config_path = machine_has(place->config) ? place->shown : NULL;
    check->has_config = true;
    return true;
}

static bool read_image(struct check *check, const struct protocol_file *opened) {
    check->has_image = !EFI_ERROR(image_load(&check->config, opened, &check->image));
    return check->has_image;
}

static bool read_kernel(struct check *check, struct protocol_file *opened) {
    if (EFI_ERROR(kernel_load(&check->config, opened, &check->kernel)))
        return false;
    const struct elf_image *elf = &check->kernel.elf;
    const struct elf_memory memory = {.pieces = check->kernel.memory,
                                      .count = check->kernel.piece_count};
    check->has_kernel = true;
    check->relocations = relocations_count(elf, &memory);
    check->places = kaslr_image_places(&check->kernel);
    for (unsigned i = 0; i < 4; i++)
        check->tables[i / 2][i % 2] =
            tables_count(check->request->machine.ram_bytes, &check->kernel, 4 + i / 2, i % 2 != 0);
    return true;
}

static bool read_kernel_file(struct check *check) {
    static struct protocol_file opened;
    if (EFI_ERROR(protocol_open(&check->config, &opened)))
        return false;
    return protocol_is_image(check->config.protocol) ? read_image(check, &opened)
                                                     : read_kernel(check, &opened);
}

static bool is_elsewhere(const struct config_module *module) {
    struct volume_name name;
    struct config_text rest;
    return volume_name_parse(module->path, &name, &rest) == VOLUME_NAME_OK &&
           name.kind != VOLUME_OWN;
}

// Those of other volumes are left out of what the loader is told.
static bool read_modules(struct check *check) {
    struct config seen = check->config;
    uint64_t bytes;
    uint32_t count = check->config.module_count;
    struct config_module *list = calloc(count + UINT64_C(1), sizeof(*list));
    check->modules = calloc(count + UINT64_C(1), sizeof(*check->modules));
    if (list == NULL || check->modules == NULL)
        abort();
    seen.modules = list;
    seen.module_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        check->modules[i].named = &check->config.modules[i];
        check->modules[i].is_seen = !is_elsewhere(&check->config.modules[i]);
        if (check->modules[i].is_seen)
            list[seen.module_count++] = check->config.modules[i];
    }
    EFI_STATUS status = modules_load(&seen, &bytes);
    for (uint32_t i = 0, at = 0; i < count && !EFI_ERROR(status); i++) {
        struct check_module *module = &check->modules[i];
        if (module->is_seen) {
            module->module = modules_loaded()[at++];
            module->module.config = module->named;
        }
    }
    check->module_count = EFI_ERROR(status) ? 0 : count;
    free(list);
    return !EFI_ERROR(status);
}

static bool run(struct check *check, int file) {
    if (check->request->folder == NULL) {
        check->config = config_default();
        check->config.kernel = (struct config_text){UNNAMED, strlen(UNNAMED)};
    } else if (!read_config(check)) {
        return false;
    }
    // The kernel's file may be on the host alone: the config then says the rest.
    machine_put_file(file);
    bool is_read = read_kernel_file(check);
    machine_put_file(-1);
    if (!is_read || !read_modules(check))
        return false;
    if (check->has_image)
        return true;
    check->has_space = tables_choose_space(&check->request->machine, &check->config, &check->kernel,
                                           &check->space);
    return check->has_space;
}

void check_run(const struct check_request *request, struct check *ret_check) {
    *ret_check = (struct check){.request = request};
    int folder = -1, file = -1;
    if (request->folder != NULL)
        folder = open_host(ret_check, request->folder, true);
    if (request->kernel != NULL && ret_check->verdict == CHECK_BOOTS)
        file = open_host(ret_check, request->kernel, false);
    const struct machine_setup setup = {request->machine.ram_bytes, folder};
    if (ret_check->verdict == CHECK_BOOTS && (!machine_start(&setup) || !run(ret_check, file)))
        refuse(ret_check);
    if (file >= 0)
        close(file);
    if (folder >= 0)
        close(folder);
}

void check_free(struct check *check) {
    if (check->request != NULL)
        machine_stop();
    free(check->modules);
    *check = (struct check){0};
}
