// The responses: see limine_answer.h.
#include "loader/protocol/limine_answer.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/hash/sha256.h"
#include "loader/volume_name.h"

#include <stddef.h>

enum {
    ENTROPY_WORDS_EACH = SHA256_BYTES / sizeof(uint64_t), // of a digest
    RESPONSE_BYTES_MAX = sizeof(struct limine_efi_memmap_response),
    PATH_EXTRA_BYTES = 2, // a separator before it and a NUL
};

// What is being written: first the limine_mp_info of every CPU, then what is reserved in turn. The
// size has been checked before.
struct writer {
    const struct limine_answer_input *input;
    uint64_t at; // physical
    uint64_t memory_entries;
    uint64_t none;    // address of an empty text
    uint64_t cmdline; // address of the kernel's
};

// ---- Addresses

static void *pointer_to(const struct limine_answer_input *input, uint64_t phys) {
    return (void *)(uintptr_t)(phys + input->memory_offset);
}

static uint64_t direct(const struct writer *writer, uint64_t phys) {
    return writer->input->info->hhdm_base + phys;
}

// What boot_info has at an address in the direct map.
static const void *read_direct(const struct limine_answer_input *input, uint64_t address) {
    return pointer_to(input, address - input->info->hhdm_base);
}

// Record `index` of an array of boot_info's.
static const void *record(const struct limine_answer_input *input,
                          const struct slipway_array *array, uint64_t index) {
    return read_direct(input, array->address + index * array->stride);
}

// Takes `bytes` bytes of the block, which may hold anything.
static void *reserve(struct writer *writer, uint64_t bytes, uint64_t *ret_phys) {
    *ret_phys = writer->at;
    writer->at += align_up(bytes, sizeof(uint64_t));
    ASSERT(writer->at <= writer->input->block_phys + writer->input->block_bytes);
    return pointer_to(writer->input, *ret_phys);
}

static uint64_t put(struct writer *writer, const void *response, uint64_t bytes) {
    uint64_t phys;
    memcpy(reserve(writer, bytes, &phys), response, bytes);
    return direct(writer, phys);
}

static uint64_t put_empty(struct writer *writer) {
    return put(writer, &(struct limine_empty_response){0}, sizeof(struct limine_empty_response));
}

static uint64_t put_value(struct writer *writer, uint64_t value) {
    return put(writer, &(struct limine_value_response){.value = value},
               sizeof(struct limine_value_response));
}

static uint64_t put_pair(struct writer *writer, uint64_t first, uint64_t second) {
    return put(writer, &(struct limine_pair_response){.first = first, .second = second},
               sizeof(struct limine_pair_response));
}

static uint64_t put_list(struct writer *writer, uint64_t revision, uint64_t count, uint64_t list) {
    const struct limine_list_response response = {revision, count, list};
    return put(writer, &response, sizeof(response));
}

// The addresses of `count` structures of `bytes` bytes that follow each other. 0 without any.
static uint64_t put_addresses(struct writer *writer, uint64_t first_phys, uint64_t count,
                              uint64_t bytes) {
    uint64_t phys;
    if (count == 0)
        return 0;
    uint64_t *list = reserve(writer, count * sizeof(*list), &phys);
    for (uint64_t i = 0; i < count; i++)
        list[i] = direct(writer, first_phys + i * bytes);
    return direct(writer, phys);
}

// ---- Facts of the loader and the kernel

static uint64_t text_address(const struct writer *writer, const struct slipway_text *text) {
    return text->address != 0 ? text->address : writer->none;
}

static uint64_t answer_bootloader_info(struct writer *writer) {
    const struct slipway_boot_info *info = writer->input->info;
    return put_pair(writer, text_address(writer, &info->loader_name),
                    text_address(writer, &info->loader_version));
}

static uint64_t answer_cmdline(struct writer *writer) {
    return put_value(writer, writer->cmdline);
}

static uint64_t answer_firmware_type(struct writer *writer) {
    return put_value(writer, LIMINE_FIRMWARE_EFI64);
}

static uint64_t answer_hhdm(struct writer *writer) {
    return put_value(writer, writer->input->info->hhdm_base);
}

static uint64_t answer_paging_mode(struct writer *writer) {
    bool has_5_levels = writer->input->info->paging_levels == 5;
    return put_value(writer, has_5_levels ? LIMINE_PAGING_5_LEVELS : LIMINE_PAGING_4_LEVELS);
}

