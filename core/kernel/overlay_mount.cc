// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/overlay_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/kernel/file.h"
#include "core/kernel/resolve.h"
#include "core/kernel/subprocess.h"

namespace gantry::kernel {
namespace {

// fsconfig(2) refuses longer values.
constexpr size_t kMaxValue = 255;

struct FlagName {
  unsigned long flag;
  unsigned attribute;  // of the mount, for fsmount(2)
  const char* name;    // of the file system, for fsconfig(2); null when it has no part in it
};

constexpr std::array kFlagNames = {
    FlagName{MS_RDONLY, MOUNT_ATTR_RDONLY, "ro"},
    FlagName{MS_NOSUID, MOUNT_ATTR_NOSUID, nullptr},
    FlagName{MS_NODEV, MOUNT_ATTR_NODEV, nullptr},
    FlagName{MS_NOEXEC, MOUNT_ATTR_NOEXEC, nullptr},
    FlagName{MS_NOATIME, MOUNT_ATTR_NOATIME, nullptr},
    FlagName{MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, nullptr},
    FlagName{MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, nullptr},
    FlagName{MS_SYNCHRONOUS, 0, "sync"},
    FlagName{MS_DIRSYNC, 0, "dirsync"},
    FlagName{MS_MANDLOCK, 0, "mand"},
};

// Splits at colons that no backslash escapes; escapes stay.
std::vector<std::string> SplitLowers(std::string_view text) {
  std::vector<std::string> lowers(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      lowers.back() += text.substr(i++, 2);
    } else if (text[i] == ':') {
      lowers.emplace_back();
    } else {
      lowers.back() += text[i];
    }
  }
  return lowers;
}

// Values that fsconfig takes as they are: short, and neither escaped nor quoted, which are ways of
// mount(2)'s one string. An empty lower is "::", the mark before data-only layers.
bool FitsValue(std::string_view value) {
  return !value.empty() && value.size() <= kMaxValue &&
         value.find_first_of("\\\"") == std::string_view::npos;
}

bool FitsLayerwise(const OverlayOptions& options) {
  return std::all_of(options.lowers.begin(), options.lowers.end(), FitsValue) &&
         std::all_of(options.others.begin(), options.others.end(), FitsValue);
}

// The newest lines that the file system wrote about its refusal.
std::string KernelLog(int fs) {
  std::string text;
  std::array<char, 512> line{};
  for (int lines = 0; lines < 8; ++lines) {
    const ssize_t got = ::read(fs, line.data(), line.size());
    if (got <= 0) break;
    text += " (" + std::string(line.data(), static_cast<size_t>(got)) + ")";
  }
  return text;
}

bool SetString(int fs, const char* key, const std::string& value) {
  return ::fsconfig(fs, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
}

bool SetWord(int fs, const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) {
    return ::fsconfig(fs, FSCONFIG_SET_FLAG, word.c_str(), nullptr, 0) == 0;
  }
  return SetString(fs, word.substr(0, equals).c_str(), word.substr(equals + 1));
}

bool Configure(int fs, const std::string& source, const OverlayOptions& options,
               unsigned long flags) {
  bool good = SetString(fs, "source", source);
  for (const FlagName& entry : kFlagNames) {
    if (good && (flags & entry.flag) != 0 && entry.name != nullptr) good = SetWord(fs, entry.name);
  }
  for (const std::string& word : options.others) good = good && SetWord(fs, word);
  return good;
}

// Whether errno says "not in this way" and not "not at all".
bool MeansUnsupported(int err) {
  return err == EINVAL || err == ENOSYS || err == EOPNOTSUPP || err == EPERM || err == ENODEV;
}

// The kernel's one page, less room for what mount(2) itself adds.
size_t PageSize() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

std::string RelativeTo(const std::string& directory, const std::string& path) {
  if (path == directory) return ".";
  return path.substr(directory == "/" ? 1 : directory.size() + 1);
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

struct RelativeMount {
  const char* directory;
  const char* source;
  const char* target;
  unsigned long flags;
  const char* data;
};

__attribute__((noinline, no_sanitize("address"), no_sanitize("thread"),
               no_sanitize("undefined"))) int
ChdirAndMount(void* argument) {
  const auto* mount = static_cast<const RelativeMount*>(argument);
  if (::syscall(SYS_chdir, mount->directory) != 0) return errno;
  if (::syscall(SYS_mount, mount->source, mount->target, "overlay", mount->flags, mount->data) !=
      0) {
    return errno;
  }
  return 0;
}

}  // namespace

OverlayOptions SplitOverlayOptions(const std::vector<std::string>& words) {
  constexpr std::string_view kLower = "lowerdir=";
  OverlayOptions options;
  for (const std::string& word : words) {
    if (word.starts_with(kLower)) {
      options.lowers = SplitLowers(std::string_view(word).substr(kLower.size()));
    } else {
      options.others.push_back(word);
    }
  }
  return options;
}

std::string JoinLowers(const std::vector<std::string>& lowers) {
  std::string joined;
  for (const std::string& lower : lowers) {
    if (&lower != &lowers.front()) joined += ':';
    joined += lower;
  }
  return joined;
}

std::string CommonDirectory(const std::vector<std::string>& paths) {
  if (paths.empty()) return "/";
  std::string common = paths.front();
  for (const std::string& path : paths) {
    while (common != "/" && path != common && !path.starts_with(common + "/")) {
      common = ParentOf(common);
    }
  }
  return common;
}

Result<bool> MountOverlayByLayers(const std::string& source, const OverlayOptions& options,
                                  unsigned long flags, const std::string& target) {
  if (!FitsLayerwise(options)) return false;
  const UniqueFd fs(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!fs) return false;
  for (const std::string& lower : options.lowers) {
    if (SetString(fs.get(), "lowerdir+", lower)) continue;
    if (MeansUnsupported(errno)) return false;
    return LastError("add overlay layer " + lower);
  }
  if (!Configure(fs.get(), source, options, flags)) {
    return MeansUnsupported(errno) ? Result<bool>(false) : LastError("configure overlay");
  }
  if (::fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    const int err = errno;
    return Error{err, "create overlay" + KernelLog(fs.get())};
  }
  unsigned attributes = 0;
  for (const FlagName& entry : kFlagNames) {
    if ((flags & entry.flag) != 0) attributes |= entry.attribute;
  }
  const UniqueFd tree(::fsmount(fs.get(), FSMOUNT_CLOEXEC, attributes));
  if (!tree) return LastError("mount overlay");
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(),
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return LastError("attach overlay at " + target);
  }
  return true;
}

