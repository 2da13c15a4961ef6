// What the block holds: arrays, texts, modules, framebuffers, the timeline.
#include "checks.h"
#include "cpu.h"
#include "kit.h"
#include "pages.h"

static bool in_block(uint64_t address, uint64_t bytes) {
    uint64_t start = (uint64_t)boot;
    return address >= start && bytes <= boot->total_bytes &&
           address - start <= boot->total_bytes - bytes;
}

static void check_array(struct slipway_array array, uint64_t record_bytes) {
    if (array.count == 0)
        return;
    CHECK(array.stride >= record_bytes, array.stride);
    CHECK_EQUAL(array.address % 8, 0);
    CHECK(in_block(array.address, (uint64_t)array.count * array.stride), array.address);
}

static void check_text(struct slipway_text text) {
    bool inside = in_block(text.address, text.bytes + 1);
    CHECK(inside, text.address);
    CHECK(!inside || ((const char *)text.address)[text.bytes] == '\0', text.address);
}

void check_block(void) {
    check_begin("the block is one range of its own and all arrays lie in it");
    CHECK(boot->header_bytes >= sizeof(*boot), boot->header_bytes);
    CHECK(boot->total_bytes >= boot->header_bytes, boot->total_bytes);
    CHECK(manifest_in_range((uint64_t)boot, boot->total_bytes, SLIPWAY_RANGE_BOOT_INFO),
          boot->total_bytes);
    check_array(boot->mappings, sizeof(struct slipway_mapping));
    check_array(boot->memory, sizeof(struct slipway_memory));
    check_array(boot->ranges, sizeof(struct slipway_range));
    check_array(boot->modules, sizeof(struct slipway_module));
    check_array(boot->framebuffers, sizeof(struct slipway_framebuffer));
    check_array(boot->stages, sizeof(struct slipway_stage));
    CHECK(in_block(boot->efi_map, boot->efi_map_bytes), boot->efi_map);

    check_begin("all texts lie in the block and are terminated");
    check_text(boot->loader_name);
    check_text(boot->loader_version);
    check_text(boot->kernel_path);
    check_text(boot->cmdline);
    check_text(boot->log);
    check_text(boot->volume_label);
    check_text(boot->loader_path);
    check_text(boot->choice.entry);
    for (uint32_t i = 0; i < boot->modules.count; i++) {
        const struct slipway_module *m = kit_record(boot->modules, i);
        check_text(m->path);
        check_text(m->cmdline);
    }

    check_begin("the room for a report is memory of its own, which a kernel has that asks for it");
    if (boot->crash_room_bytes == 0) {
        CHECK_EQUAL(boot->crash_room, 0);
    } else {
        volatile uint8_t *last = (void *)(boot->crash_room + boot->crash_room_bytes - 1);
        CHECK(manifest_in_range(boot->crash_room, boot->crash_room_bytes, SLIPWAY_RANGE_CRASH),
              boot->crash_room);
        *last = 0x5a;
        CHECK_EQUAL(*last, 0x5a);
    }
    CHECK_EQUAL(boot->crash_report.bytes, 0);
    CHECK_EQUAL(boot->crash_report.address, 0);
    CHECK(boot->crash_time == 0, (uint64_t)boot->crash_time);
    kit_fact("crash_room", boot->crash_room);
    kit_text("loader.name", boot->loader_name);
    kit_text("loader.version", boot->loader_version);
    kit_text("cmdline", boot->cmdline);
}

// Byte i of every test module; the test that writes the files knows it too.
static uint8_t module_byte(uint64_t i) {
    return (uint8_t)(i * 7 + i / 251 + 3);
}

static void check_module(const struct slipway_module *m) {
    uint64_t end = (m->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    const uint8_t *bytes = (const uint8_t *)m->address;
    CHECK_EQUAL(m->address % PAGE_BYTES, 0);
    CHECK(m->address >= boot->hhdm_base && m->address + end <= boot->hhdm_end, m->address);
    CHECK(manifest_in_range(m->address, end, SLIPWAY_RANGE_MODULE), m->address);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < m->bytes; i++)
        wrong += bytes[i] != module_byte(i);
    CHECK_EQUAL(wrong, 0);
    for (uint64_t i = m->bytes; i < end; i++)
        wrong += bytes[i] != 0;
    CHECK_EQUAL(wrong, 0);

    kit_text("module.path", m->path);
    kit_text("module.cmdline", m->cmdline);
    kit_fact("module.bytes", m->bytes);
    kit_fact("module.phys", m->address - boot->hhdm_base);
    kit_fact("module.digest_kind", m->digest_kind);
    for (unsigned i = 0; i < sizeof(m->digest); i++)
        kit_fact("module.digest", m->digest[i]);
}

