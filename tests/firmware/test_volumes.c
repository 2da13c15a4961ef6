// Paths that name another volume.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/file.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define FIRST  "01234567-89ab-cdef-0123-456789abcdef"
#define SECOND "11234567-89ab-cdef-0123-456789abcdef"
#define WHERE  " (key 'kernel', /slipway.conf line 1)"

// A path with one hard drive node.
struct drive_path {
    uint8_t bytes[42 + 4];
};

static struct drive_path make_path(uint8_t first_byte, uint8_t signature_type, uint8_t number) {
    static const uint8_t id[16] = {0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd,
                                   0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    struct drive_path path = {{MEDIA_DEVICE_PATH, MEDIA_HARDDRIVE_DP, 42, 0, number}};
    memcpy(path.bytes + 24, id, sizeof(id));
    path.bytes[24 + 3] = first_byte;
    path.bytes[41] = signature_type;
    path.bytes[42] = END_DEVICE_PATH_TYPE;
    path.bytes[43] = END_ENTIRE_DEVICE_PATH_SUBTYPE;
    path.bytes[44] = 4;
    return path;
}

static struct drive_path paths[FAKE_VOLUMES_MAX];

// Volumes of two partitions of a GPT, one of an MBR, and one without a path, with labels, and the
// kernel on that of this number alone.
static void set_up(const char *config, uint32_t kernel_on) {
    setup_boot(config);
    paths[0] = make_path(0x01, SIGNATURE_TYPE_GUID, 1);
    paths[1] = make_path(0x11, SIGNATURE_TYPE_GUID, 2);
    paths[2] = make_path(0xde, SIGNATURE_TYPE_MBR, 2);
    fake_add_volume(&paths[0], L"one");
    fake_add_volume(&paths[1], L"T\x00e9 2  ");
    fake_add_volume(&paths[2], NULL);
    fake_add_volume(NULL, L"last");
    fake.label = L"own";
    fake.label_units = 3;
    setup_file("\\kernel.elf")->volume = kernel_on;
}

static const struct slipway_boot_info *boot(void) {
    fake_boot();
    return setup_expect_kernel();
}

static uint32_t count_calls(enum fake_call kind) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < fake.calls; i++)
        count += (enum fake_call)fake.kinds[i] == kind;
    return count;
}

TEST("volumes: the kernel is read from the partition with this GUID, or signature and number") {
    static const char *const configs[] = {"kernel = guid(" FIRST ")/kernel.elf",
                                          "kernel = guid(" SECOND ")\\kernel.elf",
                                          "kernel = guid(de234567-02)/kernel.elf"};
    for (uint32_t i = 0; i < ARRAY_LEN(configs); i++) {
        set_up(configs[i], i + 1);
        setup_expect_text(&boot()->kernel_path, configs[i] + strlen("kernel = "));
        assert_int_equal(count_calls(FAKE_OPEN_VOLUME), 2); // it and the loader's own
        assert_int_equal(count_calls(FAKE_GET_LABEL), 1);   // of the loader's own
    }
}

TEST("volumes: the kernel is read from the volume with this label, whatever it is on") {
    static const char *const configs[] = {"kernel = label(one)/kernel.elf",
                                          "kernel = label(T\xc3\xa9 2)/kernel.elf", NULL,
                                          "kernel = label(last)/kernel.elf"};
    for (uint32_t i = 0; i < ARRAY_LEN(configs); i++) {
        if (configs[i] == NULL)
            continue;
        set_up(configs[i], i + 1);
        setup_expect_text(&boot()->kernel_path, configs[i] + strlen("kernel = "));
        assert_int_equal(count_calls(FAKE_GET_LABEL), 5 + 1); // each, and the loader's own for info
    }
    set_up("kernel = label(own)/kernel.elf", 0);
    setup_expect_text(&boot()->volume_label, "own");
}

