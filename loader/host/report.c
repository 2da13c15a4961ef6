// For people: see report.h.
#include "loader/host/report.h"

#include "common/base/arith.h"

#include <inttypes.h>
#include <string.h>

#define RANGE "[0x%" PRIx64 ", 0x%" PRIx64 ")"

static const char *rights_text(bool write, bool execute) {
    return write ? "rw-" : execute ? "r-x" : "r--";
}

// 512 MiB, 3 GiB, or bytes where that is not a whole number.
static void print_size(FILE *out, uint64_t bytes) {
    if (bytes != 0 && bytes % GIB(1) == 0)
        fprintf(out, "%" PRIu64 " GiB", bytes / GIB(1));
    else if (bytes != 0 && bytes % MIB(1) == 0)
        fprintf(out, "%" PRIu64 " MiB", bytes / MIB(1));
    else if (bytes != 0 && bytes % KIB(1) == 0)
        fprintf(out, "%" PRIu64 " KiB", bytes / KIB(1));
    else
        fprintf(out, "%" PRIu64 " bytes", bytes);
}

static void print_config_text(FILE *out, struct config_text text) {
    fwrite(text.text, 1, text.bytes, out);
}

// Once: what the loader says about files that are no entries is of all.
static void print_notes(FILE *out, const struct check *check) {
    static const char name[] = "slipway: ";
    const char *line = check->request->entry_index == 0 ? check->notes : "";
    while (*line != '\0') {
        const char *end = strchr(line, '\n');
        bool has_name = strncmp(line, name, strlen(name)) == 0;
        const char *text = has_name ? line + strlen(name) : line;
        fprintf(out, "  note        %.*s\n", (int)(end - text), text);
        line = end + 1;
    }
}

static void print_config(FILE *out, const struct check *check) {
    const struct config *config = &check->config;
    if (!check->has_config)
        return;
    fprintf(out, "config        %s\n",
            check->config_path == NULL ? "none: the defaults hold" : check->config_path);
    print_notes(out, check);
    if (check->entry != NULL) {
        fprintf(out, "  entry       ");
        print_config_text(out, check->entry->name);
        fprintf(out, ": ");
        print_config_text(out, check->entry->title);
        fputc('\n', out);
    }
    fprintf(out, "  kernel      ");
    print_config_text(out, config->kernel);
    fprintf(out, "%s\n", config->kernel_digest.line != 0 ? ", of this SHA-256" : "");
    if (config->cmdline.bytes != 0) {
        fprintf(out, "  cmdline     ");
        print_config_text(out, config->cmdline);
        fputc('\n', out);
    }
    for (uint32_t i = 0; i < check->module_count; i++) {
        const struct check_module *module = &check->modules[i];
        fprintf(out, "  module      ");
        print_config_text(out, module->named->path);
        if (module->is_seen)
            fprintf(out, ", %" PRIu64 " bytes%s\n", module->module.bytes,
                    module->named->digest.line != 0 ? ", of this SHA-256" : "");
        else
            fprintf(out, ": lies on another volume, which cannot be looked at here\n");
    }
}

// That of the plan, and those that KASLR may choose.
static void print_slide(FILE *out, const struct elf_image *elf, const struct places *places) {
    uint64_t count = places_count(places);
    uint64_t unslid = places_image_base(elf) - elf->slide;
    fprintf(out, "slide         0x%" PRIx64, elf->slide);
    if (count < 2) {
        fprintf(out, ", no other\n");
        return;
    }
    fprintf(out, "; with KASLR one of %" PRIu64 " from 0x%" PRIx64 " to 0x%" PRIx64 " in steps of ",
            count, places_at(places, 0) - unslid, places_at(places, count - 1) - unslid);
    print_size(out, places->step);
    fputc('\n', out);
}

static void print_image(FILE *out, const struct check *check) {
    const struct elf_image *elf = &check->kernel.elf;
    uint64_t bytes = elf->virt_end - elf->virt_start;
    fprintf(out, "linked        " RANGE "\n", elf->virt_start - elf->slide,
            elf->virt_end - elf->slide);
    fprintf(out, "runs          " RANGE ", %" PRIu64 " bytes\n", elf->virt_start, elf->virt_end,
            bytes);
    print_slide(out, elf, &check->places);
    fprintf(out, "entry         0x%" PRIx64 "\n", elf->entry);
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];
        fprintf(out,
                "segment %-4" PRIu32 "  " RANGE " %s, %" PRIu64 " bytes at offset 0x%" PRIx64 "\n",
                segment->phdr, segment->virt, segment->virt + segment->mem_bytes,
                rights_text(segment->write, segment->execute), segment->file_bytes,
                segment->file_offset);
    }
    for (uint32_t i = 0; i < elf->run_count; i++) {
        const struct elf_run *run = &elf->runs[i];
        fprintf(
            out, "pages         " RANGE " %s\n", run->start, run->end,
            rights_text(run->rights & SLIPWAY_RIGHT_WRITE, run->rights & SLIPWAY_RIGHT_EXECUTE));
    }
    if (elf->tls.mem_bytes != 0)
        fprintf(out,
                "thread-local  %" PRIu64 " bytes at 0x%" PRIx64 ", a block of %" PRIu64
                ", aligned to %" PRIu64 "\n",
                elf->tls.file_bytes, elf->tls.virt, elf->tls.mem_bytes, elf->tls.align);
}

