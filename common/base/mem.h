// The four memory functions that a C compiler may call on its own, and strlen. The target builds
// define them in mem.c; host builds use the C library's.
#pragma once

#include <stddef.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t bytes);
void *memmove(void *destination, const void *source, size_t bytes);
void *memset(void *destination, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
size_t strlen(const char *text);
