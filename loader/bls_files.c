// See bls_files.h.
#include "loader/bls_files.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/bls.h"
#include "loader/config_text.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/listing.h"
#include "loader/log.h"
#include "loader/protocol/pe.h"

#define TEXTS_FOLDER  "/loader/entries/"
#define IMAGES_FOLDER "/EFI/Linux/"

enum {
    SECTION_BYTES_MAX = 16384, // of text
    CAPACITY_FIRST = 32,       // of the list
};

static struct bls_entry *found; // in pages; null: none yet
static uint32_t found_count;
static uint32_t found_capacity;
static struct file file;
static bool has_no_room; // for pages: that ends the search, whatever else does not

// Pages, or null: then the failure is recorded.
static void *alloc(uint64_t bytes) {
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (!EFI_ERROR(status))
        return firmware_pointer(start);
    has_no_room = true;
    (void)log_fail(status, "bls: no room for %lu bytes (%s)", bytes, log_status_text(status));
    return NULL;
}

// Room for one more in the list, which doubles. False: the failure is recorded.
static bool make_room(void) {
    uint32_t capacity = found_capacity != 0 ? 2 * found_capacity : CAPACITY_FIRST;
    if (found_count < found_capacity)
        return true;
    struct bls_entry *more = alloc(capacity * sizeof(*found));
    if (more == NULL)
        return false;
    if (found != NULL) {
        memcpy(more, found, found_count * sizeof(*found));
        firmware_free_pages((uintptr_t)found);
    }
    found = more;
    found_capacity = capacity;
    return true;
}

// The pages of one file: its path, its text, and what comes of it.
struct place {
    struct config_text path;
    char *text;
    uint64_t text_bytes;
    void *room;
};

static EFI_STATUS alloc_place(struct config_text folder, struct config_text name,
                              uint64_t text_bytes, struct place *ret_place) {
    uint64_t path_bytes = folder.bytes + name.bytes;
    uint64_t room = align_up(path_bytes + text_bytes, 8);
    char *start = alloc(room + bls_room(path_bytes, text_bytes));
    if (start == NULL)
        return EFI_OUT_OF_RESOURCES;
    memcpy(start, folder.text, folder.bytes);
    memcpy(start + folder.bytes, name.text, name.bytes);
    *ret_place = (struct place){{start, path_bytes}, start + path_bytes, text_bytes, start + room};
    return EFI_SUCCESS;
}

// ---- Type 1

static void log_entry(const struct bls_entry *entry) {
    if (entry->ignored_line != 0)
        log_line(CONFIG_LOG_INFO, "%.*s: line %u: key '%.*s' does not count",
                 (int)entry->file.bytes, entry->file.text, entry->ignored_line,
                 (int)min_u64(entry->ignored.bytes, 80), entry->ignored.text);
}

static EFI_STATUS parse_text(const struct place *place) {
    char text[200];
    struct bls_error error;
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    const struct config_text contents = {place->text, place->text_bytes};
    if (bls_parse(place->path, contents, place->room, &found[found_count], &error) == BLS_OK) {
        log_entry(&found[found_count++]);
        return EFI_SUCCESS;
    }
    bls_error_print(&sink, &error);
    return log_fail(EFI_LOAD_ERROR, "%s: %s; it is no entry", file.name, text);
}

static EFI_STATUS read_text(const struct place *place) {
    EFI_STATUS status = file_open(&file, place->path, "");
    if (status == EFI_NOT_FOUND)
        return log_fail(status, "%s: not found", file.name);
    if (EFI_ERROR(status))
        return status;
    if (file.bytes == place->text_bytes)
        status = file_read(&file, 0, place->text, file.bytes);
    else
        status =
            log_fail(EFI_VOLUME_CORRUPTED, "%s: the firmware gives two sizes, %lu and %lu bytes",
                     file.name, place->text_bytes, file.bytes);
    file_close(&file);
    return EFI_ERROR(status) ? status : parse_text(place);
}

static EFI_STATUS add_text(const struct listing_entry *entry) {
    struct place place;
    if (entry->bytes > BLS_TEXT_MAX_BYTES)
        return log_fail(EFI_BAD_BUFFER_SIZE,
                        TEXTS_FOLDER "%s: %lu bytes, more than %d; it is no entry", entry->storage,
                        entry->bytes, BLS_TEXT_MAX_BYTES);
    EFI_STATUS status =
        alloc_place(config_text_of(TEXTS_FOLDER), entry->name, entry->bytes, &place);
    if (EFI_ERROR(status))
        return status;
    status = read_text(&place);
    if (EFI_ERROR(status))
        firmware_free_pages((uintptr_t)place.path.text);
    return status;
}

// ---- Type 2

// Where in the open file a section with text is: no bytes if it has none.
struct section {
    uint64_t offset;
    uint64_t bytes;
};

static struct section find_section(const char *head, uint64_t count, const char *name) {
    struct section section;
    bool is_there = pe_find_section(head, count, name, &section.offset, &section.bytes) &&
                    section.offset <= file.bytes && section.bytes <= file.bytes - section.offset &&
                    section.bytes <= SECTION_BYTES_MAX;
    return is_there ? section : (struct section){0};
}

// An image's command line may be of several lines, which the menu shows as one.
static void blank_controls(char *text, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at++)
        if ((unsigned char)text[at] < ' ' || text[at] == 0x7f)
            text[at] = ' ';
}

