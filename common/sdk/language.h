// What C11, C17, C23 and C++ write differently, for the headers that are installed:
// scripts/make-header puts these names in the place of the tree's words.
#pragma once

// The caller must look at what the function returns.
#if (defined(__cplusplus) && __cplusplus >= 201703L) ||                                            \
    (defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L)
#define SLIPWAY_CHECK [[nodiscard]]
#else
#define SLIPWAY_CHECK __attribute__((warn_unused_result))
#endif

#ifdef __cplusplus
#define SLIPWAY_ALIGNAS(bytes)                 alignas(bytes)
#define SLIPWAY_STATIC_ASSERT(condition, text) static_assert(condition, text)
#define SLIPWAY_C_BEGIN                        extern "C" {
#define SLIPWAY_C_END                          }
#else
#define SLIPWAY_ALIGNAS(bytes)                 _Alignas(bytes)
#define SLIPWAY_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define SLIPWAY_C_BEGIN
#define SLIPWAY_C_END
#endif
