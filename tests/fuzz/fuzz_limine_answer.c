// Responses of the Limine protocol for a boot_info of anything that keeps its contract, to any set
// of requests: all fits in the room that was reckoned before the map was known, nothing else is
// written, every address leads to what it should, and the memory map is one.
#include "loader/protocol/limine_answer.h"

#include "common/base/arith.h"

#include <stdlib.h>
#include <string.h>

#define HHDM   SLIPWAY_HHDM_BASE
#define IMAGE  SLIPWAY_KERNEL_DEFAULT
#define MEMORY UINT64_C(0x100000) // physical, of boot_info
#define PAGE   UINT64_C(4096)

enum {
    RECORDS_MAX = 12,
    TEXT_MAX = 40,
    MEMORY_BYTES = 32768,
    REQUEST_BYTES = 0x30,
    IMAGE_BYTES = LIMINE_REQUEST_KINDS * REQUEST_BYTES,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

struct world {
    const uint8_t *data; // what is left of the input
    size_t left;
    uint8_t *memory; // boot_info, then the block of responses, from MEMORY on
    uint64_t used;
    struct slipway_boot_info *info;
    struct limine_capacity capacity;
};

// The next byte of the input; 0 at its end.
static uint8_t take(struct world *world) {
    if (world->left == 0)
        return 0;
    world->left--;
    return *world->data++;
}

static uint64_t take_below(struct world *world, uint64_t bound) {
    return ((uint64_t)take(world) << 8 | take(world)) % bound;
}

static void take_bytes(struct world *world, void *to, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = take(world);
}

static void *allocate(struct world *world, uint64_t bytes, uint64_t *ret_address) {
    *ret_address = HHDM + MEMORY + world->used;
    void *memory = world->memory + world->used;
    world->used += align_up(bytes, 8);
    require(world->used <= MEMORY_BYTES);
    return memory;
}

static void *take_array(struct world *world, struct slipway_array *array, uint64_t stride) {
    void *records = NULL;
    array->count = (uint32_t)take_below(world, RECORDS_MAX + 1);
    array->stride = (uint32_t)stride;
    if (array->count != 0)
        records = allocate(world, array->count * stride, &array->address);
    return records;
}

static struct slipway_text take_text(struct world *world) {
    static const char letters[] = "ab/\\.()=guidlabel0123-";
    struct slipway_text text = {.bytes = take_below(world, TEXT_MAX)};
    char *out = allocate(world, text.bytes + 1, &text.address);
    for (uint64_t i = 0; i < text.bytes; i++)
        out[i] = letters[take(world) % (sizeof(letters) - 1)];
    out[text.bytes] = '\0';
    return text;
}

// Rising, disjoint: the next start and size.
static uint64_t take_range(struct world *world, uint64_t at, uint64_t *ret_bytes) {
    uint64_t start = at + (take(world) % 4) * PAGE;
    *ret_bytes = (1 + take(world) % 8) * PAGE;
    return start;
}

static void fill_memory(struct world *world) {
    struct slipway_boot_info *info = world->info;
    uint64_t at = 0, bytes;
    struct slipway_memory *memory = take_array(world, &info->memory, sizeof(*memory));
    for (uint32_t i = 0; i < info->memory.count; i++, at += bytes) {
        at = take_range(world, at, &bytes);
        memory[i] = (struct slipway_memory){at, bytes, take(world) % SLIPWAY_MEM_KINDS, 0};
    }
    struct slipway_range *ranges = take_array(world, &info->ranges, sizeof(*ranges));
    at = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++, at += bytes) {
        at = take_range(world, at, &bytes);
        ranges[i] = (struct slipway_range){at, bytes, take(world) % 12, 0};
    }
    struct slipway_mapping *mappings = take_array(world, &info->mappings, sizeof(*mappings));
    at = 0;
    for (uint32_t i = 0; i < info->mappings.count; i++, at += bytes) {
        at = take_range(world, at, &bytes);
        mappings[i] = (struct slipway_mapping){HHDM + at, at, bytes, 0, 0, take(world) % 8};
    }
}

static void fill_framebuffers(struct world *world) {
    struct slipway_boot_info *info = world->info;
    struct slipway_framebuffer *framebuffers =
        take_array(world, &info->framebuffers, sizeof(*framebuffers));
    for (uint32_t i = 0; i < info->framebuffers.count; i++) {
        take_bytes(world, &framebuffers[i].width, 32);
        framebuffers[i].address_phys = take_below(world, 65536) * 16;
        framebuffers[i].bytes = take_below(world, 65536);
        struct slipway_display_mode *modes =
            take_array(world, &framebuffers[i].modes, sizeof(*modes));
        take_bytes(world, modes, framebuffers[i].modes.count * sizeof(*modes));
        world->capacity.modes += framebuffers[i].modes.count;
    }
}

