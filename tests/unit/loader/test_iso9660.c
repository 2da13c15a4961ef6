// The ISO 9660 reader over discs made by hand: what is in order is found, what is not is refused,
// and nothing outside of the disc is read. Discs that xorriso makes: tests/test_iso_files.py.
#include "loader/iso9660.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    SECTORS = 96,
    ROOT_SECTOR = 20,
    SUB_SECTOR = 22,
    JOLIET_SECTOR = 24,
    MORE_SECTOR = 26, // of Rock Ridge
    DATA_SECTOR = 40,
    FOLDER = 2,
    ASSOCIATED = 4,
    CONTINUES = 0x80,
};

static uint8_t image[SECTORS * ISO9660_SECTOR_BYTES];
static uint64_t reads, fail_at;
static uint64_t used[SECTORS]; // of a directory's sector
static struct iso9660 iso;
static struct iso9660_file file;

static bool read_image(void *context, uint64_t offset, void *to, uint64_t bytes) {
    assert_ptr_equal(context, image);
    if (offset > sizeof(image) || bytes > sizeof(image) - offset)
        fail_msg("%lu bytes at %lu are not on the disc", bytes, offset);
    memcpy(to, image + offset, bytes);
    return ++reads != fail_at;
}

static const struct iso9660_disc disc = {
    .read = read_image, .context = image, .bytes = sizeof(image)};

static void put_32(uint8_t *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = at[7 - i] = (uint8_t)(value >> 8 * i);
}

struct entry {
    const char *name;
    unsigned name_bytes; // 0: up to the NUL
    unsigned flags;
    unsigned block;
    unsigned bytes;
    const void *ridge;
    unsigned ridge_bytes;
};

// Appends a record to the directory in this sector; returns it.
static uint8_t *add(unsigned sector, struct entry entry) {
    uint8_t *record = image + sector * ISO9660_SECTOR_BYTES + used[sector];
    unsigned name_bytes = entry.name_bytes != 0 ? entry.name_bytes : (unsigned)strlen(entry.name);
    unsigned area = 33 + name_bytes + (name_bytes % 2 == 0);
    record[0] = (uint8_t)(area + entry.ridge_bytes);
    put_32(record + 2, entry.block);
    put_32(record + 10, entry.bytes);
    record[25] = (uint8_t)entry.flags;
    record[32] = (uint8_t)name_bytes;
    memcpy(record + 33, entry.name, name_bytes);
    if (entry.ridge_bytes != 0)
        memcpy(record + area, entry.ridge, entry.ridge_bytes);
    used[sector] += record[0];
    return record;
}

static void add_folder(unsigned sector, unsigned parent, const void *ridge, unsigned ridge_bytes) {
    add(sector, (struct entry){"\0", 1, FOLDER, sector, ISO9660_SECTOR_BYTES, ridge, ridge_bytes});
    add(sector, (struct entry){"\1", 1, FOLDER, parent, ISO9660_SECTOR_BYTES, NULL, 0});
}

static uint8_t *put_descriptor(unsigned index, unsigned type, unsigned root) {
    uint8_t *descriptor = image + (16 + index) * ISO9660_SECTOR_BYTES;
    descriptor[0] = (uint8_t)type;
    memcpy(descriptor + 1, "CD001\1", 6);
    descriptor[129] = 8; // 2048, the low byte first
    uint8_t *record = descriptor + 156;
    record[0] = 34;
    put_32(record + 2, root);
    put_32(record + 10, ISO9660_SECTOR_BYTES);
    record[25] = FOLDER;
    record[32] = 1;
    return descriptor;
}

static const uint8_t sp[] = {'S', 'P', 7, 1, 0xbe, 0xef, 0};

