// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace gantry::kernel {
namespace {

struct FlagWord {
  std::string_view word;
  bool clears;
  unsigned long flag;
};

constexpr std::array kFlagWords = {
    FlagWord{"async", true, MS_SYNCHRONOUS},
    FlagWord{"atime", true, MS_NOATIME},
    FlagWord{"bind", false, MS_BIND},
    FlagWord{"dev", true, MS_NODEV},
    FlagWord{"diratime", true, MS_NODIRATIME},
    FlagWord{"dirsync", false, MS_DIRSYNC},
    FlagWord{"exec", true, MS_NOEXEC},
    FlagWord{"mand", false, MS_MANDLOCK},
    FlagWord{"noatime", false, MS_NOATIME},
    FlagWord{"nodev", false, MS_NODEV},
    FlagWord{"nodiratime", false, MS_NODIRATIME},
    FlagWord{"noexec", false, MS_NOEXEC},
    FlagWord{"nomand", true, MS_MANDLOCK},
    FlagWord{"norelatime", true, MS_RELATIME},
    FlagWord{"nostrictatime", true, MS_STRICTATIME},
    FlagWord{"nosuid", false, MS_NOSUID},
    FlagWord{"rbind", false, MS_BIND | MS_REC},
    FlagWord{"relatime", false, MS_RELATIME},
    FlagWord{"remount", false, MS_REMOUNT},
    FlagWord{"ro", false, MS_RDONLY},
    FlagWord{"rw", true, MS_RDONLY},
    FlagWord{"strictatime", false, MS_STRICTATIME},
    FlagWord{"suid", true, MS_NOSUID},
    FlagWord{"sync", false, MS_SYNCHRONOUS},
};

constexpr std::array kPropagationWords = {
    FlagWord{"private", false, MS_PRIVATE},
    FlagWord{"rprivate", false, MS_PRIVATE | MS_REC},
    FlagWord{"rshared", false, MS_SHARED | MS_REC},
    FlagWord{"rslave", false, MS_SLAVE | MS_REC},
    FlagWord{"runbindable", false, MS_UNBINDABLE | MS_REC},
    FlagWord{"shared", false, MS_SHARED},
    FlagWord{"slave", false, MS_SLAVE},
    FlagWord{"unbindable", false, MS_UNBINDABLE},
};

template <size_t N>
const FlagWord* Find(const std::array<FlagWord, N>& table, std::string_view word) {
  const auto* found = std::find_if(table.begin(), table.end(),
                                   [&](const FlagWord& entry) { return entry.word == word; });
  return found == table.end() ? nullptr : found;
}

bool TakeValue(std::string_view word, std::string_view prefix, std::string& value) {
  if (!word.starts_with(prefix)) return false;
  value = word.substr(prefix.size());
  return true;
}

}  // namespace

Result<MountOptions> ParseMountOptions(const std::vector<std::string>& words) {
  MountOptions options;
  for (const std::string& word : words) {
    if (word.starts_with("X-containerd.")) {
      return Error{EINVAL, "mount option " + word + " is for the mount manager"};
    }
    if (const FlagWord* known = Find(kFlagWords, word)) {
      options.flags = known->clears ? options.flags & ~known->flag : options.flags | known->flag;
    } else if (const FlagWord* propagation = Find(kPropagationWords, word)) {
      options.propagation.push_back(propagation->flag);
    } else if (word == "loop") {
      options.loop = true;
    } else if (!TakeValue(word, "uidmap=", options.uid_map) &&
               !TakeValue(word, "gidmap=", options.gid_map)) {
      options.data.push_back(word);
    }
  }
  if (options.uid_map.empty() != options.gid_map.empty()) {
    return Error{EINVAL, "mount options uidmap and gidmap need each other"};
  }
  // Without "loop" the word is some file system's own.
  if (options.loop) options.direct_io = std::erase(options.data, "direct-io") > 0;
  return options;
}

std::string MountOptions::JoinedData() const {
  std::string joined;
  for (const std::string& word : data) {
    if (!joined.empty()) joined += ',';
    joined += word;
  }
  return joined;
}

std::optional<std::string> OptionValue(const std::vector<std::string>& words,
                                       const std::string& key) {
  for (const std::string& word : words) {
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=') {
      return word.substr(key.size() + 1);
    }
  }
  return std::nullopt;
}

}  // namespace gantry::kernel
