// The address of the boot server in the packets that came over the network (RFC 951 and 2131, RFC
// 8415 and 5970). Pure: whatever a packet holds, nothing outside of it is read.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Writes the server's address of a DHCP or BOOTP packet, 4 bytes (siaddr: who has the next file).
// False, with nothing written, if it names none.
bool netboot_server_4(const void *packet, uint64_t bytes, uint8_t ret_address[16]);

// The same for a DHCPv6 packet: 16 bytes, from the URL of its boot file, if that has an address and
// not a name.
bool netboot_server_6(const void *packet, uint64_t bytes, uint8_t ret_address[16]);
