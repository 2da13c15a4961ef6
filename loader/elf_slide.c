// Moves an image that stands where it was planned: see elf.h.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "loader/elf.h"

void elf_slide(struct elf_image *image, uint64_t by) {
    ASSERT(image->type == ELF_TYPE_DYN && is_aligned(by, image->align));
    ASSERT(image->tls.file_bytes == 0 || is_aligned(by, image->tls.align));
    image->slide += by;
    image->entry += by;
    image->virt_start += by;
    image->virt_end += by;
    for (uint32_t i = 0; i < image->segment_count; i++)
        image->segments[i].virt += by;
    for (uint32_t i = 0; i < image->run_count; i++) {
        image->runs[i].start += by;
        image->runs[i].end += by;
    }
    // What the image does not have stays 0.
    if (image->dynamic_bytes != 0)
        image->dynamic_virt += by;
    if (image->relro_start != image->relro_end) {
        image->relro_start += by;
        image->relro_end += by;
    }
    if (image->tls.file_bytes != 0)
        image->tls.virt += by;
}
