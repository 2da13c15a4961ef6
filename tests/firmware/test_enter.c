// The entry into a kernel by itself, whatever the CPU has, and faults before that kernel has its
// own IDT: what the loader's handler says, where, and how often.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "common/x86/trap.h"
#include "common/x86/uart.h"
#include "loader/enter.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WIDTH = 1024,
    HEIGHT = 512,
    LINE_HEIGHT = 16, // of text
    PAPER = 0x7f0000,
    TABLES = 8, // in the direct map
};

#define SCREEN_PHYS  UINT64_C(0x80000000)
#define SCREEN_BYTES UINT64_C(WIDTH *HEIGHT * 4)

// From image.S. The loader enters the kernel at its own address here, so that the handler runs.
extern const char ImageBase[];

// What became of a fault, in memory of two processes; the screen is mapped page by page.
static struct seen {
    uint32_t pixels[HEIGHT][WIDTH];
    char com1[FAKE_TEXT_BYTES];
    enum fake_end end;
} * seen;

// Memory from physical address 0 on; its last page lies behind the direct map.
static _Alignas(4096) uint64_t memory[TABLES + 1][512];
static uint64_t tables_used;

static paddr_t table_alloc(void *context) {
    (void)context;
    return tables_used < TABLES ? paddr(FRAME_BYTES * tables_used++) : PADDR_NONE;
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    (void)table;
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    return table.value < FRAME_BYTES * TABLES ? memory[table.value / FRAME_BYTES] : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
};

// The loader's own are of no use to the handler: they lie where they are no longer mapped.
static const struct vmem_ops loader_ops;

static struct vmem space;
static struct vmem loader_space; // the same tables
static struct enter_target target;
static struct slipway_framebuffer screen;
static struct trap_frame frame;
static const struct enter_cpu *prepared;

static void map(uint64_t address, uint64_t phys, uint64_t bytes) {
    const struct vmem_mapping mapping = {.virt = vaddr(address),
                                         .phys = paddr(phys),
                                         .bytes = bytes,
                                         .rights = VMEM_READ | VMEM_WRITE,
                                         .largest = VMEM_4K};
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_map(&space, &mapping, &flush), VMEM_OK);
    vmem_flush_finish(&space, &flush);
}

// A kernel whose tables say nothing of address 0 but where the next table is: behind the direct
// map. Of the screen they map nothing.
static void make_kernel(void) {
    fake_reset();
    assert_true(uart_init());
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    memset(memory, 0, sizeof(memory));
    tables_used = 0;
    assert_int_equal(vmem_new(&space, &ops, NULL, (struct vmem_cpu){40, true, true}, 4), VMEM_OK);
    memory[0][0] = FRAME_BYTES * TABLES | 0x3;
    loader_space = space;
    loader_space.ops = &loader_ops;
    screen = (struct slipway_framebuffer){
        .address = (uintptr_t)seen->pixels,
        .address_phys = SCREEN_PHYS,
        .bytes = SCREEN_BYTES,
        .width = WIDTH,
        .height = HEIGHT,
        .pitch = WIDTH * 4,
        .red_mask = 0xff0000,
        .green_mask = 0xff00,
        .blue_mask = 0xff,
    };
    target = (struct enter_target){
        .space = &loader_space,
        .crossing = &space,
        .hhdm_base = (uintptr_t)memory,
        .hhdm_end = (uintptr_t)memory[TABLES],
        .screens = &screen,
        .screen_count = 1,
        .loader_virt = (uintptr_t)ImageBase,
    };
    frame = (struct trap_frame){.vector = 14, .error = 2, .rip = 0xffffffff80001234};
}

static void end_kernel(void) {
    munmap(seen, sizeof(*seen));
}

static void enter(void) {
    prepared = enter_prepare(&target);
    enter_kernel();
}

static void fault(void) {
    trap_handle(&frame);
}

TEST("enter: interrupts are off, and CR4 has what the CPU has and a kernel can have, and no more") {
    uint64_t always = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    make_kernel();
    fake_run(enter);
    assert_int_equal(fake.end, FAKE_ENTERED);
    assert_int_equal(fake.cpu_address, (uintptr_t)prepared); // as other CPUs get them
    assert_true(fake.interrupts_are_off);
    assert_int_equal(fake.cpu.cr4, always);
    loader_space.levels = 5;
    target.features = (struct cpu_features){
        .mce = true, .smep = true, .smap = true, .umip = true, .paging_levels = 5};
    fake_run(enter);
    assert_int_equal(fake.cpu.cr4, always | CR4_MCE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_LA57);
    end_kernel();
}