static void print_relocations(FILE *out, const struct relocations *counts) {
    const struct {
        const char *name;
        uint64_t count;
    } kinds[] = {
        {"RELATIVE", counts->relative},   {"64", counts->word},   {"GLOB_DAT", counts->glob_dat},
        {"JUMP_SLOT", counts->jump_slot}, {"NONE", counts->none}, {"RELR", counts->packed},
    };
    bool is_first = true;
    fprintf(out, "relocations   ");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].count == 0)
            continue;
        fprintf(out, "%s%" PRIu64 " %s", is_first ? "" : ", ", kinds[i].count, kinds[i].name);
        is_first = false;
    }
    fprintf(out, "%s\n", is_first ? "none" : "");
}

static void print_wishes(FILE *out, const struct kernel *kernel) {
    const struct slipway_note_wishes *wishes = &kernel->wishes;
    if (kernel->protocol == CONFIG_PROTOCOL_LIMINE)
        fprintf(out, "protocol      Limine, base revision %" PRIu64 "\n",
                kernel->limine.base_revision);
    else if (!kernel->has_note)
        fprintf(out, "note          none: the defaults hold\n");
    else
        fprintf(out, "note          version %" PRIu32 "\n", wishes->version);
    fprintf(out, "  stack       ");
    print_size(out, wishes->stack_bytes);
    fputc('\n', out);
    if (wishes->hhdm_base != 0)
        fprintf(out, "  direct map  at 0x%" PRIx64 "\n", wishes->hhdm_base);
    if (wishes->ram_floor_bytes != 0)
        fprintf(out, "  RAM         %" PRIu64 " bytes at least\n", wishes->ram_floor_bytes);
    if (wishes->paging_levels != 0)
        fprintf(out, "  paging      %" PRIu32 " levels\n", wishes->paging_levels);
    if (wishes->flags & SLIPWAY_NOTE_FRAMEBUFFER)
        fprintf(out, "  screen      a framebuffer, or no boot\n");
    if (wishes->flags & SLIPWAY_NOTE_KEEP_SCREEN)
        fprintf(out, "  screen      as the firmware left it\n");
    if (wishes->flags & SLIPWAY_NOTE_CPUS)
        fprintf(out, "  CPUs        all, started\n");
    if (wishes->flags & SLIPWAY_NOTE_DIRECT)
        fprintf(out, "  places      stacks, descriptor tables, framebuffers in the direct map\n");
    if (wishes->flags & SLIPWAY_NOTE_KASLR)
        fprintf(out, "  KASLR       image and direct map may lie at random places\n");
}

static void print_space(FILE *out, const struct check *check) {
    const struct tables_space *space = &check->space;
    if (check->has_space) {
        fprintf(out, "direct map    " RANGE, space->hhdm_base, space->hhdm_end);
        if (space->hhdm_places > 1)
            fprintf(out, "; with KASLR at one of %" PRIu64 " places", space->hhdm_places);
        fprintf(out, "\nwindow        0x%" PRIx64 "\n", space->window_base);
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct tables_count *counts = check->tables[i];
        if (!counts[0].is_known || !counts[1].is_known)
            continue;
        fprintf(out, "page tables   %u levels: %" PRIu64 ", with 1 GiB pages %" PRIu64 "%s\n",
                4 + i, counts[0].tables, counts[1].tables,
                check->has_space && space->levels == 4 + i ? " (chosen)" : "");
    }
}

static void print_kernel_name(FILE *out, const struct check *check) {
    fprintf(out, "kernel        ");
    if (check->request->kernel != NULL)
        fprintf(out, "%s", check->request->kernel);
    else
        print_config_text(out, check->config.kernel);
}

static void print_image_file(FILE *out, const struct check *check) {
    const struct image *image = &check->image;
    const struct linux_header *header = &image->header;
    print_kernel_name(out, check);
    fprintf(out, ", %" PRIu64 " bytes, PE\n", image->file.bytes);
    if (image->protocol == CONFIG_PROTOCOL_LINUX)
        fprintf(out, "starts        as Linux%s%.*s, by the firmware\n",
                header->release_bytes == 0 ? "" : " ", (int)header->release_bytes,
                header->release_bytes == 0 ? "" : header->release);
    else
        fprintf(out, "starts        as an EFI application, by the firmware\n");
}

void report_text(FILE *out, const struct check *check) {
    const struct kernel *kernel = &check->kernel;
    print_config(out, check);
    if (check->has_image)
        print_image_file(out, check);
    if (check->has_kernel) {
        print_kernel_name(out, check);
        fprintf(out, ", %" PRIu64 " bytes, %s\n", kernel->file_bytes,
                kernel->elf.type == ELF_TYPE_DYN ? "ET_DYN" : "ET_EXEC");
        print_image(out, check);
        print_relocations(out, &check->relocations);
        print_wishes(out, kernel);
        print_space(out, check);
    }
    if (check->verdict == CHECK_BOOTS) {
        fprintf(out, "boots         with ");
        print_size(out, check->request->machine.ram_bytes);
        fprintf(out, " of RAM\n");
    } else if (check->verdict == CHECK_REFUSED) {
        fprintf(out, "refused       %s\n", check->reason);
    }
}

void report_verdict(FILE *out, const struct check *check) {
    const struct check_request *request = check->request;
    if (check->entry != NULL && check->verdict != CHECK_UNKNOWN) {
        fprintf(out, "entry ");
        print_config_text(out, check->entry->name);
        fprintf(out, ": ");
    }
    if (check->verdict == CHECK_BOOTS)
        fprintf(out, "%s: boots\n", request->kernel != NULL ? request->kernel : request->folder);
    else if (check->verdict == CHECK_REFUSED)
        fprintf(out, "%s\n", check->reason);
}
