// The kernel that boot.c boots: it holds the page tables that it runs on against the list of what
// they are to map, both ends of every mapping, by reading the tables through the direct map.
#include "handover.h"

#include <slipway/vmem.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    void *first = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    return first;
}

void *memset(void *to, int value, size_t bytes) {
    void *first = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return first;
}

static void print(const char *text) {
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %1, %0" : "=a"(status) : "d"((uint16_t)0x3fd));
        while (!(status & 0x20));
        __asm__ volatile("outb %0, %1" ::"a"(*text), "d"((uint16_t)0x3f8));
    }
}

// QEMU's isa-debug-exit, where there is one.
static void stop(const char *message, uint8_t code) {
    print(message);
    __asm__ volatile("outb %0, %1" ::"a"(code), "d"((uint16_t)0xf4));
    for (;;)
        __asm__ volatile("cli; hlt");
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    const struct handover *handover = context;
    return (uint64_t *)(handover->hhdm_base + table.value);
}

static bool is_mapped(const struct vmem *space, const struct slipway_mapping *mapping,
                      uint64_t offset) {
    struct vmem_translation found;
    unsigned rights = VMEM_READ | (mapping->rights & SLIPWAY_RIGHT_WRITE ? VMEM_WRITE : 0U) |
                      (mapping->rights & SLIPWAY_RIGHT_EXECUTE ? VMEM_EXECUTE : 0U);
    return vmem_translate(space, vaddr(mapping->virt + offset), &found) == VMEM_OK &&
           found.phys.value == mapping->phys + offset && found.rights == rights;
}

static bool is_empty(const struct vmem *space, uint64_t virt) {
    struct vmem_translation found;
    return vmem_translate(space, vaddr(virt), &found) == VMEM_ERR_NOT_MAPPED;
}

// Data that is written and constants that are relocated: an image that was loaded wrongly has
// others.
static uint64_t counter = 41;
static const char *const message = "Every mapping is as it is listed: all is well.\n";

void kernel_start(struct handover *handover);
void kernel_start(struct handover *handover) {
    static const struct vmem_ops ops = {.table_pointer = table_pointer};
    const struct vmem_cpu cpu = {.paddr_bits = 52, .has_nx = true, .has_1g = true};
    struct vmem space;
    uint64_t root;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    if (vmem_adopt(&space, &ops, handover, cpu, 4, root) != VMEM_OK)
        stop("The page tables cannot be adopted.\n", 0x11);
    for (uint64_t i = 0; i < handover->mapping_count; i++) {
        const struct slipway_mapping *mapping = &handover->mappings[i];
        if (!is_mapped(&space, mapping, 0) || !is_mapped(&space, mapping, mapping->bytes - 1))
            stop("A mapping is not what it is listed as.\n", 0x11);
    }
    uint64_t stack = (uint64_t)__builtin_frame_address(0) & ~UINT64_C(0xfff);
    counter++;
    if (counter != 42 || !is_empty(&space, 0) || !is_empty(&space, 0x100000) ||
        is_empty(&space, stack))
        stop("The space is not what it should be.\n", 0x11);
    stop(message, 0x10);
}