// A disc with a file of three bytes in the root and in a folder.
static void set_up(void) {
    memset(image, 0, sizeof(image));
    memset(used, 0, sizeof(used));
    reads = fail_at = 0;
    put_descriptor(0, 1, ROOT_SECTOR);
    put_descriptor(1, 255, 0);
    add_folder(ROOT_SECTOR, ROOT_SECTOR, sp, sizeof(sp));
    add(ROOT_SECTOR, (struct entry){"KERNEL.ELF;1", 0, 0, DATA_SECTOR, 3, NULL, 0});
    add(ROOT_SECTOR, (struct entry){"BOOT", 0, FOLDER, SUB_SECTOR, ISO9660_SECTOR_BYTES, NULL, 0});
    add_folder(SUB_SECTOR, ROOT_SECTOR, NULL, 0);
    add(SUB_SECTOR, (struct entry){"INITRD.;1", 0, 0, DATA_SECTOR + 1, 3, NULL, 0});
    memcpy(image + DATA_SECTOR * ISO9660_SECTOR_BYTES, "abc", 3);
    memcpy(image + (DATA_SECTOR + 1) * ISO9660_SECTOR_BYTES, "xyz", 3);
}

static enum iso9660_status find(const char *path) {
    memset(&file, 0xa5, sizeof(file));
    struct iso9660_file before = file;
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_OK);
    char *copy = malloc(strlen(path) + 1); // of its size, without a NUL
    memcpy(copy + 1, path, strlen(path));
    enum iso9660_status status = iso9660_find(&iso, copy + 1, strlen(path), &file);
    free(copy);
    if (status != ISO9660_OK)
        assert_memory_equal(&file, &before, sizeof(file));
    assert_true(iso9660_status_text(status)[0] != '\0');
    return status;
}

static void expect(const char *path, const char *contents) {
    char got[16] = {0};
    assert_int_equal(find(path), ISO9660_OK);
    assert_int_equal(file.bytes, strlen(contents));
    assert_true(iso9660_read(&iso, &file, 0, got, file.bytes));
    assert_string_equal(got, contents);
}

TEST("iso9660: files are found by plain names, in any case, without version and last dot") {
    set_up();
    expect("/KERNEL.ELF", "abc");
    expect("kernel.elf", "abc");
    expect("\\boot\\initrd", "xyz");
    expect("//boot//initrd", "xyz");
    expect("/./boot/./../BOOT/initrd", "xyz");
    expect("/../../kernel.elf", "abc");
    static const char *const absent[] = {"/kernel.el",  "/kernel.elf2",  "/kernel.elf;1", "/initrd",
                                         "/boot/other", "/other/initrd", "/kernel.elf/x", "/..."};
    for (unsigned i = 0; i < ARRAY_LEN(absent); i++)
        assert_int_equal(find(absent[i]), ISO9660_ERR_ABSENT);
    static const char *const folders[] = {"", "/", ".", "/boot", "/boot/", "/boot/.", "/boot/.."};
    for (unsigned i = 0; i < ARRAY_LEN(folders); i++)
        assert_int_equal(find(folders[i]), ISO9660_ERR_FOLDER);
}

TEST("iso9660: of names that differ in case alone the one that is the same counts") {
    set_up();
    add(ROOT_SECTOR, (struct entry){"Kernel.elf", 0, 0, DATA_SECTOR + 1, 3, NULL, 0});
    expect("/Kernel.elf", "xyz");
    expect("/KERNEL.ELF", "abc");
    expect("/kernel.elf", "abc"); // the first
}

TEST("iso9660: an associated file is not the file, and a byte that is no letter has no case") {
    set_up();
    add(ROOT_SECTOR, (struct entry){"FORK;1", 0, ASSOCIATED, DATA_SECTOR, 3, NULL, 0});
    assert_int_equal(find("/fork"), ISO9660_ERR_ABSENT);
    add(ROOT_SECTOR, (struct entry){"FORK;1", 0, 0, DATA_SECTOR + 1, 3, NULL, 0});
    add(ROOT_SECTOR, (struct entry){"A[B", 0, 0, DATA_SECTOR, 3, NULL, 0});
    expect("/fork", "xyz");
    expect("/a[b", "abc");
    assert_int_equal(find("/a{b"), ISO9660_ERR_ABSENT);
}

#define RIDGE(bytes) bytes, sizeof(bytes) - 1