TEST("volumes: modules come from several, each of which is opened once for all of them") {
    set_up("module = label(one)/boot/initrd.img a\nmodule = guid(" FIRST ")/boot/initrd.img b\n"
           "module = /empty\nmodule = \"label(T\xc3\xa9 2)/other\" c\n"
           "module = label(one)/boot/initrd.img d\n",
           0);
    setup_file("\\boot\\initrd.img")->volume = 1;
    fake_add_file("\\other", setup_module, 100)->volume = 2;
    const struct slipway_boot_info *info = boot();
    static const uint64_t bytes[] = {SETUP_MODULE_BYTES, SETUP_MODULE_BYTES, 0, 100,
                                     SETUP_MODULE_BYTES};
    assert_int_equal(info->modules.count, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(((const struct slipway_module *)setup_record(&info->modules, i))->bytes,
                         bytes[i]);
    assert_int_equal(fake.volumes[0].opens, 2); // for the label, and for files
    assert_int_equal(fake.volumes[1].opens, 2);
    assert_int_equal(fake.volumes[2].opens, 1);
}

TEST("volumes: a path that is on the loader's own volume asks for none") {
    set_up("kernel = /guid(x)/kernel.elf", 0);
    setup_file("\\kernel.elf")->path = "\\guid(x)\\kernel.elf";
    boot();
    assert_int_equal(count_calls(FAKE_OPEN_VOLUME), 1);
    assert_int_equal(count_calls(FAKE_LOCATE_HANDLE), 1); // displays
}

TEST(
    "volumes: one that the firmware has not connected is connected, once, and only if it is missed") {
    static const char *const names[] = {"guid(" FIRST ")", "label(one)"};
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
        char config[200];
        snprintf(config, sizeof(config),
                 "kernel = %s/kernel.elf\nmodule = label(last)/empty\nmodule = %s/m\n", names[i],
                 names[i]);
        set_up(config, 1);
        setup_file("\\empty")->volume = 4;
        fake_add_file("\\m", setup_module, 10)->volume = 1;
        fake.volumes[0].is_unconnected = true;
        assert_int_equal(boot()->modules.count, 2);
        assert_int_equal(count_calls(FAKE_CONNECT), 5); // each handle
        setup_expect_logged("drivers are connected to all devices, to find a volume");
        uint64_t pages = fake_allocated_pages();
        set_up(config, 1);
        setup_file("\\empty")->volume = 4;
        fake_add_file("\\m", setup_module, 10)->volume = 1;
        fake.volumes[1].is_unconnected = true; // another one
        boot();
        assert_int_equal(count_calls(FAKE_CONNECT), 0);
        assert_int_equal(fake_allocated_pages(), pages);
    }
    // One that is found first stays open, and is opened again; then a second is missing.
    set_up("kernel = label(last)/kernel.elf\nmodule = label(one)/m\nmodule = label(none)/m", 4);
    fake_add_file("\\m", setup_module, 10)->volume = 1;
    fake.volumes[0].is_unconnected = true;
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    assert_memory_equal(line, "label(none)/m: no volume has this label", 39);
    assert_int_equal(count_calls(FAKE_CONNECT), 5);
}

static void expect_failure(const char *config, const char *want) {
    set_up(config, 1);
    fake_boot();
    setup_expect_failure(want);
}

TEST("volumes: of a partition or a label that nobody has is said which there are") {
    expect_failure("kernel = guid(aaaaaaaa-0000-0000-0000-000000000000)/k",
                   "guid(aaaaaaaa-0000-0000-0000-000000000000)/k: no volume has this GUID" WHERE
                   "; there are guid(" FIRST "), guid(" SECOND "), guid(de234567-02)");
    expect_failure("kernel = label(ONE)/kernel.elf",
                   "label(ONE)/kernel.elf: no volume has this label" WHERE
                   "; there are label(own), label(one), label(T\xc3\xa9 2), label(last)");
    setup_boot("kernel = label(x)/k");
    fake_boot();
    setup_expect_failure("label(x)/k: no volume has this label" WHERE "; there are none");
    setup_boot("kernel = label(x)/k");
    fake_add_volume(NULL, L"y");
    fake_boot();
    setup_expect_failure("label(x)/k: no volume has this label" WHERE "; there is label(y)");
}

TEST("volumes: of many that are not meant a message names six") {
    for (uint32_t count = 6; count <= 7; count++) {
        setup_boot("kernel = guid(" FIRST ")/k");
        char want[512] = "guid(" FIRST ")/k: no volume has this GUID" WHERE "; there are ";
        for (uint32_t i = 0; i < count; i++) {
            paths[i] = make_path((uint8_t)(0x20 + i), SIGNATURE_TYPE_MBR, 1);
            fake_add_volume(&paths[i], NULL);
            if (i < 6)
                snprintf(want + strlen(want), sizeof(want) - strlen(want), "%sguid(%x234567-01)",
                         i == 0 ? "" : ", ", 0x20 + i);
        }
        if (count == 7)
            strcat(want, " and 1 more");
        fake_boot();
        setup_expect_failure(want);
    }
}

TEST("volumes: a label or a GUID that two have is refused with names that tell them apart") {
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.volumes[1].label = L"one";
    fake.volumes[1].label_units = 3;
    fake_boot();
    setup_expect_failure("label(one)/kernel.elf: more than one volume has this label" WHERE
                         ": guid(" FIRST ") and guid(" SECOND ")");
    set_up("kernel = guid(" FIRST ")/kernel.elf", 1);
    fake.volumes[3].device_path = &paths[0];
    fake_boot();
    setup_expect_failure("guid(" FIRST ")/kernel.elf: more than one volume has this GUID" WHERE
                         ": label(one) and label(last)");
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.label = L"one";
    fake_boot();
    setup_expect_failure("label(one)/kernel.elf: more than one volume has this label" WHERE
                         ": one without a GUID and guid(" FIRST ")");
}

