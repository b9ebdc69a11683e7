// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/command.h"
#include "core/kernel/file.h"
#include "core/kernel/resolve.h"
#include "core/mount/manager/byte_size.h"
#include "core/mount/manager/transformer.h"

namespace gantry::mount {
namespace {

constexpr std::string_view kPrefix = "X-containerd.mkfs.";
constexpr mode_t kImageMode = 0640;
constexpr absl::Duration kLongestRun = absl::Minutes(2);

struct Wanted {
  int64_t size = 0;
  std::string file_system = "ext4";
  std::string uuid;
};

absl::Status TakeOption(std::string_view option, Wanted& wanted) {
  const size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
  if (key == "size") {
    const auto size = ParseByteSize(value);
    if (!size) return InvalidArgument("mount option {}{}", kPrefix, option);
    wanted.size = *size;
  } else if (key == "fs") {
    wanted.file_system = value;
  } else if (key == "uuid") {
    wanted.uuid = value;
  } else {
    return InvalidArgument("unknown mount option {}{}", kPrefix, option);
  }
  return absl::OkStatus();
}

// Takes the transformer's options out of `options`.
absl::StatusOr<Wanted> TakeOptions(std::vector<std::string>& options) {
  Wanted wanted;
  for (const std::string& word : options) {
    if (!word.starts_with(kPrefix)) continue;
    RETURN_IF_ERROR(TakeOption(std::string_view(word).substr(kPrefix.size()), wanted));
  }
  std::erase_if(options, [](const std::string& word) { return word.starts_with(kPrefix); });
  if (wanted.size <= 0) return InvalidArgument("mount option {}size is missing", kPrefix);
  constexpr std::string_view kKnown[] = {"ext2", "ext3", "ext4", "xfs"};
  if (std::find(std::begin(kKnown), std::end(kKnown), wanted.file_system) == std::end(kKnown)) {
    return InvalidArgument("file system {} for mkfs", wanted.file_system);
  }
  return wanted;
}

// Makes a file system in the file that `image` is open on.
absl::Status Format(const Context& ctx, int image, const Wanted& wanted) {
  const std::string name = "mkfs." + wanted.file_system;
  auto program = kernel::FindProgram(name);
  if (!program) return FailedPrecondition("{} is not installed", name);
  kernel::SpawnOptions options{.program = *program, .arguments = {name, "-q"}};
  if (!wanted.uuid.empty() && wanted.file_system == "xfs") {
    options.arguments.insert(options.arguments.end(), {"-m", "uuid=" + wanted.uuid});
  } else if (!wanted.uuid.empty()) {
    options.arguments.insert(options.arguments.end(), {"-U", wanted.uuid});
  }
  // The fd and not the path: whatever happens to the path, this file is formatted.
  options.extra_fds = {image};
  options.arguments.emplace_back("/proc/self/fd/3");
  const absl::Duration limit = std::min(kLongestRun, ctx.deadline - absl::Now());
  auto ran = kernel::RunCommand(options, {},
                                {.timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(limit))});
  if (!ran) return ToStatus(ran.error());
  if (ran->status.success()) return absl::OkStatus();
  return Internal("{} exited with {}: {}", name, ran->status.AsShellCode(), ran->errors);
}

absl::Status CreateImage(const Context& ctx, int directory, const std::string& name,
                         const Wanted& wanted) {
  // Without a name until it is whole: a file with the name is used as it is, and a crash on the way
  // leaves nothing.
  const auto image = kernel::OpenAt(directory, ".", O_TMPFILE | O_RDWR, kImageMode);
  if (!image) return ToStatus(image.error());
  if (::ftruncate(image->get(), wanted.size) != 0) return FromErrno(errno, "size " + name);
  RETURN_IF_ERROR(Format(ctx, image->get(), wanted));
  const std::string path = kernel::PathOfFd(image->get());
  if (::linkat(AT_FDCWD, path.c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW) != 0 &&
      errno != EEXIST) {
    return FromErrno(errno, "name " + name);
  }
  return absl::OkStatus();
}

class MkfsTransformer final : public Transformer {
 public:
  explicit MkfsTransformer(const AllowedRoots& roots) : roots_(roots) {}

  absl::StatusOr<Mount> Transform(const Context& ctx, Mount mount,
                                  std::span<const ActiveMount>) const override {
    ASSIGN_OR_RETURN(const AllowedRoots::Place place, roots_.Find(mount.source));
    ASSIGN_OR_RETURN(const Wanted wanted, TakeOptions(mount.options));
    RETURN_IF_ERROR(EnsureImage(ctx, place, mount.source, wanted));
    return mount;
  }

 private:
  static absl::Status EnsureImage(const Context& ctx, const AllowedRoots::Place& place,
                                  const std::string& source, const Wanted& wanted) {
    const kernel::ResolveOptions beneath{.scope = kernel::Scope::kBeneath};
    const size_t slash = place.below.find_last_of('/');
    const std::string above = slash == std::string::npos ? "." : place.below.substr(0, slash);
    const std::string name =
        slash == std::string::npos ? place.below : place.below.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") return InvalidArgument("image {}", source);
    const auto directory = kernel::OpenInside(place.root, above, O_RDONLY | O_DIRECTORY, beneath);
    if (!directory && directory.error().err == EXDEV) {
      return Unimplemented("{} leads out of the directories that mounts may change", source);
    }
    if (!directory) return ToStatus(directory.error());
    struct stat info {};
    if (::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISREG(info.st_mode)) return absl::OkStatus();
      return FailedPrecondition("{} is no file", source);
    }
    if (errno != ENOENT) return FromErrno(errno, "stat " + source);
    return CreateImage(ctx, directory->get(), name, wanted);
  }

  const AllowedRoots& roots_;
};

}  // namespace

std::unique_ptr<Transformer> MakeMkfsTransformer(const AllowedRoots& roots) {
  return std::make_unique<MkfsTransformer>(roots);
}

}  // namespace gantry::mount