TEST("iso9660: Rock Ridge's name takes the place of the record's") {
    set_up();
    add(ROOT_SECTOR, (struct entry){"A.;1", 0, 0, DATA_SECTOR, 3,
                                    RIDGE("PX\5\1x"
                                          "NM\13\1\0a.long")});
    add(ROOT_SECTOR, (struct entry){"B.;1", 0, 0, DATA_SECTOR + 1, 3,
                                    RIDGE("NM\11\1\1Two "
                                          "NM\12\1\0parts")});
    expect("/A.LONG", "abc");
    expect("/two parts", "xyz");
    assert_int_equal(find("/a"), ISO9660_ERR_ABSENT);
    assert_int_equal(find("/b"), ISO9660_ERR_ABSENT);
    add(ROOT_SECTOR,
        (struct entry){"C.;1", 0, 0, DATA_SECTOR, 3, RIDGE("SL\10\1\0\0\0\0NM\6\1\0c")});
    assert_int_equal(find("/c"), ISO9660_ERR_LINK);
    assert_int_equal(find("/c/below"), ISO9660_ERR_LINK);
}

TEST("iso9660: a file that is compressed on the disc is refused") {
    static const char zf[] = "ZF\20\1pz\4\17\3\0\0\0\0\0\0\3NM\6\1\0z";
    set_up();
    add(ROOT_SECTOR, (struct entry){"A.;1", 0, 0, DATA_SECTOR, 3, RIDGE(zf)});
    assert_int_equal(find("/z"), ISO9660_ERR_COMPRESSED);
    expect("/kernel.elf", "abc");
}

TEST("iso9660: what Rock Ridge skips is what the root says, at either place") {
    set_up();
    used[ROOT_SECTOR] = 0;
    memset(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES, 0, ISO9660_SECTOR_BYTES);
    add_folder(ROOT_SECTOR, ROOT_SECTOR, RIDGE("fourteen bytesSP\7\1\xbe\xef\16"));
    add(ROOT_SECTOR,
        (struct entry){"A.;1", 0, 0, DATA_SECTOR, 3, RIDGE("NM\7\1\0no1234567NM\7\1\0ye")});
    expect("/ye", "abc");
}

// The first record of the root, and the bytes behind it: the next record's.
static uint32_t skipped_with(const void *area, unsigned bytes, const void *behind,
                             unsigned behind_bytes) {
    set_up();
    used[ROOT_SECTOR] = 0;
    add_folder(ROOT_SECTOR, ROOT_SECTOR, area, bytes);
    memcpy(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + 34 + bytes, behind, behind_bytes);
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_OK);
    return iso.skipped_bytes;
}

TEST("iso9660: nothing is skipped unless the root's first record says so itself") {
    assert_int_equal(skipped_with(RIDGE("SP\7\1\xbe\xef\5"), RIDGE("")), 5);
    assert_int_equal(skipped_with(RIDGE("SP\7\1\xbe\xef"), RIDGE("\5")), 0);
    assert_int_equal(skipped_with(RIDGE(""), RIDGE("SP\7\1\xbe\xef\5")), 0);
    assert_int_equal(skipped_with(RIDGE("XX\7\1\xbe\xef\5"), RIDGE("")), 0);
    assert_int_equal(skipped_with(RIDGE("XX\6\1\xbe\xef"), RIDGE("\5")), 0);
}

TEST("iso9660: Rock Ridge goes on elsewhere on the disc, and not for ever") {
    uint8_t more[28] = {'C', 'E', 28, 1};
    put_32(more + 4, MORE_SECTOR);
    put_32(more + 12, 100);
    put_32(more + 20, 7);
    set_up();
    add(ROOT_SECTOR, (struct entry){"A.;1", 0, 0, DATA_SECTOR, 3, more, sizeof(more)});
    memcpy(image + MORE_SECTOR * ISO9660_SECTOR_BYTES + 100, "NM\7\1\0xx", 7);
    expect("/xx", "abc");
    put_32(more + 12, 0);
    put_32(more + 20, sizeof(more)); // leads to itself
    memcpy(image + MORE_SECTOR * ISO9660_SECTOR_BYTES + 100, more, sizeof(more));
    put_32(image + MORE_SECTOR * ISO9660_SECTOR_BYTES + 100 + 12, 100);
    put_32(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + used[ROOT_SECTOR] - 28 + 20, 28);
    expect("/a", "abc");
    put_32(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + used[ROOT_SECTOR] - 28 + 4, SECTORS);
    assert_int_equal(find("/a"), ISO9660_ERR_DAMAGED);
}