// Enters the kernel, which goes on with the tables of `root`, and faults so many times: in a
// process of its own, since a handler reports one fault and no more.
static void run_kernel(uint64_t root, unsigned faults) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fake_run(enter);
        for (fake.cpu.root = root; faults != 0; faults--)
            fake_run(fault);
        memcpy(seen->com1, fake.com1, sizeof(seen->com1));
        seen->end = fake.end;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(seen->end, FAKE_STOPPED);
}

// The report, of the tables that `root` begins.
static const char *expected(uint64_t root) {
    static char text[4096];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    space.root = paddr(root & ~(FRAME_BYTES - 1));
    fake.cpu.root = root;
    fmt_print(&sink, "\nslipway: fault before the kernel has its own IDT\n");
    trap_report(&sink, &frame, &space);
    fmt_print(&sink, "slipway: stopped\n");
    return text;
}

static unsigned lines_in(const char *text) {
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

// Lines of text, each of which has a paper up to the right edge.
static unsigned lines_drawn(void) {
    unsigned lines = 0;
    for (unsigned y = 0; y < HEIGHT; y += LINE_HEIGHT)
        lines += seen->pixels[y][WIDTH - 1] == PAPER;
    return lines;
}

TEST("fault: the report is on COM1 and on the screen, with the walk of the kernel's tables") {
    make_kernel();
    map(screen.address, SCREEN_PHYS, SCREEN_BYTES);
    run_kernel(0, 1);
    const char *want = expected(0);
    assert_non_null(strstr(want, "no table at 0000000008000"));
    assert_string_equal(seen->com1, want);
    assert_int_equal(lines_drawn(), lines_in(want));
    end_kernel();
}

TEST("fault: the walk is that of the tables that the kernel has put in the place of the loader's") {
    make_kernel();
    uint64_t root = table_alloc(NULL).value | 0x18; // with the bits of CR3 that are no address
    run_kernel(root, 1);
    const char *want = expected(root);
    assert_non_null(strstr(want, "not present\n"));
    assert_string_equal(seen->com1, want);
    end_kernel();
}

TEST("fault: of a fault in the report one line is said, and nothing more") {
    make_kernel();
    run_kernel(0, 3);
    const char *want = expected(0);
    static const char again[] =
        "\nslipway: fault in the fault report: vector 14, rip 0xffffffff80001234, cr2 0x0\n";
    assert_memory_equal(seen->com1, want, strlen(want));
    assert_memory_equal(seen->com1 + strlen(want), again, strlen(again));
    assert_string_equal(seen->com1 + strlen(want) + strlen(again), again);
    end_kernel();
}

static void expect_no_drawing(void) {
    static const uint32_t black[WIDTH];
    run_kernel(0, 1);
    assert_string_equal(seen->com1, expected(0));
    for (unsigned y = 0; y < HEIGHT; y++)
        assert_memory_equal(seen->pixels[y], black, sizeof(black));
    end_kernel();
}

TEST("fault: a screen that is mapped in part, elsewhere or not at all is not drawn on") {
    make_kernel();
    expect_no_drawing();
    uint64_t last_page = SCREEN_BYTES - FRAME_BYTES;
    make_kernel();
    map(screen.address, SCREEN_PHYS, last_page);
    expect_no_drawing();
    make_kernel();
    map(screen.address, SCREEN_PHYS, last_page);
    map(screen.address + last_page, SCREEN_PHYS, FRAME_BYTES);
    expect_no_drawing();
    make_kernel();
    map(screen.address + FRAME_BYTES, SCREEN_PHYS + FRAME_BYTES, last_page);
    expect_no_drawing();
    make_kernel();
    map(screen.address, SCREEN_PHYS + FRAME_BYTES, FRAME_BYTES);
    map(screen.address + FRAME_BYTES, SCREEN_PHYS + FRAME_BYTES, last_page);
    expect_no_drawing();
}

TEST("fault: without a screen, or with one that cannot be drawn on, the report is on COM1 alone") {
    make_kernel();
    target.screen_count = 0;
    expect_no_drawing();
    make_kernel();
    map(screen.address, SCREEN_PHYS, SCREEN_BYTES);
    screen.width = WIDTH + 1;
    expect_no_drawing();
}

// ---- Rights that are stricter than a protocol says

#define NO_EXECUTION                                                                               \
    "slipway: the direct map is not executable here: strict = off in slipway.conf allows it\n"
#define NO_WRITES                                                                                  \
    "slipway: the kernel's read-only pages are so in the direct map, too: strict = off in slipway.conf allows writes there\n"

enum { MAPPED_PAGE = TABLES - 1 }; // of the direct map

// A page of the direct map with these rights, at its address there or as another page.
static void map_direct(unsigned rights, uint64_t phys) {
    const struct vmem_mapping mapping = {
        .virt = vaddr((uintptr_t)memory[MAPPED_PAGE]),
        .phys = paddr(phys),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | rights,
        .largest = VMEM_4K,
    };
    struct vmem_flush flush;
    memory[0][0] = 0;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    assert_int_equal(vmem_map(&space, &mapping, &flush), VMEM_OK);
    vmem_flush_finish(&space, &flush);
    fake.cr2 = (uintptr_t)memory[MAPPED_PAGE] + 8;
}

static void make_limine(unsigned rights, uint64_t error) {
    make_kernel();
    target.state = MACHINE_LIMINE;
    target.is_direct = true;
    target.screen_count = 0;
    frame.error = error;
    map_direct(rights, FRAME_BYTES * MAPPED_PAGE);
}

// How the report ends, but for the loader's last line.
static void expect_hint(uint64_t root, const char *want) {
    static const char end[] = "slipway: stopped\n";
    run_kernel(root, 1);
    uint64_t bytes = strlen(seen->com1) - strlen(end);
    assert_string_equal(seen->com1 + bytes, end);
    const char *hint = strstr(seen->com1, "slipway: the ");
    if (want == NULL)
        assert_null(hint);
    else
        assert_int_equal(hint - seen->com1, bytes - strlen(want));
    if (want != NULL)
        assert_memory_equal(hint, want, strlen(want));
    end_kernel();
}

TEST("fault: rights that are stricter than the protocol's are named when they are the cause") {
    make_limine(VMEM_WRITE, PF_PRESENT | PF_FETCH);
    expect_hint(0, NO_EXECUTION);
    make_limine(0, PF_PRESENT | PF_FETCH);
    expect_hint(0, NO_EXECUTION);
    make_limine(0, PF_PRESENT | PF_WRITE);
    expect_hint(0, NO_WRITES);
}

TEST("fault: of no other fault it is said that rights are the cause") {
    make_limine(VMEM_WRITE, PF_PRESENT | PF_WRITE); // the page has the right
    expect_hint(0, NULL);
    make_limine(VMEM_EXECUTE, PF_PRESENT | PF_FETCH);
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT); // a read
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE); // another exception with such a code
    frame.vector = 13;
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE); // not mapped
    fake.cr2 += FRAME_BYTES;
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE); // outside of the direct map
    target.hhdm_end -= FRAME_BYTES;
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE);
    target.hhdm_base += FRAME_BYTES * TABLES;
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE); // a kernel that was promised no more
    target.state = MACHINE_SLIPWAY;
    expect_hint(0, NULL);
    make_limine(0, PF_PRESENT | PF_WRITE); // tables of the kernel's own, with the same contents
    memcpy(memory[TABLES - 2], memory[0], FRAME_BYTES);
    expect_hint(FRAME_BYTES * (TABLES - 2), NULL);
}

TEST("fault: where a kernel maps something else in the direct map its rights are its own") {
    make_kernel();
    target.state = MACHINE_LIMINE;
    target.is_direct = true;
    target.screen_count = 0;
    frame.error = PF_PRESENT | PF_WRITE;
    map_direct(0, 0);
    expect_hint(0, NULL);
}

TEST("enter: for kernels of the Limine boot protocol all else than what its text names is off") {
    for (unsigned i = 0; i < 2; i++) {
        make_kernel();
        target.state = i == 0 ? MACHINE_LIMINE : MACHINE_LIMINE_STRICT;
        target.is_direct = true;
        target.boot_info = 0;
        loader_space.levels = 5;
        target.features = (struct cpu_features){
            .mce = true, .smep = true, .smap = true, .umip = true, .paging_levels = 5};
        fake_run(enter);
        assert_int_equal(fake.cpu.cr0, 0x80010011);
        assert_int_equal(fake.cpu.cr4, 0x1020);
        assert_int_equal(fake.cpu.efer, 0xd00);
        assert_int_equal(fake.cpu.boot_info, 0);
        loader_space.levels = 4;
        fake_run(enter);
        assert_int_equal(fake.cpu.cr4, 0x20);
        end_kernel();
    }
}