static uint64_t answer_executable_address(struct writer *writer) {
    const struct slipway_boot_info *info = writer->input->info;
    return put_pair(writer, info->kernel_phys, info->kernel_virt);
}

static uint64_t answer_keep_iommu(struct writer *writer) {
    return writer->input->facts.keeps_iommu ? put_empty(writer) : 0;
}

// ---- Tables of the firmware

// The manifest has the byte at `phys` at its place in the direct map.
static bool is_mapped(const struct limine_answer_input *input, uint64_t phys) {
    const struct slipway_boot_info *info = input->info;
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = record(input, &info->mappings, i);
        if (mapping->virt - mapping->phys == info->hhdm_base && phys >= mapping->phys &&
            phys - mapping->phys < mapping->bytes)
            return true;
    }
    return false;
}

// What a kernel is told of a table at `phys`. 0: nothing.
static uint64_t table_address(const struct writer *writer, uint64_t phys, bool is_physical) {
    if (phys == 0 || is_physical)
        return phys;
    return is_mapped(writer->input, phys) ? direct(writer, phys) : 0;
}

// At these base revisions SMBIOS and EFI are told of by physical addresses.
static bool is_physical(const struct writer *writer) {
    uint64_t base_revision = writer->input->requests->base_revision;
    return base_revision == 3 || base_revision == 4;
}

static uint64_t answer_rsdp(struct writer *writer) {
    uint64_t address = table_address(writer, writer->input->info->rsdp_phys,
                                     writer->input->requests->base_revision == 3);
    return address == 0 ? 0 : put_value(writer, address);
}

static uint64_t answer_smbios(struct writer *writer) {
    const struct limine_facts *facts = &writer->input->facts;
    uint64_t entry_32 = table_address(writer, facts->smbios_32_phys, is_physical(writer));
    uint64_t entry_64 = table_address(writer, facts->smbios_64_phys, is_physical(writer));
    return entry_32 == 0 && entry_64 == 0 ? 0 : put_pair(writer, entry_32, entry_64);
}

static uint64_t answer_efi_system_table(struct writer *writer) {
    uint64_t address =
        table_address(writer, writer->input->info->efi_system_table_phys, is_physical(writer));
    return address == 0 ? 0 : put_value(writer, address);
}

static uint64_t answer_efi_memmap(struct writer *writer) {
    const struct slipway_boot_info *info = writer->input->info;
    const struct limine_efi_memmap_response response = {
        .address = info->efi_map,
        .bytes = info->efi_map_bytes,
        .stride = info->efi_map_stride,
        .version = info->efi_map_version,
    };
    return put(writer, &response, sizeof(response));
}

_Static_assert(SLIPWAY_TPM_LOG_SHA1 == LIMINE_TPM_FORMAT_1_2 &&
                   SLIPWAY_TPM_LOG_AGILE == LIMINE_TPM_FORMAT_2,
               "both have the numbers of the TCG's protocol");

static uint64_t answer_tpm_event_log(struct writer *writer) {
    const struct slipway_tpm_log *log = &writer->input->info->tpm_log;
    const struct limine_tpm_log_response response = {
        .format = log->format, .bytes = log->bytes, .address = log->address};
    return log->format == SLIPWAY_TPM_LOG_NONE ? 0 : put(writer, &response, sizeof(response));
}

// ---- Times

static uint64_t answer_date_at_boot(struct writer *writer) {
    int64_t time = writer->input->info->boot_time;
    return time == 0 ? 0 : put_value(writer, (uint64_t)time);
}

static uint64_t answer_tsc_frequency(struct writer *writer) {
    uint64_t hz = writer->input->info->tsc_hz;
    return hz == 0 ? 0 : put_value(writer, hz);
}

static uint64_t microseconds(uint64_t tsc, uint64_t hz) {
    return tsc / hz * 1000000 + tsc % hz * 1000000 / hz;
}

