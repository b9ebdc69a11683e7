// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace gantry::runtime {

// "containerd-shim-runc-v2" for "io.containerd.runc.v2": the last two parts count. Empty for a name
// that is no runtime name.
std::string ShimBinaryName(std::string_view runtime);

// Finds the programs behind runtime names.
//
// Threads: all methods from any thread; the first look-up of a name touches the disk.
class ShimBinaries {
 public:
  // Which runtime is run in the place of another ("io.containerd.runc.v2" →
  // "io.containerd.gantry.v2"), where its program is installed. Whoever asks does not notice.
  using Renames = std::map<std::string, std::string, std::less<>>;
  explicit ShimBinaries(Renames renames = {}) : renames_(std::move(renames)) {}

  // An absolute path is taken as it is, if it exists. A name is looked for in the working
  // directory, in $PATH and beside our own program, and remembered by binary name once found; our
  // own shim is looked for beside our own program first, where the one of our version is.
  //
  // Errors: InvalidArgument for a name of another form, NotFound ("… binary not installed …").
  absl::StatusOr<std::filesystem::path> Resolve(std::string_view runtime);

  // Whether another runtime is to be run in the place of this one.
  bool Renamed(std::string_view runtime) const { return renames_.contains(runtime); }

 private:
  absl::StatusOr<std::filesystem::path> Find(std::string_view runtime, std::string_view asked);

  const Renames renames_;
  base::Mutex mutex_;
  std::map<std::string, std::filesystem::path, std::less<>> found_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::runtime
