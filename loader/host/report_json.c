// For programs: see report.h. RFC 8259.
#include "loader/host/report.h"

#include "common/hash/sha256.h"
#include "loader/utf.h"

#include <inttypes.h>
#include <string.h>

// A place where a member or an element comes next.
struct json {
    FILE *out;
    bool needs_comma;
};

static void put_bytes(FILE *out, const char *text, uint64_t bytes) {
    fputc('"', out);
    while (bytes != 0) {
        uint32_t code_point;
        unsigned length = utf8_decode(text, bytes, &code_point);
        if (length == 0) { // a name of the host's may be anything
            fputs("\\ufffd", out);
            length = 1;
        } else if (code_point < 0x20 || code_point == '"' || code_point == '\\') {
            fprintf(out, "\\u%04" PRIx32, code_point);
        } else {
            fwrite(text, 1, length, out);
        }
        text += length;
        bytes -= length;
    }
    fputc('"', out);
}

// What comes before a value. `key` is null in a list.
static void put_key(struct json *json, const char *key) {
    fputs(json->needs_comma ? ", " : "", json->out);
    json->needs_comma = true;
    if (key != NULL)
        fprintf(json->out, "\"%s\": ", key);
}

static void put_open(struct json *json, const char *key, char bracket) {
    put_key(json, key);
    fputc(bracket, json->out);
    json->needs_comma = false;
}

static void put_close(struct json *json, char bracket) {
    fputc(bracket, json->out);
    json->needs_comma = true;
}

static void put_null(struct json *json, const char *key) {
    put_key(json, key);
    fputs("null", json->out);
}

static void put_bool(struct json *json, const char *key, bool value) {
    put_key(json, key);
    fputs(value ? "true" : "false", json->out);
}

static void put_number(struct json *json, const char *key, uint64_t value) {
    put_key(json, key);
    fprintf(json->out, "%" PRIu64, value);
}

static void put_address(struct json *json, const char *key, uint64_t value) {
    put_key(json, key);
    fprintf(json->out, "\"0x%" PRIx64 "\"", value);
}

static void put_text(struct json *json, const char *key, struct config_text text) {
    put_key(json, key);
    put_bytes(json->out, text.text, text.bytes);
}

// Null for null.
static void put_string(struct json *json, const char *key, const char *text) {
    if (text == NULL)
        put_null(json, key);
    else
        put_text(json, key, (struct config_text){text, strlen(text)});
}

static void put_digest(struct json *json, const char *key, const uint8_t *digest) {
    put_key(json, key);
    fputc('"', json->out);
    for (unsigned i = 0; i < SHA256_BYTES; i++)
        fprintf(json->out, "%02x", digest[i]);
    fputc('"', json->out);
}

static void put_modules(struct json *json, const struct check *check) {
    put_open(json, "modules", '[');
    for (uint32_t i = 0; i < check->module_count; i++) {
        const struct check_module *module = &check->modules[i];
        put_open(json, NULL, '{');
        put_text(json, "path", module->named->path);
        put_text(json, "cmdline", module->named->cmdline);
        put_bool(json, "seen", module->is_seen);
        if (module->is_seen)
            put_number(json, "bytes", module->module.bytes);
        else
            put_null(json, "bytes");
        if (module->is_seen && module->module.has_digest)
            put_digest(json, "sha256", module->module.digest);
        else
            put_null(json, "sha256");
        put_close(json, '}');
    }
    put_close(json, ']');
}

static void put_config(struct json *json, const struct check *check) {
    if (!check->has_config) {
        put_null(json, "config");
        return;
    }
    put_open(json, "config", '{');
    put_string(json, "path", check->config_path);
    put_text(json, "kernel", check->config.kernel);
    put_text(json, "cmdline", check->config.cmdline);
    put_modules(json, check);
    put_close(json, '}');
}