// All by the TSC. When the machine was reset is what the firmware says of how long it had been
// running when it started the loader, which was then at its entry.
static uint64_t answer_performance(struct writer *writer) {
    const struct slipway_boot_info *info = writer->input->info;
    if (info->tsc_hz == 0)
        return 0;
    uint64_t start = microseconds(info->tsc_loader_entry, info->tsc_hz);
    uint64_t running = info->firmware_times.loader_start / 1000;
    const struct limine_performance_response response = {
        .reset = running != 0 && running < start ? start - running : 0,
        .loader_start = start,
        .kernel_start = microseconds(writer->input->facts.tsc_now, info->tsc_hz),
    };
    return put(writer, &response, sizeof(response));
}

// ---- Framebuffers

// Not by a built-in function of the compiler's, which calls its library.
static uint8_t mask_bits(uint32_t mask) {
    uint8_t bits = 0;
    for (; mask != 0; mask &= mask - 1)
        bits++;
    return bits;
}

static uint8_t mask_shift(uint32_t mask) {
    return (uint8_t)(mask == 0 ? 0 : __builtin_ctz(mask));
}

static struct limine_video_mode describe_mode(const struct slipway_display_mode *mode) {
    return (struct limine_video_mode){
        .pitch = mode->pitch,
        .width = mode->width,
        .height = mode->height,
        .bits_per_pixel = 32,
        .memory_model = LIMINE_MEMORY_MODEL_RGB,
        .red_size = mask_bits(mode->red_mask),
        .red_shift = mask_shift(mode->red_mask),
        .green_size = mask_bits(mode->green_mask),
        .green_shift = mask_shift(mode->green_mask),
        .blue_size = mask_bits(mode->blue_mask),
        .blue_shift = mask_shift(mode->blue_mask),
    };
}

// The address of a list.
static uint64_t put_modes(struct writer *writer, const struct slipway_array *modes) {
    struct limine_video_mode *out;
    uint64_t phys;
    out = reserve(writer, modes->count * sizeof(*out), &phys);
    for (uint32_t i = 0; i < modes->count; i++)
        out[i] = describe_mode(record(writer->input, modes, i));
    return put_addresses(writer, phys, modes->count, sizeof(*out));
}

static struct limine_framebuffer describe_framebuffer(struct writer *writer,
                                                      const struct slipway_framebuffer *from) {
    return (struct limine_framebuffer){
        .address = direct(writer, from->address_phys),
        .width = from->width,
        .height = from->height,
        .pitch = from->pitch,
        .bits_per_pixel = 32,
        .memory_model = LIMINE_MEMORY_MODEL_RGB,
        .red_size = mask_bits(from->red_mask),
        .red_shift = mask_shift(from->red_mask),
        .green_size = mask_bits(from->green_mask),
        .green_shift = mask_shift(from->green_mask),
        .blue_size = mask_bits(from->blue_mask),
        .blue_shift = mask_shift(from->blue_mask),
        .edid_bytes = from->edid_bytes,
        .edid = from->edid,
        .mode_count = from->modes.count,
        .modes = put_modes(writer, &from->modes),
    };
}

static uint64_t answer_framebuffer(struct writer *writer) {
    const struct slipway_array *framebuffers = &writer->input->info->framebuffers;
    struct limine_framebuffer *out;
    uint64_t phys;
    if (framebuffers->count == 0)
        return 0;
    out = reserve(writer, framebuffers->count * sizeof(*out), &phys);
    for (uint32_t i = 0; i < framebuffers->count; i++)
        out[i] = describe_framebuffer(writer, record(writer->input, framebuffers, i));
    uint64_t list = put_addresses(writer, phys, framebuffers->count, sizeof(*out));
    return put_list(writer, 1, framebuffers->count, list);
}

// ---- Files

static bool is_separator(char c) {
    return c == '/' || c == '\\';
}

// The path on its volume, from the root, with '/' between names, of which none is empty.
static uint64_t put_path(struct writer *writer, struct config_text path) {
    uint64_t phys;
    char *out = reserve(writer, path.bytes + PATH_EXTRA_BYTES, &phys);
    uint64_t bytes = 0;
    out[bytes++] = '/';
    for (uint64_t i = 0; i < path.bytes; i++) {
        bool is_next = is_separator(path.text[i]);
        if (!is_next || out[bytes - 1] != '/')
            out[bytes++] = (char)(is_next ? '/' : path.text[i]);
    }
    out[bytes] = '\0';
    return direct(writer, phys);
}