// With a folder that lies elsewhere.
static void set_up_moved(void) {
    uint8_t moved[12] = {'C', 'L', 12, 1};
    put_32(moved + 4, MORE_SECTOR);
    set_up();
    add(SUB_SECTOR, (struct entry){"DEEP", 0, 0, 0, 0, moved, sizeof(moved)});
    add(SUB_SECTOR, (struct entry){"SHORT", 0, 0, 0, 0, moved, sizeof(moved) - 1});
    image[SUB_SECTOR * ISO9660_SECTOR_BYTES + used[SUB_SECTOR] - 11 + 2] = 11;
    add_folder(MORE_SECTOR, ROOT_SECTOR, NULL, 0);
    add(MORE_SECTOR, (struct entry){"X.;1", 0, 0, DATA_SECTOR, 3, NULL, 0});
}

TEST("iso9660: a folder that Rock Ridge has moved, since it was too deep, is found") {
    set_up_moved();
    expect("/boot/deep/x", "abc");
    assert_int_equal(find("/boot/deep"), ISO9660_ERR_FOLDER);
    assert_int_equal(find("/boot/deep/y"), ISO9660_ERR_ABSENT);
    assert_int_equal(find("/boot/short/x"), ISO9660_ERR_ABSENT);
    uint8_t *self = image + MORE_SECTOR * ISO9660_SECTOR_BYTES;
    static const uint8_t damages[][2] = {{25, 0}, {32, 2}, {33, 1}, {11, 0xff}};
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        uint8_t before = self[damages[i][0]];
        self[damages[i][0]] = damages[i][1];
        self[13] = i == 3 ? 1 : 0; // a size of more than 16 MiB
        assert_int_equal(find("/boot/deep/x"), ISO9660_ERR_DAMAGED);
        self[damages[i][0]] = before;
    }
    self[13] = 0;
    put_32(image + SUB_SECTOR * ISO9660_SECTOR_BYTES + used[SUB_SECTOR] - 11 - 38 - 8, SECTORS);
    assert_int_equal(find("/boot/deep/x"), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: a name of Rock Ridge's that is longer than 255 bytes is none, nor read further") {
    uint8_t area[200];
    memset(area, 'n', sizeof(area));
    memcpy(area, "NM\144\1\1", 5);
    memcpy(area + 100, "NM\144\1\1", 5);
    uint8_t more[28] = {'C', 'E', 28, 1};
    put_32(more + 4, MORE_SECTOR);
    put_32(more + 20, sizeof(area));
    set_up();
    add(ROOT_SECTOR, (struct entry){"A.;1", 0, 0, DATA_SECTOR, 3, more, sizeof(more)});
    memcpy(image + MORE_SECTOR * ISO9660_SECTOR_BYTES, area, sizeof(area));
    uint8_t *next = image + MORE_SECTOR * ISO9660_SECTOR_BYTES + sizeof(area);
    memcpy(next, more, sizeof(more));
    put_32(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + used[ROOT_SECTOR] - 28 + 20,
           sizeof(area) + sizeof(more));
    char path[257];
    memset(path, 'n', sizeof(path));
    path[255] = '\0';
    expect(path, "abc");
    path[255] = 'n';
    path[256] = '\0';
    assert_int_equal(find(path), ISO9660_ERR_ABSENT);
}

TEST("iso9660: a file that only Joliet's tree names is found there") {
    set_up();
    uint8_t *descriptor = put_descriptor(1, 2, JOLIET_SECTOR);
    memcpy(descriptor + 88, "%/E", 3);
    put_descriptor(2, 255, 0);
    add_folder(JOLIET_SECTOR, JOLIET_SECTOR, NULL, 0);
    add(JOLIET_SECTOR, (struct entry){"\0L\0\xe4\0n\0g\0;\0"
                                      "1",
                                      12, 0, DATA_SECTOR, 3, NULL, 0});
    expect("/l\xc3\xa4NG", "abc");
    expect("/kernel.elf", "abc");
    assert_int_equal(find("/other"), ISO9660_ERR_ABSENT);
    static const char *const other[] = {"%/A", "%.E", "", "/E"};
    for (unsigned i = 0; i < ARRAY_LEN(other); i++) {
        strcpy((char *)descriptor + 88, other[i]);
        assert_int_equal(find("/l\xc3\xa4ng"), ISO9660_ERR_ABSENT);
        assert_int_equal(iso.root_count, 1);
    }
    memcpy(descriptor + 88, "%/@", 3);
    expect("/l\xc3\xa4ng", "abc");
    memcpy(descriptor + 88, "%/C", 3);
    expect("/l\xc3\xa4ng", "abc");
}