static void put_rights(struct json *json, bool write, bool execute) {
    put_bool(json, "write", write);
    put_bool(json, "execute", execute);
}

static void put_segments(struct json *json, const struct elf_image *elf) {
    put_open(json, "segments", '[');
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];
        put_open(json, NULL, '{');
        put_number(json, "index", segment->phdr);
        put_address(json, "start", segment->virt);
        put_address(json, "end", segment->virt + segment->mem_bytes);
        put_number(json, "file_offset", segment->file_offset);
        put_number(json, "file_bytes", segment->file_bytes);
        put_number(json, "memory_bytes", segment->mem_bytes);
        put_rights(json, segment->write, segment->execute);
        put_close(json, '}');
    }
    put_close(json, ']');
    put_open(json, "pages", '[');
    for (uint32_t i = 0; i < elf->run_count; i++) {
        const struct elf_run *run = &elf->runs[i];
        put_open(json, NULL, '{');
        put_address(json, "start", run->start);
        put_address(json, "end", run->end);
        put_rights(json, run->rights & SLIPWAY_RIGHT_WRITE, run->rights & SLIPWAY_RIGHT_EXECUTE);
        put_close(json, '}');
    }
    put_close(json, ']');
}

static void put_tls(struct json *json, const struct elf_tls *tls) {
    if (tls->mem_bytes == 0) {
        put_null(json, "thread_local");
        return;
    }
    put_open(json, "thread_local", '{');
    put_address(json, "start", tls->virt);
    put_number(json, "file_bytes", tls->file_bytes);
    put_number(json, "memory_bytes", tls->mem_bytes);
    put_number(json, "align", tls->align);
    put_close(json, '}');
}

static void put_relocations(struct json *json, const struct relocations *counts) {
    put_open(json, "relocations", '{');
    put_number(json, "RELATIVE", counts->relative);
    put_number(json, "64", counts->word);
    put_number(json, "GLOB_DAT", counts->glob_dat);
    put_number(json, "JUMP_SLOT", counts->jump_slot);
    put_number(json, "NONE", counts->none);
    put_number(json, "RELR", counts->packed);
    put_close(json, '}');
}

// What holds, be it asked for or a default; `version` is null without a note.
static void put_wishes(struct json *json, const struct kernel *kernel) {
    const struct slipway_note_wishes *wishes = &kernel->wishes;
    put_open(json, "wishes", '{');
    if (kernel->has_note)
        put_number(json, "version", wishes->version);
    else
        put_null(json, "version");
    put_number(json, "stack_bytes", wishes->stack_bytes);
    put_address(json, "direct_map", wishes->hhdm_base);
    put_number(json, "ram_floor_bytes", wishes->ram_floor_bytes);
    put_number(json, "paging_levels", wishes->paging_levels);
    put_bool(json, "framebuffer", wishes->flags & SLIPWAY_NOTE_FRAMEBUFFER);
    put_bool(json, "keep_screen", wishes->flags & SLIPWAY_NOTE_KEEP_SCREEN);
    put_bool(json, "cpus", wishes->flags & SLIPWAY_NOTE_CPUS);
    put_bool(json, "direct", wishes->flags & SLIPWAY_NOTE_DIRECT);
    put_bool(json, "kaslr", wishes->flags & SLIPWAY_NOTE_KASLR);
    put_close(json, '}');
}

static void put_tables(struct json *json, const struct check *check) {
    put_open(json, "page_tables", '[');
    for (unsigned i = 0; i < 4; i++) {
        const struct tables_count *count = &check->tables[i / 2][i % 2];
        put_open(json, NULL, '{');
        put_number(json, "levels", 4 + i / 2);
        put_bool(json, "pages_1g", i % 2 != 0);
        if (count->is_known)
            put_number(json, "tables", count->tables);
        else
            put_null(json, "tables");
        put_close(json, '}');
    }
    put_close(json, ']');
}