// Which partition a file is on: the loader's own, or the one that its path names. A label names a
// file system and tells no partition.
static void describe_partition(const struct slipway_boot_info *info,
                               const struct volume_name *volume, struct limine_file *file) {
    struct partition partition = {.id_kind = SLIPWAY_PARTITION_NONE};
    if (volume->kind == VOLUME_PARTITION) {
        partition = volume->partition;
    } else if (volume->kind == VOLUME_OWN) {
        partition.id_kind = info->partition_id_kind;
        partition.number = info->partition_number;
        memcpy(partition.id, info->partition_id, sizeof(partition.id));
    }
    file->partition = partition.number;
    if (partition.id_kind == SLIPWAY_PARTITION_GPT)
        memcpy(&file->gpt_partition, partition.id, sizeof(file->gpt_partition));
    else if (partition.id_kind == SLIPWAY_PARTITION_MBR)
        memcpy(&file->mbr_disk_id, partition.id, sizeof(file->mbr_disk_id));
}

// The protocol has no room for an address of IPv6.
static void describe_server(const struct slipway_boot_info *info, struct limine_file *file) {
    enum { TFTP_PORT = 69 };
    file->media = LIMINE_MEDIA_TFTP;
    if (info->server_kind != SLIPWAY_SERVER_IPV4)
        return;
    memcpy(file->tftp_ipv4, info->server_address, sizeof(file->tftp_ipv4));
    file->tftp_port = TFTP_PORT;
}

// A file of that path. Its contents and its string are the caller's.
static struct limine_file describe_file(struct writer *writer, const struct slipway_text *path) {
    struct limine_file file = {.media = LIMINE_MEDIA_GENERIC};
    struct volume_name volume = {.kind = VOLUME_OWN};
    struct config_text whole = {"", 0};
    if (path->address != 0)
        whole = (struct config_text){read_direct(writer->input, path->address), path->bytes};
    struct config_text rest = whole;
    if (volume_name_parse(whole, &volume, &rest) != VOLUME_NAME_OK)
        rest = whole; // a path like that has led to no file
    if (writer->input->facts.is_from_cd && volume.kind == VOLUME_OWN)
        file.media = LIMINE_MEDIA_OPTICAL;
    if (writer->input->facts.is_from_server && volume.kind == VOLUME_OWN)
        describe_server(writer->input->info, &file);
    describe_partition(writer->input->info, &volume, &file);
    file.path = put_path(writer, rest);
    return file;
}

static uint64_t answer_executable_file(struct writer *writer) {
    const struct limine_facts *facts = &writer->input->facts;
    if (facts->file_phys == 0)
        return 0;
    struct limine_file file = describe_file(writer, &writer->input->info->kernel_path);
    file.address = direct(writer, facts->file_phys);
    file.bytes = facts->file_bytes;
    file.string = writer->cmdline;
    return put_value(writer, put(writer, &file, sizeof(file)));
}

// An empty file has no memory: its address is one where there is some.
static struct limine_file describe_module(struct writer *writer,
                                          const struct slipway_module *module) {
    struct limine_file file = describe_file(writer, &module->path);
    file.address = module->address;
    if (file.address == 0)
        file.address = direct(writer, align_down(writer->input->block_phys, FRAME_BYTES));
    file.bytes = module->bytes;
    file.string = text_address(writer, &module->cmdline);
    return file;
}

static uint64_t answer_module(struct writer *writer) {
    const struct slipway_array *modules = &writer->input->info->modules;
    struct limine_file *files;
    uint64_t phys;
    if (modules->count == 0)
        return 0;
    files = reserve(writer, modules->count * sizeof(*files), &phys);
    for (uint32_t i = 0; i < modules->count; i++)
        files[i] = describe_module(writer, record(writer->input, modules, i));
    uint64_t list = put_addresses(writer, phys, modules->count, sizeof(*files));
    return put_list(writer, 1, modules->count, list);
}

// ---- CPUs

