// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace gantry::tsan {

// The function of this name in the library that a function here stands before.
template <typename Function>
Function* Library(const char* symbol) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, symbol));
}

// What every thread did before its call has happened before what any does after a later call.
inline void Order(void* address) {
  __tsan_release(address);
  __tsan_acquire(address);
}

}  // namespace gantry::tsan
