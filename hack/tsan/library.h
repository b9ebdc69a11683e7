// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>

namespace gantry::tsan {

// The function of this name in the library that a function here stands before.
template <typename Function>
Function* Library(const char* symbol) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, symbol));
}

// Ends a program whose library `anchor` tells of has no such function: with another version, what
// stands before it would never be called, and false reports would come back unexplained.
inline bool Require(const char* anchor, const char* symbol) {
  if (dlsym(RTLD_DEFAULT, anchor) == nullptr || dlsym(RTLD_NEXT, symbol) != nullptr) return true;
  std::fprintf(stderr, "hack/tsan: no library has %s\n", symbol);
  std::abort();
}

// What every thread did before its call happens before what any does after a later call.
inline void Order(void* address) {
  __tsan_release(address);
  __tsan_acquire(address);
}

}  // namespace gantry::tsan