// Those that are there have an address each in the list. Every record of boot_info has its place at
// the block's start.
static uint64_t answer_mp(struct writer *writer) {
    const struct limine_answer_input *input = writer->input;
    const struct slipway_array *cpus = &input->info->cpus;
    struct limine_mp_response response = {0};
    uint64_t phys;
    if (cpus->count == 0)
        return 0;
    uint64_t *list = reserve(writer, cpus->count * sizeof(*list), &phys);
    for (uint32_t i = 0; i < cpus->count; i++) {
        const struct slipway_cpu *cpu = record(input, cpus, i);
        uint64_t mp_info = limine_mp_info_phys(input->block_phys, i);
        if (cpu->state == SLIPWAY_CPU_BOOT)
            response.boot_lapic_id = cpu->apic_id;
        if (cpu->state != SLIPWAY_CPU_ABSENT)
            list[response.count++] = direct(writer, mp_info);
    }
    response.flags = input->info->apic_mode == SLIPWAY_APIC_X2APIC ? LIMINE_MP_X2APIC : 0;
    response.list = direct(writer, phys);
    return put(writer, &response, sizeof(response));
}

// ---- Memory and random numbers

static struct limine_memory_input memory_of(const struct limine_answer_input *input) {
    const struct slipway_boot_info *info = input->info;
    return (struct limine_memory_input){
        .regions = record(input, &info->memory, 0),
        .ranges = record(input, &info->ranges, 0),
        .mappings = record(input, &info->mappings, 0),
        .framebuffers = record(input, &info->framebuffers, 0),
        .region_count = info->memory.count,
        .range_count = info->ranges.count,
        .mapping_count = info->mappings.count,
        .framebuffer_count = info->framebuffers.count,
        .hhdm_base = info->hhdm_base,
        .base_revision = input->requests->base_revision,
    };
}

static uint64_t answer_memmap(struct writer *writer) {
    const struct limine_memory_input memory = memory_of(writer->input);
    uint64_t phys;
    uint64_t count = writer->memory_entries;
    struct limine_memory_entry *entries = reserve(writer, count * sizeof(*entries), &phys);
    uint64_t made = limine_make_memory(&memory, entries, count);
    ASSERT(made == count);
    return put_list(writer, 0, made, put_addresses(writer, phys, made, sizeof(*entries)));
}

static uint64_t entropy_words(const struct limine_requests *requests) {
    return min_u64(requests->entropy_count, LIMINE_ENTROPY_WORDS_MAX);
}

static void make_entropy(const uint8_t seed[64], uint64_t number,
                         uint8_t ret_digest[SHA256_BYTES]) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, seed, 64);
    sha256_add(&hash, &number, sizeof(number));
    sha256_end(&hash, ret_digest);
}

static uint64_t answer_entropy(struct writer *writer) {
    uint64_t count = entropy_words(writer->input->requests);
    uint64_t phys;
    uint64_t *words = reserve(writer, count * sizeof(*words), &phys);
    for (uint64_t i = 0; i < count; i += ENTROPY_WORDS_EACH) {
        uint8_t digest[SHA256_BYTES];
        make_entropy(writer->input->info->entropy, i / ENTROPY_WORDS_EACH, digest);
        memcpy(words + i, digest, min_u64(count - i, ENTROPY_WORDS_EACH) * sizeof(*words));
    }
    return put_list(writer, 0, count, count == 0 ? 0 : direct(writer, phys));
}

// ---- All of them

// Each writes its response and returns its address; 0: there is none.
static uint64_t (*const answers[LIMINE_REQUEST_KINDS])(struct writer *writer) = {
    [LIMINE_BOOTLOADER_INFO] = answer_bootloader_info,
    [LIMINE_EXECUTABLE_CMDLINE] = answer_cmdline,
    [LIMINE_FIRMWARE_TYPE] = answer_firmware_type,
    [LIMINE_STACK_SIZE] = put_empty,
    [LIMINE_HHDM] = answer_hhdm,
    [LIMINE_FRAMEBUFFER] = answer_framebuffer,
    [LIMINE_PAGING_MODE] = answer_paging_mode,
    [LIMINE_MP] = answer_mp,
    [LIMINE_MEMMAP] = answer_memmap,
    [LIMINE_ENTRY_POINT] = put_empty,
    [LIMINE_EXECUTABLE_FILE] = answer_executable_file,
    [LIMINE_MODULE] = answer_module,
    [LIMINE_RSDP] = answer_rsdp,
    [LIMINE_SMBIOS] = answer_smbios,
    [LIMINE_EFI_SYSTEM_TABLE] = answer_efi_system_table,
    [LIMINE_EFI_MEMMAP] = answer_efi_memmap,
    [LIMINE_TPM_EVENT_LOG] = answer_tpm_event_log,
    [LIMINE_DATE_AT_BOOT] = answer_date_at_boot,
    [LIMINE_EXECUTABLE_ADDRESS] = answer_executable_address,
    [LIMINE_BOOTLOADER_PERFORMANCE] = answer_performance,
    [LIMINE_KEEP_IOMMU] = answer_keep_iommu,
    [LIMINE_TSC_FREQUENCY] = answer_tsc_frequency,
    [LIMINE_ENTROPY] = answer_entropy,
};