TEST("volumes: of three that have a label the first two are named") {
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.label = L"one";
    fake.volumes[1].label = L"one";
    fake.volumes[1].label_units = 3;
    fake_boot();
    setup_expect_failure("label(one)/kernel.elf: more than one volume has this label" WHERE
                         ": one without a GUID and guid(" FIRST ")");
}

TEST("volumes: what begins like a name and is none is refused with what would be right") {
    expect_failure("kernel = guid(xyz)/k",
                   "guid(xyz)/k: not a partition's GUID, "
                   "guid(xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)/path, nor an MBR's signature and "
                   "number, guid(xxxxxxxx-nn)/path, all in hexadecimal" WHERE);
    expect_failure("kernel = label(x/k",
                   "label(x/k: no closing parenthesis: guid(PARTUUID)/path or "
                   "label(NAME)/path" WHERE);
    assert_int_equal(count_calls(FAKE_LOCATE_HANDLE), 1); // consoles
}

TEST("volumes: a file that is not on the volume, or the volume itself, is missed by its path") {
    expect_failure("kernel = label(last)/kernel.elf", "label(last)/kernel.elf: not found" WHERE);
    expect_failure("kernel = guid(" SECOND ")/kernel.elf",
                   "guid(" SECOND ")/kernel.elf: not found" WHERE);
}

TEST("volumes: the loader's own, when it cannot be opened, is named") {
    setup_boot(SETUP_CONFIG);
    fake.refused = FAKE_OPEN_VOLUME;
    fake.fail_status = EFI_NO_MEDIA;
    fake_boot();
    setup_expect_failure("boot device: cannot open the volume (no medium)");
}

TEST("volumes: a label of 64 units has room in UTF-8, whatever they are") {
    static CHAR16 label[64];
    static char config[300] = "kernel = label(";
    for (unsigned i = 0; i < ARRAY_LEN(label); i++) {
        label[i] = 0x20ac;
        strcat(config, "\xe2\x82\xac");
    }
    strcat(config, ")/kernel.elf");
    for (uint32_t kernel_on = 1; kernel_on <= 4; kernel_on += 3) {
        set_up(kernel_on == 1 ? config : "kernel = label(last)/kernel.elf", kernel_on);
        for (uint32_t i = 0; i < (kernel_on == 1 ? 1 : 3); i++) {
            fake.volumes[i].label = label;
            fake.volumes[i].label_units = ARRAY_LEN(label);
        }
        boot();
    }
}

TEST("volumes: one that cannot be opened, and firmware that lists none, are named") {
    set_up("kernel = guid(" FIRST ")/kernel.elf", 1);
    fake.volumes[0].cannot_open = true;
    fake_boot();
    setup_expect_failure("guid(" FIRST
                         ")/kernel.elf: cannot open the volume (volume corrupted)" WHERE);
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.volumes[3].cannot_open = true; // another one
    boot();
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.hides_volumes = true;
    fake_boot();
    setup_expect_failure("label(one)/kernel.elf: no volume has this label" WHERE
                         "; there are none");
    set_up("kernel = label(one)/kernel.elf", 1);
    fake.refused = FAKE_LOCATE_HANDLE;
    fake.fail_status = EFI_DEVICE_ERROR;
    fake_boot();
    setup_expect_failure("label(one)/kernel.elf: cannot list the volumes (device error)" WHERE);
}

// The call of this number of those of a kind, from 1.
static uint64_t find_call(enum fake_call kind, uint32_t index) {
    uint64_t number = 0;
    while (index != 0)
        index -= (enum fake_call)fake.kinds[number++] == kind;
    return number;
}

// Between two calls drivers can be disconnected: the boot goes on with what there is then.
TEST("volumes: a list that is gone when it is read leaves no pages behind") {
    static const char config[] = "module = label(one)/boot/initrd.img\n";
    uint64_t pages = 0, number = 0;
    for (int gone = 0; gone < 2; gone++) {
        set_up(config, 0);
        setup_file("\\boot\\initrd.img")->volume = 1;
        fake.fail_at = gone ? number : 0;
        fake.fail_status = EFI_NOT_FOUND;
        boot();
        if (gone)
            assert_int_equal(fake_allocated_pages(), pages);
        pages = fake_allocated_pages();
        number = find_call(FAKE_LOCATE_HANDLE, 2);
    }
}

TEST("volumes: a label of 64 units is one, a longer one none, and one of blanks neither") {
    static CHAR16 label[66];
    static char config[200] = "kernel = label(";
    for (unsigned i = 0; i < 65; i++)
        label[i] = L'z';
    memset(config + strlen(config), 'z', 64);
    strcat(config, ")/kernel.elf");
    for (unsigned units = 64; units < 66; units++) {
        set_up(config, 4);
        fake.volumes[3].label = label;
        fake.volumes[3].label_units = units;
        fake.volumes[0].label = L"   ";
        fake_boot();
        if (units == 64) {
            setup_expect_kernel();
        } else {
            const char *line;
            setup_expect_return(&line);
            assert_non_null(strstr(line, "there are label(own), label(T\xc3\xa9 2)"));
        }
    }
}
