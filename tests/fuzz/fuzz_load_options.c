// Load options of anything: a command line that is text, or none. The first byte says whether the
// shell has started the loader, and what its file is.
#include "loader/load_options.h"
#include "loader/utf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_text(struct config_text text) {
    uint64_t ascii = 0;
    uint64_t characters = 0;
    require(text.bytes != 0 && utf8_find_invalid(text.text, text.bytes) == text.bytes);
    for (uint64_t i = 0; i < text.bytes; i++) {
        unsigned char byte = (unsigned char)text.text[i];
        require(byte != 0x7f && (byte >= ' ' || byte == '\t'));
        ascii += byte < 0x80;
        characters += (byte & 0xc0) != 0x80;
    }
    require(ascii <= characters);
    require(text.text[0] != ' ' && text.text[text.bytes - 1] != ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char *const loaders[] = {"", "a", "\\a.b", "\\EFI\\BOOT\\BOOTX64.EFI"};
    if (bytes == 0)
        return 0;
    const char *loader = loaders[data[0] >> 1 & 3];
    const struct load_options options = {
        data + 1, bytes - 1, data[0] & 1, {loader, strlen(loader)}};
    uint64_t size = load_options_room(options.bytes);
    char *room = malloc(size);
    struct config_text text = {NULL, 0};
    enum load_options_status status = load_options_parse(&options, room, &text);
    require((status == LOAD_OPTIONS_OK) == (text.text != NULL));
    require(load_options_status_text(status)[0] != '\0');
    if (status == LOAD_OPTIONS_OK) {
        require(text.text >= room && text.text + text.bytes < room + size);
        check_text(text);
    }
    free(room);
    return 0;
}
