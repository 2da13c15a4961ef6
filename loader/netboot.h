// What the packets say that a machine got when it booted over the network (RFC 951, 2131 and 2132;
// RFC 8415 and 5970): the server's address and the name of the boot file, which is this loader. And
// what other files are called there. Pure: whatever a packet holds, nothing outside of it is read.
#pragma once

#include "loader/config.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    NETBOOT_FILE_MAX = 255, // bytes of a boot file's name
    // Bytes of a name: it, the mode and the options go in one datagram of 512 (RFC 2347).
    NETBOOT_NAME_MAX = 400,
};

// Writes the server's address of a DHCP or BOOTP packet, 4 bytes: siaddr, who has the next file, or
// else the server's own, as firmware does. False, with nothing written, if it names none.
bool netboot_server_4(const void *packet, uint64_t bytes, uint8_t ret_address[16]);

// The same for a DHCPv6 packet: 16 bytes, from the URL of its boot file, if that has an address and
// not a name.
bool netboot_server_6(const void *packet, uint64_t bytes, uint8_t ret_address[16]);

// The boot file's name in a DHCP or BOOTP packet, and in a DHCPv6 packet's URL; the text is the
// packet's. Empty if there is none, or none that is UTF-8 without control characters and of at most
// NETBOOT_FILE_MAX bytes.
struct config_text netboot_file_4(const void *packet, uint64_t bytes);
struct config_text netboot_file_6(const void *packet, uint64_t bytes);

// Why a server has refused.
enum netboot_error {
    NETBOOT_ERR_NONE, // it has not
    NETBOOT_ERR_ABSENT,
    NETBOOT_ERR_ACCESS,
    NETBOOT_ERR_OPTIONS,
    NETBOOT_ERR_OTHER,
};

// By the code and the text, of at most `bytes` bytes, of TFTP's error (RFC 1350, 5; RFC 2347). edk2
// says 0 for every code, so of 0 the text decides: what it does not tell otherwise is that the file
// is absent, of which servers say what they like.
enum netboot_error netboot_find_error(unsigned code, const void *text, uint64_t bytes);

// How many bytes of the boot file's name are the folder that paths begin in, its last separator
// included: the boot file's own, or, of EFI/BOOT in whatever case, the one that is in. So a tree
// that boots from a disk boots from a server as well.
uint64_t netboot_root_bytes(struct config_text boot_file);

// Writes what the server calls a file, with a NUL: the root, and a path that begins with '\', which
// there is between its names, too; on the server it is what the root ends with, or '/'. Returns the
// bytes without the NUL; 0, with nothing written, if they are more than NETBOOT_NAME_MAX.
uint64_t netboot_join(struct config_text root, struct config_text path,
                      char ret_name[NETBOOT_NAME_MAX + 1]);