static void fill_modules(struct world *world) {
    struct slipway_boot_info *info = world->info;
    struct slipway_module *modules = take_array(world, &info->modules, sizeof(*modules));
    for (uint32_t i = 0; i < info->modules.count; i++) {
        modules[i] = (struct slipway_module){
            .path = take_text(world), .cmdline = take_text(world), .bytes = take(world)};
        modules[i].address = modules[i].bytes == 0 ? 0 : HHDM + PAGE * take(world);
        world->capacity.path_bytes += modules[i].path.bytes;
    }
}

static void fill_facts(struct world *world) {
    struct slipway_boot_info *info = world->info;
    struct slipway_cpu *cpus;
    info->hhdm_base = HHDM;
    info->loader_name = take_text(world);
    info->loader_version = take_text(world);
    info->kernel_path = take_text(world);
    info->cmdline = take_text(world);
    info->paging_levels = 4 + take(world) % 2;
    info->boot_time = take(world);
    info->tsc_hz = (uint64_t)take(world) << take(world) % 40;
    info->tsc_loader_entry = (uint64_t)take(world) << take(world) % 56;
    info->firmware_times.loader_start = (uint64_t)take(world) << take(world) % 56;
    info->rsdp_phys = take_below(world, 65536);
    info->efi_system_table_phys = take_below(world, 65536);
    info->apic_mode = take(world) % 3;
    info->partition_id_kind = take(world) % 3;
    info->partition_number = take(world);
    info->tpm_log.format = take(world) % 3;
    take_bytes(world, info->entropy, 4);
    cpus = take_array(world, &info->cpus, sizeof(*cpus));
    for (uint32_t i = 0; i < info->cpus.count; i++)
        cpus[i] = (struct slipway_cpu){.apic_id = i, .state = 1 + take(world) % 3};
    world->capacity.path_bytes += info->kernel_path.bytes;
}

// ---- What came of it

struct result {
    const struct world *world;
    const struct limine_answer_input *input;
    const struct limine_answer *answer;
};

// `bytes` bytes of the block at an address in the direct map.
static const void *find(const struct result *result, uint64_t address, uint64_t bytes) {
    uint64_t at = address - HHDM - result->input->block_phys;
    require(at < result->answer->bytes && bytes <= result->answer->bytes - at);
    return (const uint8_t *)(uintptr_t)(result->input->block_phys + at +
                                        result->input->memory_offset);
}

// A text in boot_info or in the block, whose NUL is there.
static void check_text(const struct result *result, uint64_t address) {
    uint64_t at = address - HHDM - MEMORY;
    uint64_t end = result->input->block_phys - MEMORY + result->answer->bytes;
    require(at < end && memchr(result->world->memory + at, 0, end - at) != NULL);
}

static const uint64_t *list_of(const struct result *result, enum limine_request_kind kind,
                               uint64_t *ret_count) {
    uint64_t address = result->answer->responses[kind];
    *ret_count = 0;
    if (address == 0)
        return NULL;
    const struct limine_list_response *list = find(result, address, sizeof(*list));
    *ret_count = list->count;
    return list->count == 0 ? NULL : find(result, list->list, list->count * 8);
}

static void check_memory(const struct result *result) {
    uint64_t count, end = 0, type = UINT64_MAX;
    const uint64_t *list = list_of(result, LIMINE_MEMMAP, &count);
    for (uint64_t i = 0; i < count; i++) {
        const struct limine_memory_entry *entry = find(result, list[i], sizeof(*entry));
        require(entry->bytes != 0 && (entry->base | entry->bytes) % PAGE == 0);
        require(entry->base >= end && (entry->base > end || entry->type != type));
        require(entry->type <= LIMINE_MEMORY_RESERVED_MAPPED);
        require(entry->type != LIMINE_MEMORY_RESERVED_MAPPED ||
                result->input->requests->base_revision >= 4);
        end = entry->base + entry->bytes;
        type = entry->type;
    }
}

static void check_files(const struct result *result) {
    uint64_t count;
    const uint64_t *list = list_of(result, LIMINE_MODULE, &count);
    require(count == 0 || count == result->world->info->modules.count);
    for (uint64_t i = 0; i < count; i++) {
        const struct limine_file *file = find(result, list[i], sizeof(*file));
        check_text(result, file->path);
        check_text(result, file->string);
        const char *path = find(result, file->path, 2);
        require(path[0] == '/' && strchr(path, '\\') == NULL && strstr(path, "//") == NULL);
        require(file->address != 0 && file->address % PAGE == 0);
    }
}

static void check_screens(const struct result *result) {
    uint64_t count;
    const uint64_t *list = list_of(result, LIMINE_FRAMEBUFFER, &count);
    for (uint64_t i = 0; i < count; i++) {
        const struct limine_framebuffer *framebuffer = find(result, list[i], sizeof(*framebuffer));
        const uint64_t *modes = framebuffer->mode_count == 0
                                    ? NULL
                                    : find(result, framebuffer->modes, framebuffer->mode_count * 8);
        for (uint64_t j = 0; j < framebuffer->mode_count; j++)
            find(result, modes[j], sizeof(struct limine_video_mode));
    }
}