Result<void> MountOverlayRelative(const std::string& source, const OverlayOptions& options,
                                  unsigned long flags, const std::string& target) {
  std::string common = CommonDirectory(options.lowers);
  // A single layer is its own common directory, and "." would make a poor name in listings.
  if (options.lowers.size() == 1) common = ParentOf(common);
  std::vector<std::string> lowers;
  lowers.reserve(options.lowers.size());
  for (const std::string& lower : options.lowers) lowers.push_back(RelativeTo(common, lower));
  std::string data;
  for (const std::string& word : options.others) data += word + ",";
  data += "lowerdir=" + JoinLowers(lowers);
  if (data.size() >= PageSize()) return Error{E2BIG, "overlay options for " + target};

  // The child works elsewhere, so the target must not depend on our working directory.
  auto place = Open(target, O_PATH);
  if (!place) return place.error();
  const std::string place_path = PathOfFd(place->get());
  RelativeMount mount{.directory = common.c_str(),
                      .source = source.c_str(),
                      .target = place_path.c_str(),
                      .flags = flags,
                      .data = data.c_str()};
  auto result = RunInVforkChild(ChdirAndMount, &mount);
  if (!result) return result.error();
  if (*result != 0) return Error{*result, "mount overlay at " + target};
  return {};
}

}  // namespace gantry::kernel