TEST("iso9660: a file in sections is read across them, which may follow each other or not") {
    set_up();
    static const struct {
        unsigned block, flags;
    } sections[] = {{DATA_SECTOR, CONTINUES}, {DATA_SECTOR + 1, CONTINUES}, {DATA_SECTOR + 5, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(sections); i++)
        add(ROOT_SECTOR, (struct entry){"PARTS", 0, sections[i].flags, sections[i].block,
                                        i == 2 ? 3 : ISO9660_SECTOR_BYTES, NULL, 0});
    memcpy(image + (DATA_SECTOR + 5) * ISO9660_SECTOR_BYTES, "end", 3);
    assert_int_equal(find("/parts"), ISO9660_OK);
    assert_int_equal(file.bytes, 2 * ISO9660_SECTOR_BYTES + 3);
    assert_int_equal(file.section_count, 2);
    char whole[2 * ISO9660_SECTOR_BYTES + 4] = {0};
    assert_true(iso9660_read(&iso, &file, 0, whole, file.bytes));
    assert_string_equal(whole + 2 * ISO9660_SECTOR_BYTES, "end");
    assert_memory_equal(whole, image + DATA_SECTOR * ISO9660_SECTOR_BYTES,
                        2 * ISO9660_SECTOR_BYTES);
    for (uint64_t at = 0; at < file.bytes; at += 97) {
        char part[100] = {0};
        uint64_t bytes = file.bytes - at < sizeof(part) ? file.bytes - at : sizeof(part);
        assert_true(iso9660_read(&iso, &file, at, part, bytes));
        assert_memory_equal(part, whole + at, bytes);
    }
    static const struct {
        uint64_t at, bytes, reads;
    } parts[] = {{0, 1, 1},
                 {2 * ISO9660_SECTOR_BYTES - 1, 1, 1},
                 {2 * ISO9660_SECTOR_BYTES - 1, 2, 2},
                 {2 * ISO9660_SECTOR_BYTES, 3, 1},
                 {2 * ISO9660_SECTOR_BYTES + 2, 1, 1},
                 {0, 0, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
        char part[4] = {0};
        uint64_t before = reads;
        assert_true(iso9660_read(&iso, &file, parts[i].at, part, parts[i].bytes));
        assert_memory_equal(part, whole + parts[i].at, parts[i].bytes);
        assert_int_equal(reads - before, parts[i].reads);
    }
    fail_at = reads + 2; // of the second section
    assert_false(iso9660_read(&iso, &file, 0, whole, file.bytes));
}

TEST("iso9660: a file has up to 16 sections, and what the last record continues is damaged") {
    for (unsigned count = 16; count < 18; count++) {
        set_up();
        for (unsigned i = 0; i < count; i++)
            add(ROOT_SECTOR, (struct entry){"MANY", 0, i + 1 == count ? 0 : CONTINUES,
                                            DATA_SECTOR + i % 2, 3, NULL, 0});
        assert_int_equal(find("/many"), count == 16 ? ISO9660_OK : ISO9660_ERR_FORM);
    }
    set_up();
    add(ROOT_SECTOR, (struct entry){"MORE", 0, CONTINUES, DATA_SECTOR, 3, NULL, 0});
    assert_int_equal(find("/more"), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: contents begin behind the extended attributes, and are not interleaved") {
    set_up();
    uint8_t *record = add(ROOT_SECTOR, (struct entry){"X", 0, 0, DATA_SECTOR - 1, 3, NULL, 0});
    record[1] = 2;
    expect("/x", "xyz");
    record[26] = 1;
    assert_int_equal(find("/x"), ISO9660_ERR_FORM);
    record[26] = 0;
    record[27] = 1;
    assert_int_equal(find("/x"), ISO9660_ERR_FORM);
}

TEST("iso9660: blocks of 512 and 1024 bytes count as they are, others are damage") {
    for (unsigned high = 0; high < 256; high++) {
        set_up();
        uint8_t *descriptor = image + 16 * ISO9660_SECTOR_BYTES;
        descriptor[129] = (uint8_t)high;
        bool is_good = high == 2 || high == 4 || high == 8;
        put_32(descriptor + 158, is_good ? ROOT_SECTOR * 8 / high : 0);
        put_32(image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + used[ROOT_SECTOR] - 38 - 46 + 2,
               is_good ? DATA_SECTOR * 8 / high : 0);
        enum iso9660_status status = iso9660_open(&disc, &iso);
        assert_int_equal(status, is_good ? ISO9660_OK : ISO9660_ERR_DAMAGED);
        if (is_good)
            expect("/kernel.elf", "abc");
    }
}

TEST("iso9660: a file or a folder that is not on the disc is damage") {
    set_up();
    struct entry entry = {"X", 0, 0, SECTORS - 1, ISO9660_SECTOR_BYTES, NULL, 0};
    uint8_t *record = add(ROOT_SECTOR, entry);
    assert_int_equal(find("/x"), ISO9660_OK);
    put_32(record + 10, ISO9660_SECTOR_BYTES + 1);
    assert_int_equal(find("/x"), ISO9660_ERR_DAMAGED);
    record[25] = FOLDER;
    assert_int_equal(find("/x/y"), ISO9660_ERR_DAMAGED);
    put_32(record + 2, UINT32_MAX);
    put_32(record + 10, 1);
    assert_int_equal(find("/x/y"), ISO9660_ERR_DAMAGED);
    put_32(record + 2, ROOT_SECTOR);
    put_32(record + 10, (16 << 20) + 1); // and larger than any directory
    assert_int_equal(find("/x/y"), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: records that cannot be are damage, and go past no sector's end") {
    static const struct {
        unsigned at;
        uint8_t byte;
    } bad[] = {{0, 33}, {0, 34 + 1}, {32, 0}, {32, 200}};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        set_up();
        uint8_t *record = add(ROOT_SECTOR, (struct entry){"XYZ", 0, 0, DATA_SECTOR, 3, NULL, 0});
        record[bad[i].at] = bad[i].byte;
        assert_int_equal(find("/xyz"), ISO9660_ERR_DAMAGED);
    }
    for (unsigned past = 0; past < 2; past++) {
        set_up();
        put_32(image + 16 * ISO9660_SECTOR_BYTES + 156 + 10, 2 * ISO9660_SECTOR_BYTES);
        while (used[ROOT_SECTOR] <= ISO9660_SECTOR_BYTES - 2 * 38)
            add(ROOT_SECTOR, (struct entry){"FILL", 0, 0, DATA_SECTOR, 3, NULL, 0});
        uint64_t left = ISO9660_SECTOR_BYTES - used[ROOT_SECTOR];
        uint8_t *record = add(ROOT_SECTOR, (struct entry){"LAST", 0, 0, DATA_SECTOR, 3, NULL, 0});
        record[0] = (uint8_t)(left + past);
        assert_int_equal(find("/last"), past == 0 ? ISO9660_OK : ISO9660_ERR_DAMAGED);
    }
}

TEST("iso9660: a record of one byte of name is the shortest") {
    set_up();
    uint8_t *record = add(ROOT_SECTOR, (struct entry){"S", 0, 0, DATA_SECTOR, 3, NULL, 0});
    assert_int_equal(record[0], 34);
    expect("/s", "abc");
    record[0] = 33;
    assert_int_equal(find("/s"), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: a directory of several sectors is looked through, with gaps at their ends") {
    set_up();
    put_32(image + 16 * ISO9660_SECTOR_BYTES + 156 + 10, 2 * ISO9660_SECTOR_BYTES);
    add(ROOT_SECTOR + 1, (struct entry){"SECOND", 0, 0, DATA_SECTOR, 3, NULL, 0});
    expect("/second", "abc");
    assert_int_equal(reads, 2 + 1 + 2 + 1); // descriptors, the root's record, both sectors, "abc"
    put_32(image + 16 * ISO9660_SECTOR_BYTES + 156 + 10, ISO9660_SECTOR_BYTES + 20);
    assert_int_equal(find("/second"), ISO9660_ERR_DAMAGED); // cut in a record
}

TEST("iso9660: a disc without the descriptor, or too short for it, has no tree") {
    for (unsigned i = 1; i <= 5; i++) {
        set_up();
        image[16 * ISO9660_SECTOR_BYTES + i] = 'X';
        assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_NONE);
    }
    set_up();
    for (uint64_t sectors = 0; sectors <= ROOT_SECTOR; sectors++) {
        struct iso9660_disc part = disc;
        part.bytes = sectors * ISO9660_SECTOR_BYTES;
        assert_int_equal(iso9660_open(&part, &iso),
                         sectors <= 16 ? ISO9660_ERR_NONE : ISO9660_ERR_DAMAGED);
    }
    image[16 * ISO9660_SECTOR_BYTES] = 255; // the end comes first
    put_descriptor(1, 1, ROOT_SECTOR);
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_NONE);
    put_descriptor(1, 255, 0);
    image[16 * ISO9660_SECTOR_BYTES] = 2; // and a supplement of nothing
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_NONE);
}

TEST("iso9660: 64 descriptors are looked at") {
    set_up();
    for (unsigned i = 0; i < SECTORS - 16; i++)
        put_descriptor(i, 3, 0);
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_NONE);
    assert_int_equal(reads, 64);
}

