// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/kernel/result.h"

namespace gantry::shim {

// The little that a shim wants to know of a container's OCI runtime spec (config.json). As made, it
// is what counts for a spec that cannot be read.
struct SpecSummary {
  std::map<std::string, std::string, std::less<>> annotations;
  // The container has a PID namespace of its own, which dies with its init process.
  bool private_pid_namespace = false;
  std::string cgroups_path;  // linux.cgroupsPath
  bool terminal = false;     // process.terminal
  bool hooks = false;        // some program runs at some moment of its life
};

// Reads the text of a spec. Of its annotations only those in `wanted_annotations` are kept. Parts
// of another type than the specification gives them count as absent; of repeated ones the last
// counts. EINVAL: no JSON object.
kernel::Result<SpecSummary> ScanSpec(std::string_view text,
                                     std::span<const std::string_view> wanted_annotations);

// The same for a file, which is mapped while it is read and must not shrink meanwhile. EFBIG beyond
// kMaxSpecBytes.
inline constexpr size_t kMaxSpecBytes = 32UL << 20;
kernel::Result<SpecSummary> ScanSpecFile(const std::string& path,
                                         std::span<const std::string_view> wanted_annotations);

// The text of a spec file's `process`; ENOENT when it has none.
kernel::Result<std::string> ReadSpecProcess(const std::string& path);

}  // namespace gantry::shim