uint64_t limine_answer_bytes(const struct limine_requests *requests,
                             const struct limine_capacity *capacity) {
    const uint64_t address = sizeof(uint64_t);
    uint64_t files = (uint64_t)capacity->modules + 1; // the kernel's
    return capacity->cpus * (sizeof(struct limine_mp_info) + address) +
           capacity->memory_entries * (sizeof(struct limine_memory_entry) + address) +
           capacity->framebuffers * (sizeof(struct limine_framebuffer) + address) +
           capacity->modes * (sizeof(struct limine_video_mode) + address) +
           files * (sizeof(struct limine_file) + address) +
           // each path is filled up to a multiple of 8
           capacity->path_bytes + files * (PATH_EXTRA_BYTES + sizeof(uint64_t) - 1) +
           entropy_words(requests) * sizeof(uint64_t) + LIMINE_REQUEST_KINDS * RESPONSE_BYTES_MAX +
           sizeof(uint64_t); // an empty text
}

// What boot_info needs.
static struct limine_capacity capacity_of(const struct limine_answer_input *input) {
    const struct slipway_boot_info *info = input->info;
    const struct limine_memory_input memory = memory_of(input);
    struct limine_capacity capacity = {
        .memory_entries = limine_make_memory(&memory, NULL, 0),
        .cpus = info->cpus.count,
        .framebuffers = info->framebuffers.count,
        .modules = info->modules.count,
        .path_bytes = info->kernel_path.bytes,
    };
    for (uint32_t i = 0; i < capacity.framebuffers; i++) {
        const struct slipway_framebuffer *framebuffer = record(input, &info->framebuffers, i);
        capacity.modes += framebuffer->modes.count;
    }
    for (uint32_t i = 0; i < capacity.modules; i++) {
        const struct slipway_module *module = record(input, &info->modules, i);
        capacity.path_bytes += module->path.bytes;
    }
    return capacity;
}

// What stands at the block's start, asked for or not.
static void put_cpus(struct writer *writer) {
    const struct slipway_array *cpus = &writer->input->info->cpus;
    uint64_t phys;
    struct limine_mp_info *out = reserve(writer, cpus->count * sizeof(*out), &phys);
    for (uint32_t i = 0; i < cpus->count; i++) {
        const struct slipway_cpu *cpu = record(writer->input, cpus, i);
        out[i] =
            (struct limine_mp_info){.processor_id = cpu->processor_id, .lapic_id = cpu->apic_id};
    }
}

enum limine_status limine_answer(const struct limine_answer_input *input,
                                 struct limine_answer *ret_answer, struct limine_error *ret_error) {
    ASSERT(is_aligned(input->block_phys, sizeof(uint64_t)));
    struct limine_capacity capacity = capacity_of(input);
    if (limine_answer_bytes(input->requests, &capacity) > input->block_bytes) {
        *ret_error = (struct limine_error){.status = LIMINE_ERR_ROOM, .a = input->block_bytes};
        return LIMINE_ERR_ROOM;
    }
    struct limine_answer answer = {0};
    struct writer writer = {
        .input = input, .at = input->block_phys, .memory_entries = capacity.memory_entries};
    put_cpus(&writer);
    writer.none = put(&writer, "", 1);
    writer.cmdline = text_address(&writer, &input->info->cmdline);
    for (uint32_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
        if (input->requests->found[i].virt != 0 && answers[i] != NULL)
            answer.responses[i] = answers[i](&writer);
    for (uint32_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
        if (answer.responses[i] != 0)
            elf_write_memory(input->image,
                             input->requests->found[i].virt +
                                 offsetof(struct limine_request, response),
                             &answer.responses[i], sizeof(answer.responses[i]));
    answer.bytes = writer.at - input->block_phys;
    *ret_answer = answer;
    return LIMINE_OK;
}