// Behind the image all is zero.
static bool read_large(void *context, uint64_t offset, void *to, uint64_t bytes) {
    memset(to, 0, bytes);
    return offset >= sizeof(image) || read_image(context, offset, to, bytes);
}

TEST("iso9660: a folder has at most 16 MiB, all on the disc, and the root at least a record") {
    enum { LARGEST = 16 << 20 };
    struct iso9660_disc large = {.read = read_large, .context = image, .bytes = 32 << 20};
    set_up();
    uint8_t *root = image + 16 * ISO9660_SECTOR_BYTES + 156;
    uint8_t *sub = image + ROOT_SECTOR * ISO9660_SECTOR_BYTES + used[ROOT_SECTOR] - 38;
    memset(image + DATA_SECTOR * ISO9660_SECTOR_BYTES, 0, 2 * ISO9660_SECTOR_BYTES); // no records
    put_32(root + 10, LARGEST);
    put_32(sub + 10, LARGEST);
    assert_int_equal(iso9660_open(&large, &iso), ISO9660_OK);
    assert_int_equal(iso9660_find(&iso, "/BOOT/none", 10, &file), ISO9660_ERR_ABSENT);
    put_32(sub + 10, LARGEST + 1);
    assert_int_equal(iso9660_find(&iso, "/BOOT/none", 10, &file), ISO9660_ERR_DAMAGED);
    put_32(root + 10, LARGEST + 1);
    assert_int_equal(iso9660_open(&large, &iso), ISO9660_ERR_DAMAGED);
    put_32(root + 10, LARGEST);
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_DAMAGED);
    put_32(root + 10, 0);
    assert_int_equal(iso9660_open(&disc, &iso), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: a file without a byte may be said to lie at the disc's end, and not behind it") {
    set_up();
    uint8_t *record = add(ROOT_SECTOR, (struct entry){"EMPTY", 0, 0, SECTORS, 0, NULL, 0});
    expect("/empty", "");
    put_32(record + 2, SECTORS + 1);
    assert_int_equal(find("/empty"), ISO9660_ERR_DAMAGED);
}

TEST("iso9660: whichever read fails, that is said") {
    static const char *const paths[] = {"/boot/initrd", "/boot/deep/x"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        set_up_moved();
        expect(paths[i], i == 0 ? "xyz" : "abc");
        uint64_t all = reads - 1; // the last is of the contents
        for (uint64_t at = 1; at <= all; at++) {
            reads = 0;
            fail_at = at;
            enum iso9660_status status = iso9660_open(&disc, &iso);
            if (status == ISO9660_OK)
                status = iso9660_find(&iso, paths[i], strlen(paths[i]), &file);
            assert_int_equal(status, ISO9660_ERR_READ);
        }
    }
}