static void check_cpus(const struct result *result) {
    uint64_t address = result->answer->responses[LIMINE_MP];
    if (address == 0)
        return;
    const struct limine_mp_response *mp = find(result, address, sizeof(*mp));
    require(mp->count <= result->world->info->cpus.count);
    const uint64_t *list = mp->count == 0 ? NULL : find(result, mp->list, mp->count * 8);
    for (uint64_t i = 0; i < mp->count; i++) {
        const struct limine_mp_info *info = find(result, list[i], sizeof(*info));
        require(info->goto_address == 0);
        require(list[i] == HHDM + limine_mp_info_phys(result->input->block_phys, info->lapic_id));
    }
}

static void check(const struct result *result, const uint8_t *image) {
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++) {
        uint64_t stored, virt = result->input->requests->found[i].virt;
        memcpy(&stored, image + i * REQUEST_BYTES + 0x28, sizeof(stored));
        require(stored == result->answer->responses[i]);
        require(stored == 0 || (virt != 0 && stored % 8 == 0));
        if (stored != 0)
            find(result, stored, sizeof(struct limine_empty_response));
    }
    check_memory(result);
    check_files(result);
    check_screens(result);
    check_cpus(result);
}

// The block is as large as was reckoned, or smaller, and then refused.
static void answer(struct world *world, const struct limine_requests *requests,
                   const struct limine_facts *facts, uint64_t cut) {
    uint8_t *image = calloc(1, IMAGE_BYTES);
    const struct elf_piece piece = {IMAGE, IMAGE_BYTES, image};
    const struct elf_memory memory = {&piece, 1};
    struct limine_answer result;
    struct limine_error error = {.status = LIMINE_OK};
    uint64_t room = limine_answer_bytes(requests, &world->capacity);
    uint64_t bytes = room - min_u64(cut, room);
    // boot_info and the block in one part of memory, which ends with the block
    uint8_t *exact = malloc(world->used + bytes);
    memcpy(exact, world->memory, world->used);
    memset(exact + world->used, 0xcc, bytes);
    free(world->memory);
    world->memory = exact;
    world->info = (void *)exact;
    const struct limine_answer_input input = {
        .requests = requests,
        .info = world->info,
        .facts = *facts,
        .image = &memory,
        .block_phys = MEMORY + world->used,
        .block_bytes = bytes,
        .memory_offset = (uint64_t)(uintptr_t)exact - MEMORY,
    };
    enum limine_status status = limine_answer(&input, &result, &error);
    require(error.status == status && (status == LIMINE_OK || cut != 0));
    if (status == LIMINE_OK)
        check(&(struct result){world, &input, &result}, image);
    for (uint64_t i = 0; i < bytes && status != LIMINE_OK; i++)
        require(exact[world->used + i] == 0xcc);
    for (uint64_t i = 0; i < IMAGE_BYTES && status != LIMINE_OK; i++)
        require(image[i] == 0);
    free(image);
}

static struct limine_requests take_requests(struct world *world) {
    struct limine_requests requests = {.base_revision = take(world) % 7};
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
        if (take(world) % 8 != 0)
            requests.found[i].virt = IMAGE + i * REQUEST_BYTES;
    requests.entropy_count = take(world);
    if (requests.entropy_count == 255)
        requests.entropy_count = UINT64_MAX;
    return requests;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct world world = {.data = data, .left = bytes, .memory = calloc(1, MEMORY_BYTES)};
    uint64_t address;
    world.info = allocate(&world, sizeof(*world.info), &address);
    const struct limine_requests requests = take_requests(&world);
    const uint64_t cut = take(&world) % 2 == 0 ? 0 : take_below(&world, 4096);
    const struct limine_facts facts = {
        .file_phys = PAGE * (take(&world) % 2),
        .smbios_32_phys = take_below(&world, 65536),
        .smbios_64_phys = take_below(&world, 65536),
        .tsc_now = (uint64_t)take(&world) << take(&world) % 57,
        .keeps_iommu = take(&world) % 2 == 0,
    };
    fill_facts(&world);
    fill_memory(&world);
    fill_framebuffers(&world);
    fill_modules(&world);
    world.capacity.cpus = world.info->cpus.count;
    world.capacity.framebuffers = world.info->framebuffers.count;
    world.capacity.modules = world.info->modules.count;
    world.capacity.memory_entries =
        limine_memory_bound(world.info->memory.count, world.info->ranges.count,
                            world.info->mappings.count, world.info->framebuffers.count);
    answer(&world, &requests, &facts, cut);
    free(world.memory);
    return 0;
}
