// SPDX-License-Identifier: Apache-2.0
#include "shim/idle/memory.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

// Where the linker put the program's first header: at the start of its first segment.
extern "C" const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));  // NOLINT

namespace gantry::shim {
namespace {

// More than any call chain of ours has ever touched.
constexpr size_t kStackBytes = 256 << 10;
// What the calls below themselves may use.
constexpr size_t kStackInUse = 4096;

void Drop(uintptr_t begin, uintptr_t end) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  begin &= ~(page - 1);
  end &= ~(page - 1);
  // Addresses in between that nothing is mapped at are passed over.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

// Segments that nobody can have written to are the file's own pages still.
void DropProgram() {
  const auto start = reinterpret_cast<uintptr_t>(&__ehdr_start);
  const uintptr_t shift = __ehdr_start.e_type == ET_EXEC ? 0 : start;
  const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(start + __ehdr_start.e_phoff);
  for (size_t i = 0; i < __ehdr_start.e_phnum; ++i) {
    const ElfW(Phdr)& segment = segments[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = shift + segment.p_vaddr;
    Drop(begin, begin + segment.p_memsz);
  }
}

void DropStack() {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  Drop(here - kStackBytes, here - kStackInUse);
}

}  // namespace

void ReleaseIdleMemory() {
  ::malloc_trim(0);
  DropStack();
  DropProgram();
}

}  // namespace gantry::shim