// That of the plan, and those that KASLR may choose: the same, in steps of 0, without any.
static void put_slide(struct json *json, const struct elf_image *elf, const struct places *places) {
    uint64_t count = places_count(places);
    uint64_t unslid = places_image_base(elf) - elf->slide;
    put_address(json, "slide", elf->slide);
    put_address(json, "slide_lowest", count < 2 ? elf->slide : places_at(places, 0) - unslid);
    put_address(json, "slide_highest",
                count < 2 ? elf->slide : places_at(places, count - 1) - unslid);
    put_number(json, "slide_step", count < 2 ? 0 : places->step);
}

static void put_kernel(struct json *json, const struct check *check) {
    const struct elf_image *elf = &check->kernel.elf;
    if (!check->has_kernel) {
        put_null(json, "kernel");
        return;
    }
    put_open(json, "kernel", '{');
    put_string(json, "type", elf->type == ELF_TYPE_DYN ? "ET_DYN" : "ET_EXEC");
    put_number(json, "file_bytes", check->kernel.file_bytes);
    put_address(json, "linked_start", elf->virt_start - elf->slide);
    put_address(json, "linked_end", elf->virt_end - elf->slide);
    put_address(json, "start", elf->virt_start);
    put_address(json, "end", elf->virt_end);
    put_slide(json, elf, &check->places);
    put_address(json, "entry", elf->entry);
    put_segments(json, elf);
    put_tls(json, &elf->tls);
    put_relocations(json, &check->relocations);
    put_wishes(json, &check->kernel);
    put_tables(json, check);
    if (check->kernel.has_digest)
        put_digest(json, "sha256", check->kernel.digest);
    else
        put_null(json, "sha256");
    put_close(json, '}');
}

static void put_image(struct json *json, const struct check *check) {
    const struct image *image = &check->image;
    const struct linux_header *header = &image->header;
    if (!check->has_image) {
        put_null(json, "image");
        return;
    }
    put_open(json, "image", '{');
    put_string(json, "protocol", image->protocol == CONFIG_PROTOCOL_LINUX ? "linux" : "efi");
    put_number(json, "file_bytes", image->file.bytes);
    if (header->release_bytes != 0)
        put_text(json, "release", (struct config_text){header->release, header->release_bytes});
    else
        put_null(json, "release");
    if (image->has_digest)
        put_digest(json, "sha256", image->digest);
    else
        put_null(json, "sha256");
    put_close(json, '}');
}

static void put_space(struct json *json, const struct check *check) {
    if (!check->has_space) {
        put_null(json, "space");
        return;
    }
    put_open(json, "space", '{');
    put_number(json, "levels", check->space.levels);
    put_address(json, "direct_map_start", check->space.hhdm_base);
    put_address(json, "direct_map_end", check->space.hhdm_end);
    put_number(json, "direct_map_places", check->space.hhdm_places);
    put_address(json, "window", check->space.window_base);
    put_close(json, '}');
}

void report_json(FILE *out, const struct check *check) {
    static const char *const verdicts[] = {"boots", "refused", "unknown"};
    const struct check_request *request = check->request;
    struct json json = {.out = out};
    put_open(&json, NULL, '{');
    put_string(&json, "file", request->kernel);
    put_string(&json, "esp", request->folder);
    if (check->entry != NULL)
        put_text(&json, "entry", check->entry->name);
    else
        put_null(&json, "entry");
    put_string(&json, "verdict", verdicts[check->verdict]);
    put_string(&json, "reason", check->verdict == CHECK_BOOTS ? NULL : check->reason);
    put_open(&json, "machine", '{');
    put_number(&json, "ram_bytes", request->machine.ram_bytes);
    put_number(&json, "paging_levels", request->machine.levels_max);
    put_close(&json, '}');
    put_config(&json, check);
    put_kernel(&json, check);
    put_image(&json, check);
    put_space(&json, check);
    put_close(&json, '}');
    fputc('\n', out);
}
