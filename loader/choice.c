// See choice.h.
#include "loader/choice.h"

#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "loader/bls.h"
#include "loader/bls_files.h"
#include "loader/cmdline.h"
#include "loader/config_text.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/menu_console.h"
#include "loader/timeline.h"

static const char prefix[] = "entry=";

// What an entry is chosen from, and what has been chosen.
struct choosing {
    const struct config_read *read;
    struct config_text cmdline; // of the load options, then of what was edited
    bool is_edited;             // and may be empty; else an empty one is the entry's own
    const struct config_entry *entry;
    struct choice *choice;
};

// The name ends at the next quote, if it begins with one that is closed, else at the first blank.
static struct config_text cut_word(struct config_text *rest) {
    uint64_t blank = min_u64(config_find(*rest, ' '), config_find(*rest, '\t'));
    uint64_t start = rest->bytes != 0 && rest->text[0] == '"';
    uint64_t quote = start + config_find(config_cut(*rest, start, rest->bytes), '"');
    bool is_quoted = start != 0 && quote != rest->bytes;
    struct config_text word = is_quoted ? config_cut(*rest, 1, quote) : config_cut(*rest, 0, blank);
    *rest = config_trim(config_cut(*rest, is_quoted ? quote + 1 : blank, rest->bytes));
    return word;
}

// Cuts `entry=NAME` from the beginning of the load options. False: there is none.
static bool cut_name(struct config_text *options, struct config_text *ret_name) {
    uint64_t length = sizeof(prefix) - 1;
    if (options->bytes < length || !config_text_is(config_cut(*options, 0, length), prefix))
        return false;
    *options = config_cut(*options, length, options->bytes);
    *ret_name = cut_word(options);
    return true;
}

// ---- The menu

// The command line of an entry for which nobody gives one. An image may have it in itself.
static struct config_text own_cmdline(const struct choosing *choosing,
                                      const struct config_entry *entry) {
    const struct config_read *read = choosing->read;
    const struct config config = config_of_entry(&read->file, entry, read->room);
    bool is_embedded = entry->bls != NULL && entry->bls->embedded.bytes != 0;
    return is_embedded ? entry->bls->embedded : config.cmdline;
}

// What the menu shows, in pages that are freed after it.
static EFI_STATUS make_items(const struct choosing *choosing, struct menu_item **ret_items) {
    uint64_t start;
    const struct config_file *file = &choosing->read->file;
    uint64_t bytes = file->entry_count * sizeof(**ret_items);
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "menu: no room for %lu bytes (%s)", bytes, log_status_text(status));
    struct menu_item *items = firmware_pointer(start);
    for (uint32_t i = 0; i < file->entry_count; i++) {
        const struct config_entry *entry = &file->entries[i];
        bool is_given = choosing->cmdline.bytes != 0;
        items[i] = (struct menu_item){
            .title = entry->title,
            .cmdline = is_given ? choosing->cmdline : own_cmdline(choosing, entry),
        };
    }
    *ret_items = items;
    return EFI_SUCCESS;
}

// A command line that nobody has edited is not given: an image measures, and some refuse, what it
// is given in place of its own.
static void take_answer(struct choosing *choosing, const struct menu_item *items,
                        const struct menu_answer *answer) {
    struct choice *choice = choosing->choice;
    choosing->entry = &choosing->read->file.entries[answer->selected];
    choosing->is_edited = !config_is_same(answer->cmdline, items[answer->selected].cmdline);
    if (choosing->is_edited)
        choosing->cmdline = answer->cmdline;
    choice->menu_ms = answer->waited_ms;
    choice->by = answer->end == MENU_TIMED_OUT ? SLIPWAY_CHOICE_BY_TIMEOUT : SLIPWAY_CHOICE_BY_MENU;
    choice->is_left = answer->end == MENU_LEFT;
}

