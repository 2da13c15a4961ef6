// What SLIPWAY_NOTE_SYMBOLS brings the kernel that may lie anywhere: itself, where it is.
#include "checks.h"
#include "kit.h"

#ifdef KASLR

// A symbol of the file (gABI, Symbol Table).
struct symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, bytes;
};

static bool is_name(const char *name, const char *want) {
    while (*name == *want && *name != '\0')
        name++, want++;
    return *name == *want;
}

void check_symbols(void) {
    unsigned found = 0;
    check_begin("a symbol is at its link address and the slide");
    for (uint32_t i = 1; i < boot->symbols.symbols.count; i++) {
        const struct symbol *symbol = kit_record(boot->symbols.symbols, i);
        if (!is_name((const char *)boot->symbols.symbol_names + symbol->name, "check_image"))
            continue;
        CHECK_EQUAL(symbol->value + boot->kernel_slide, (uint64_t)check_image);
        found++;
    }
    CHECK_EQUAL(found, boot->symbols.symbols.count == 0 ? 0 : 1);
    kit_fact("symbols", boot->symbols.symbols.count);
}

#else

void check_symbols(void) {}

#endif