void check_modules(void) {
    kit_fact("kernel.digest_kind", boot->kernel_digest_kind);
    for (unsigned i = 0; i < sizeof(boot->kernel_digest); i++)
        kit_fact("kernel.digest", boot->kernel_digest[i]);
    kit_fact("modules", boot->modules.count);
    if (boot->modules.count == 0)
        return;
    check_begin("modules hold their files, zero-filled to the end of the last frame");
    for (uint32_t i = 0; i < boot->modules.count; i++)
        check_module(kit_record(boot->modules, i));
}

static void check_mode(const struct slipway_display_mode *m) {
    CHECK(m->width > 0 && m->height > 0, m->width);
    CHECK(m->pitch >= 4 * m->width, m->pitch);
    CHECK(m->format <= SLIPWAY_PIXEL_MASKS, m->format);
    CHECK(m->red_mask && m->green_mask && m->blue_mask, m->red_mask);
    kit_fact("mode.width", m->width);
    kit_fact("mode.height", m->height);
}

// The mode that is set is in the list, and EDID, where there is some, in the block.
static void check_display(const struct slipway_framebuffer *f) {
    check_array(f->modes, sizeof(struct slipway_display_mode));
    CHECK(f->mode < f->modes.count, f->mode);
    for (uint32_t i = 0; i < f->modes.count; i++)
        check_mode(kit_record(f->modes, i));
    const struct slipway_display_mode *set = kit_record(f->modes, f->mode);
    CHECK(set->width == f->width && set->height == f->height, set->width);
    CHECK(set->pitch == f->pitch && set->format == f->format, set->pitch);
    CHECK(set->red_mask == f->red_mask && set->green_mask == f->green_mask &&
              set->blue_mask == f->blue_mask,
          set->red_mask);
    CHECK(f->edid == 0 ? f->edid_bytes == 0 : in_block(f->edid, f->edid_bytes), f->edid);
    kit_fact("edid.bytes", f->edid_bytes);
    for (uint64_t i = 0; i < f->edid_bytes; i++)
        kit_fact("edid.byte", ((const uint8_t *)f->edid)[i]);
}

static void check_framebuffer(const struct slipway_framebuffer *f) {
    CHECK(f->width > 0 && f->height > 0, f->width);
    CHECK(f->pitch >= 4 * f->width, f->pitch);
    CHECK(f->bytes >= (uint64_t)f->pitch * f->height, f->bytes);
    CHECK(f->format <= SLIPWAY_PIXEL_MASKS, f->format);
    CHECK(f->red_mask && f->green_mask && f->blue_mask, f->red_mask);
    CHECK_EQUAL((f->red_mask & f->green_mask) | (f->red_mask & f->blue_mask) |
                    (f->green_mask & f->blue_mask),
                0);
    for (uint64_t at = 0; at < f->bytes; at += PAGE_BYTES) {
        const struct slipway_mapping *m = manifest_find(f->address + at);
        CHECK(m && m->purpose == SLIPWAY_MAP_FRAMEBUFFER && m->cache == SLIPWAY_CACHE_WC, at);
        CHECK(m && m->phys + (f->address + at - m->virt) == f->address_phys + at, at);
    }
    struct leaf leaf;
    CHECK(pages_translate(f->address, &leaf) && leaf.pat_index == SLIPWAY_CACHE_WC, f->address);
    volatile uint32_t *pixel = (volatile uint32_t *)f->address;
    *pixel = f->green_mask;
    CHECK_EQUAL(*pixel & f->green_mask, f->green_mask);
    kit_fact("framebuffer.width", f->width);
    kit_fact("framebuffer.height", f->height);
    kit_fact("framebuffer.green_mask", f->green_mask);
}

void check_framebuffers(void) {
    kit_fact("framebuffers", boot->framebuffers.count);
    if (boot->framebuffers.count == 0)
        return;
    check_begin("framebuffers are mapped write-combining, whole, and can be written");
    for (uint32_t i = 0; i < boot->framebuffers.count; i++)
        check_framebuffer(kit_record(boot->framebuffers, i));
    check_begin("framebuffers are of a mode in their list, and their EDID is in the block");
    for (uint32_t i = 0; i < boot->framebuffers.count; i++)
        check_display(kit_record(boot->framebuffers, i));
}

