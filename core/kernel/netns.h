// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::kernel {

// A network namespace with a name: a file on which the namespace is mounted, as ip-netns(8) and CNI
// plugins know it. Entered through RunInNetns() alone.
//
// Ownership: unmounts and unlinks the file at the end, unless released. The namespace itself lives
// on while a process, fd or other mount holds it.
class [[nodiscard]] ScopedNetns {
 public:
  // Makes an empty namespace (its loopback down) at `path`; directories above are made 0755.
  // EEXIST when the file is there.
  static Result<ScopedNetns> Create(std::string path);

  // Takes over one that exists, to delete it.
  static ScopedNetns Adopt(std::string path) { return ScopedNetns(std::move(path)); }

  ScopedNetns(ScopedNetns&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScopedNetns& operator=(ScopedNetns&&) = delete;
  ~ScopedNetns();

  const std::string& path() const { return path_; }
  Result<UniqueFd> Open() const;

  // Idempotent; a file that is gone is success.
  Result<void> Delete();
  std::string Release() { return std::exchange(path_, {}); }

 private:
  explicit ScopedNetns(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty once deleted or released
};

}  // namespace gantry::kernel
