// SPDX-License-Identifier: Apache-2.0
#include "shim/io/copy_buffer.h"

#include <sys/mman.h>

namespace gantry::shim {
namespace {

constexpr std::chrono::seconds kIdle{1};

}  // namespace

CopyBuffer::CopyBuffer(Loop& loop)
    : idle_(loop, [this] {
        if (!used_) return Release();
        used_ = false;
        idle_.After(kIdle);
      }) {}

CopyBuffer::~CopyBuffer() { Release(); }

std::span<char> CopyBuffer::Lend() {
  used_ = true;
  if (memory_ == nullptr) {
    void* mapped =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return {};
    memory_ = static_cast<char*>(mapped);
    idle_.After(kIdle);
  }
  return {memory_, kBytes};
}

void CopyBuffer::Release() {
  if (memory_ != nullptr) ::munmap(memory_, kBytes);
  memory_ = nullptr;
}

}  // namespace gantry::shim