// A stage of its own: the time that people take is not the loader's.
static EFI_STATUS ask(struct choosing *choosing) {
    struct menu_answer answer;
    struct menu_item *items = NULL;
    const struct config_file *file = &choosing->read->file;
    EFI_STATUS status = make_items(choosing, &items);
    if (EFI_ERROR(status))
        return status;
    const struct menu_request request = {
        .items = items,
        .count = file->entry_count,
        .selected = file->default_entry,
        .timeout = file->timeout,
    };
    timeline_begin("menu");
    status = menu_run(&request, &answer);
    timeline_end(0);
    if (!EFI_ERROR(status))
        take_answer(choosing, items, &answer);
    firmware_free_pages((uintptr_t)items);
    return status;
}

// ---- The choice

static EFI_STATUS choose(struct choosing *choosing) {
    const struct config_file *file = &choosing->read->file;
    struct config_text name;
    bool has_names = file->entry_count != 0 || file->has_bls;
    if (has_names && cut_name(&choosing->cmdline, &name)) {
        choosing->choice->by = SLIPWAY_CHOICE_BY_LOAD_OPTIONS;
        choosing->entry = config_find_entry(file, name);
        if (choosing->entry == NULL)
            return config_file_fail_entry(choosing->read, "load options", name);
        return EFI_SUCCESS;
    }
    if (file->entry_count == 0)
        return EFI_SUCCESS;
    choosing->entry = &file->entries[file->default_entry];
    choosing->choice->by = SLIPWAY_CHOICE_BY_DEFAULT;
    return file->entry_count > 1 && menu_is_wanted(file->timeout) ? ask(choosing) : EFI_SUCCESS;
}

static void log_choice(const struct choice *choice) {
    static const char *const texts[] = {
        [SLIPWAY_CHOICE_BY_DEFAULT] = "the default",
        [SLIPWAY_CHOICE_BY_LOAD_OPTIONS] = "load options",
        [SLIPWAY_CHOICE_BY_MENU] = "the menu",
        [SLIPWAY_CHOICE_BY_TIMEOUT] = "time-out",
    };
    if (choice->is_left)
        log_line(CONFIG_LOG_INFO, "menu: left after %u ms", choice->menu_ms);
    else if (choice->menu_ms != 0)
        log_line(CONFIG_LOG_INFO, "entry %.*s: by %s, after %u ms", (int)choice->entry.bytes,
                 choice->entry.text, texts[choice->by], choice->menu_ms);
    else if (choice->by != SLIPWAY_CHOICE_NONE)
        log_line(CONFIG_LOG_INFO, "entry %.*s: by %s", (int)choice->entry.bytes, choice->entry.text,
                 texts[choice->by]);
}

static void make_config(const struct choosing *choosing, struct config *ret_config) {
    const struct config_read *read = choosing->read;
    *ret_config = config_of_entry(&read->file, choosing->entry, read->room);
    if (choosing->choice->by != SLIPWAY_CHOICE_NONE && choosing->entry->bls != NULL)
        config_file_turn_to(choosing->entry->bls->file);
    log_set_level(ret_config->log);
    if (choosing->cmdline.bytes != 0 || choosing->is_edited)
        ret_config->cmdline = choosing->cmdline;
}

// Much firmware takes its time to list a folder.
static EFI_STATUS add_entries(struct config_read *read) {
    if (!read->file.has_bls)
        return EFI_SUCCESS;
    timeline_begin("entries");
    EFI_STATUS status = bls_files_add(read);
    timeline_end(0);
    return status;
}

EFI_STATUS choice_make(struct config_read *read, const struct boot_source *source,
                       struct config *ret_config, struct choice *ret_choice) {
    struct choosing choosing = {.read = read, .choice = ret_choice};
    *ret_choice = (struct choice){.entry = config_text_of("")};
    log_set_level(read->file.config.log);
    config_file_log();
    EFI_STATUS status = add_entries(read);
    if (!EFI_ERROR(status))
        status = cmdline_read(source, &choosing.cmdline);
    if (!EFI_ERROR(status))
        status = choose(&choosing);
    if (EFI_ERROR(status))
        return status;
    if (ret_choice->by != SLIPWAY_CHOICE_NONE)
        ret_choice->entry = choosing.entry->name;
    log_choice(ret_choice);
    if (!ret_choice->is_left)
        make_config(&choosing, ret_config);
    return EFI_SUCCESS;
}
