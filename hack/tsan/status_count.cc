// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdint>

#include "absl/status/status.h"

// Stands before the library's own function, for our calls and for those of other libraries: whoever
// gives up a share of a status has used it before the one who gives up the last share frees it. The
// library orders this by an atomic count, which ThreadSanitizer does not see, since Debian builds
// Abseil without it.
void absl::Status::UnrefNonInlined(uintptr_t rep) {
  using Unref = void (*)(uintptr_t);
  static const auto library =
      reinterpret_cast<Unref>(dlsym(RTLD_NEXT, "_ZN4absl7debian36Status15UnrefNonInlinedEm"));
  void* const count = reinterpret_cast<void*>(rep);
  __tsan_release(count);
  __tsan_acquire(count);
  library(rep);
}
