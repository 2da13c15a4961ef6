// loadcheck: says, in the loader's own words, whether the loader would take a kernel and a
// configuration.
#include "loader/host/report.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "loadcheck [OPTION...] KERNEL...\n"
    "loadcheck [OPTION...] --esp DIR [KERNEL]\n"
    "\n"
    "Says, in the loader's own words, whether Slipway would boot these kernels: segments, rights,\n"
    "slide, relocations, what the note asks for, and the page tables that are needed. With --esp\n"
    "the tree of an EFI system partition is looked at as the loader looks at it: slipway.conf,\n"
    "kernel (or KERNEL in its place), modules and their digests; of a config with several entries\n"
    "each of them.\n"
    "\n"
    "  --esp DIR      the folder with the tree\n"
    "  --entry NAME   this entry alone\n"
    "  --ram SIZE     RAM of the machine: bytes, or with K, M, G or T behind (default 512M)\n"
    "  --levels N     paging levels that its CPU has, 4 or 5 (default 5)\n"
    "  --json         one JSON object a kernel or entry, each in a line of its own\n"
    "  -q, --quiet    one line a kernel: that it boots, or why not\n"
    "  -h, --help     this text\n"
    "\n"
    "Exit status: 0 all boot, 1 one is refused, 2 one could not be read, or a wrong option.\n";

#define RAM_MIN MIB(16) // firmware and loader need as much for themselves

struct options {
    struct check_request request;
    bool is_quiet;
    bool is_json;
};

// A number and its unit; 0: it is none, or not one of a machine's RAM.
static uint64_t parse_ram(const char *text) {
    static const char units[] = "KMGT";
    char *end;
    uint64_t size = 0;
    if (text[0] < '0' || text[0] > '9')
        return 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    if (*end != '\0' && (unit == NULL || end[1] != '\0'))
        return 0;
    if (number <= TABLES_RAM_MAX >> shift)
        size = (uint64_t)number << shift;
    return size >= RAM_MIN ? align_down(size, FRAME_BYTES) : 0;
}

// False: an option is wrong. --help does not come back.
static bool parse_options(int argc, char **argv, struct options *options) {
    static const struct option known[] = {
        {"esp", required_argument, NULL, 'e'}, {"entry", required_argument, NULL, 'n'},
        {"ram", required_argument, NULL, 'r'}, {"levels", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},      {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "qh", known, NULL)) != -1;) {
        if (option == 'e') {
            options->request.folder = optarg;
        } else if (option == 'n') {
            options->request.entry = optarg;
        } else if (option == 'r') {
            options->request.machine.ram_bytes = parse_ram(optarg);
            if (options->request.machine.ram_bytes == 0) {
                fprintf(stderr, "loadcheck: --ram %s: not a size from 16M to 32T\n", optarg);
                return false;
            }
        } else if (option == 'l') {
            if (strcmp(optarg, "4") != 0 && strcmp(optarg, "5") != 0) {
                fprintf(stderr, "loadcheck: --levels %s: neither 4 nor 5\n", optarg);
                return false;
            }
            options->request.machine.levels_max = (unsigned)(optarg[0] - '0');
        } else if (option == 'j') {
            options->is_json = true;
        } else if (option == 'q') {
            options->is_quiet = true;
        } else if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        } else {
            return false;
        }
    }
    return true;
}

static enum check_verdict check_one(const struct options *options, const char *kernel,
                                    uint32_t entry_index, uint32_t *ret_entry_count) {
    static struct check check;
    struct check_request request = options->request;
    request.kernel = kernel;
    request.entry_index = entry_index;
    check_run(&request, &check);
    if (options->is_json)
        report_json(stdout, &check);
    else if (options->is_quiet)
        report_verdict(stdout, &check);
    else
        report_text(stdout, &check);
    if (check.verdict == CHECK_UNKNOWN)
        fprintf(stderr, "loadcheck: %s\n", check.reason);
    enum check_verdict verdict = check.verdict;
    *ret_entry_count = check.entry_count;
    check_free(&check);
    return verdict;
}

// One kernel with each entry of the config, or with the one that is asked for, or without any.
static enum check_verdict check_kernel(const struct options *options, const char *kernel) {
    enum check_verdict worst = CHECK_BOOTS;
    uint32_t count;
    uint32_t index = 0;
    do {
        enum check_verdict verdict = check_one(options, kernel, index++, &count);
        worst = verdict > worst ? verdict : worst;
    } while (index < count && options->request.entry == NULL);
    return worst;
}

int main(int argc, char **argv) {
    struct options options = {.request.machine = {.ram_bytes = MIB(512), .levels_max = 5}};
    if (!parse_options(argc, argv, &options))
        return CHECK_UNKNOWN;
    int kernels = argc - optind;
    bool has_folder = options.request.folder != NULL;
    if (has_folder ? kernels > 1 : kernels == 0) {
        fprintf(stderr, "loadcheck: %s; loadcheck --help tells more\n",
                has_folder ? "--esp takes one kernel at most" : "no kernel is named");
        return CHECK_UNKNOWN;
    }
    if (options.request.entry != NULL && !has_folder) {
        fprintf(stderr, "loadcheck: --entry needs --esp; loadcheck --help tells more\n");
        return CHECK_UNKNOWN;
    }
    enum check_verdict worst = kernels == 0 ? check_kernel(&options, NULL) : CHECK_BOOTS;
    for (int i = optind; i < argc; i++) {
        enum check_verdict verdict = check_kernel(&options, argv[i]);
        worst = verdict > worst ? verdict : worst;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return CHECK_UNKNOWN;
    return (int)worst;
}