void check_timeline(void) {
    uint64_t now = read_tsc();
    check_begin("stages start in order, end after their start, and lie between entry and now");
    uint64_t start = boot->tsc_loader_entry;
    CHECK(start > 0, start);
    for (uint32_t i = 0; i < boot->stages.count; i++) {
        const struct slipway_stage *s = kit_record(boot->stages, i);
        CHECK(s->name[0] && !s->name[sizeof(s->name) - 1], i);
        CHECK(s->tsc_start >= start, i);
        CHECK(s->tsc_end >= s->tsc_start, i);
        CHECK(s->tsc_end <= now, i);
        start = s->tsc_start;
        kit_print("stage ");
        kit_print(s->name);
        kit_print("\n");
    }
    check_begin("leaving the firmware is on record");
    CHECK(boot->exit_attempts >= 1, boot->exit_attempts);
    CHECK(boot->tsc_exit_done > boot->tsc_loader_entry && boot->tsc_exit_done < now,
          boot->tsc_exit_done);
    kit_fact("exit.attempts", boot->exit_attempts);
    check_begin("the TSC's frequency has a method, or is unknown");
    CHECK(boot->tsc_method <= SLIPWAY_TSC_PM_TIMER, boot->tsc_method);
    CHECK_EQUAL(boot->tsc_method == SLIPWAY_TSC_UNKNOWN, boot->tsc_hz == 0);
    kit_fact("tsc.hz", boot->tsc_hz);
    kit_fact("tsc.method", boot->tsc_method);
}

static void check_entropy(void) {
    check_begin("the entropy has sources, and its halves differ");
    const uint32_t known = SLIPWAY_ENTROPY_FIRMWARE | SLIPWAY_ENTROPY_RDSEED |
                           SLIPWAY_ENTROPY_RDRAND | SLIPWAY_ENTROPY_JITTER;
    CHECK_EQUAL(boot->entropy_sources & ~known, 0);
    CHECK(boot->entropy_sources & SLIPWAY_ENTROPY_JITTER, boot->entropy_sources);
    unsigned same = 0;
    for (unsigned i = 0; i < 32; i++)
        same += boot->entropy[i] == boot->entropy[i + 32];
    CHECK(same < 8, same);
    kit_fact("entropy.sources", boot->entropy_sources);
    for (unsigned i = 0; i < sizeof(boot->entropy); i++)
        kit_fact("entropy.byte", boot->entropy[i]);
}

static void check_source(void) {
    check_begin("where the loader came from is of a known kind, and zeros where it is not known");
    CHECK(boot->partition_id_kind <= SLIPWAY_PARTITION_GPT, boot->partition_id_kind);
    CHECK(boot->server_kind == SLIPWAY_SERVER_NONE || boot->server_kind == SLIPWAY_SERVER_IPV4 ||
              boot->server_kind == SLIPWAY_SERVER_IPV6,
          boot->server_kind);
    for (unsigned i = 0; i < 16; i++) {
        CHECK(!boot->partition_id[i] || boot->partition_id_kind != SLIPWAY_PARTITION_NONE, i);
        CHECK(!boot->server_address[i] || boot->server_kind != SLIPWAY_SERVER_NONE, i);
        kit_fact("partition.byte", boot->partition_id[i]);
        kit_fact("server.byte", boot->server_address[i]);
    }
    kit_fact("partition.kind", boot->partition_id_kind);
    kit_fact("partition.number", boot->partition_number);
    kit_fact("server.kind", boot->server_kind);
    kit_text("volume.label", boot->volume_label);
    kit_text("loader.path", boot->loader_path);
}

static void check_choice(void) {
    const struct slipway_choice *choice = &boot->choice;
    check_begin("the entry was chosen by something, if the config has entries");
    CHECK(choice->by <= SLIPWAY_CHOICE_BY_TIMEOUT, choice->by);
    CHECK_EQUAL(choice->entry.bytes == 0, choice->by == SLIPWAY_CHOICE_NONE);
    kit_text("choice.entry", choice->entry);
    kit_fact("choice.by", choice->by);
    kit_fact("choice.menu_ms", choice->menu_ms);
}

static void check_tpm_log(void) {
    const struct slipway_tpm_log *log = &boot->tpm_log;
    check_begin("the TPM's log lies in the block, if there is one");
    CHECK(log->format <= SLIPWAY_TPM_LOG_AGILE, log->format);
    CHECK(log->truncated <= (log->format != SLIPWAY_TPM_LOG_NONE), log->truncated);
    CHECK_EQUAL(log->bytes == 0, log->address == 0);
    CHECK(log->bytes == 0 || in_block(log->address, log->bytes), log->address);
    kit_fact("tpm.format", log->format);
    kit_fact("tpm.truncated", log->truncated);
    kit_fact("tpm.bytes", log->bytes);
    if (!kit_cmdline_has("tpm"))
        return;
    for (uint64_t i = 0; i < log->bytes; i++)
        kit_fact("tpm.byte", ((const uint8_t *)log->address)[i]);
}

void check_facts(void) {
    check_entropy();
    check_source();
    check_choice();
    check_tpm_log();
    kit_fact("firmware.reset_end", boot->firmware_times.reset_end);
    kit_fact("firmware.loader_load", boot->firmware_times.loader_load);
    kit_fact("firmware.loader_start", boot->firmware_times.loader_start);
    kit_fact("firmware.exit_start", boot->firmware_times.exit_start);
    kit_fact("firmware.exit_end", boot->firmware_times.exit_end);
}