static EFI_STATUS read_sections(const struct section *osrel, const struct section *cmdline,
                                const struct place *place) {
    char *text = place->text + osrel->bytes;
    EFI_STATUS status = file_read(&file, osrel->offset, place->text, osrel->bytes);
    if (!EFI_ERROR(status))
        status = file_read(&file, cmdline->offset, text, cmdline->bytes);
    if (EFI_ERROR(status))
        return status;
    blank_controls(text, cmdline->bytes);
    const struct bls_image image = {
        .path = place->path,
        .osrel = {place->text, osrel->bytes},
        .cmdline = {text, cmdline->bytes},
    };
    bls_describe_image(&image, place->room, &found[found_count++]);
    return EFI_SUCCESS;
}

static EFI_STATUS read_image(const struct listing_entry *entry) {
    static char head[PE_HEAD_BYTES];
    struct place place;
    uint64_t count = min_u64(file.bytes, sizeof(head));
    EFI_STATUS status = file_read(&file, 0, head, count);
    if (EFI_ERROR(status))
        return status;
    const struct section osrel = find_section(head, count, ".osrel");
    const struct section cmdline = find_section(head, count, ".cmdline");
    status = alloc_place(config_text_of(IMAGES_FOLDER), entry->name, osrel.bytes + cmdline.bytes,
                         &place);
    if (EFI_ERROR(status))
        return status;
    status = read_sections(&osrel, &cmdline, &place);
    if (EFI_ERROR(status))
        firmware_free_pages((uintptr_t)place.path.text);
    return status;
}

static EFI_STATUS add_image(const struct listing_entry *entry) {
    static char path[sizeof(IMAGES_FOLDER) + LISTING_NAME_BYTES];
    struct fmt_buffer buffer = fmt_buffer_make(path, sizeof(path));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, IMAGES_FOLDER "%s", entry->storage);
    EFI_STATUS status = file_open(&file, (struct config_text){path, buffer.used}, "");
    if (status == EFI_NOT_FOUND)
        return log_fail(status, "%s: not found", file.name);
    if (EFI_ERROR(status))
        return status;
    status = read_image(entry);
    file_close(&file);
    return status;
}

// ---- Folders

struct kind {
    const CHAR16 *folder;
    const char *shown;
    bool (*is_name)(struct config_text name);
    EFI_STATUS (*add)(const struct listing_entry *entry);
};

// Whatever is wrong with one file is no fault of the others.
static EFI_STATUS add_folder(const struct kind *kind) {
    static struct listing_entry entry;
    struct listing listing;
    EFI_STATUS end;
    if (!listing_open(&listing, kind->folder))
        return EFI_SUCCESS;
    while (!has_no_room && listing_next(&listing, &entry, &end)) {
        if (entry.is_folder || !kind->is_name(entry.name))
            continue;
        if (make_room() && EFI_ERROR(kind->add(&entry)) && !has_no_room)
            log_forgive(CONFIG_LOG_INFO);
    }
    listing_close(&listing);
    if (!has_no_room && end == EFI_ABORTED)
        log_line(CONFIG_LOG_INFO, "%s: of more than %d names what comes behind is no entry",
                 kind->shown, LISTING_NAMES_MAX);
    else if (!has_no_room && EFI_ERROR(end))
        log_line(CONFIG_LOG_INFO,
                 "%s: cannot be listed to its end (%s); what comes behind is no entry", kind->shown,
                 log_status_text(end));
    return has_no_room ? EFI_OUT_OF_RESOURCES : EFI_SUCCESS;
}

// ---- The list

// Sections first; a name that one of them has is theirs.
static EFI_STATUS merge(struct config_file *config) {
    uint32_t count = config->entry_count;
    if (found_count == 0)
        return EFI_SUCCESS;
    struct config_entry *entries = alloc(((uint64_t)count + found_count) * sizeof(*entries));
    if (entries == NULL)
        return EFI_OUT_OF_RESOURCES;
    memcpy(entries, config->entries, count * sizeof(*entries));
    config->entries = entries;
    for (uint32_t i = 0; i < found_count; i++) {
        const struct bls_entry *entry = &found[i];
        if (config_find_entry(config, entry->name) != NULL) {
            log_line(CONFIG_LOG_INFO, "%.*s: there is another entry '%.*s'", (int)entry->file.bytes,
                     entry->file.text, (int)entry->name.bytes, entry->name.text);
            continue;
        }
        entries[count++] =
            (struct config_entry){.name = entry->name, .title = entry->title, .bls = entry};
        config->entry_count = count;
    }
    return EFI_SUCCESS;
}

static void find_default(struct config_file *config) {
    const struct config_text name = config->default_name;
    if (name.text == NULL)
        return;
    const struct config_entry *entry = config_find_entry(config, name);
    uint32_t found_at = entry != NULL ? (uint32_t)(entry - config->entries) : 0;
    while (entry == NULL && found_at < config->entry_count &&
           !bls_matches(name, config->entries[found_at].name))
        found_at++;
    if (found_at < config->entry_count)
        config->default_entry = found_at;
    else
        log_line(CONFIG_LOG_INFO, "the default, entry %.*s, is not there: the first is",
                 (int)name.bytes, name.text);
}

EFI_STATUS bls_files_add(struct config_read *read) {
    static const struct kind kinds[] = {
        {L"\\loader\\entries", TEXTS_FOLDER, bls_is_text_name, add_text},
        {L"\\EFI\\Linux", IMAGES_FOLDER, bls_is_image_name, add_image},
    };
    struct config_file *config = &read->file;
    if (!config->has_bls)
        return EFI_SUCCESS;
    found = NULL;
    found_count = found_capacity = 0;
    has_no_room = false;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        EFI_STATUS status = add_folder(&kinds[i]);
        if (EFI_ERROR(status))
            return status;
    }
    bls_sort(found, found_count);
    EFI_STATUS status = merge(config);
    if (EFI_ERROR(status))
        return status;
    find_default(config);
    log_line(CONFIG_LOG_DEBUG, "bls: %u entries", found_count);
    return EFI_SUCCESS;
}
