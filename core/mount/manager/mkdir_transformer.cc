// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/resolve.h"
#include "core/mount/manager/transformer.h"

namespace gantry::mount {
namespace {

constexpr std::string_view kPrefix = "X-containerd.mkdir.";
constexpr std::string_view kPath = "path=";

struct Wanted {
  std::string path;
  mode_t mode = 0700;
  std::optional<std::pair<uid_t, gid_t>> owner;
};

template <typename Number>
bool ParseNumber(std::string_view text, int base, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> SplitFields(std::string_view text) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t colon = text.find(':');
    fields.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return fields;
    text.remove_prefix(colon + 1);
  }
}

absl::StatusOr<Wanted> ParseOption(std::string_view option) {
  const auto malformed = [option] { return InvalidArgument("mount option {}{}", kPrefix, option); };
  if (!option.starts_with(kPath)) return malformed();
  const auto fields = SplitFields(option.substr(kPath.size()));
  if (fields.size() == 3 || fields.size() > 4) return malformed();
  Wanted wanted{.path = std::string(fields[0])};
  if (fields.size() > 1 && (!ParseNumber(fields[1], 8, wanted.mode) || wanted.mode > 0777)) {
    return malformed();
  }
  if (fields.size() == 4) {
    uid_t uid = 0;
    gid_t gid = 0;
    if (!ParseNumber(fields[2], 10, uid) || !ParseNumber(fields[3], 10, gid)) return malformed();
    wanted.owner = {uid, gid};
  }
  return wanted;
}

absl::Status CheckExisting(int directory, const Wanted& wanted) {
  struct stat info {};
  if (::fstat(directory, &info) != 0) return FromErrno(errno, "stat " + wanted.path);
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition("{} is no directory", wanted.path);
  // Others may rely on the mode that it has.
  if ((info.st_mode & 0777) == wanted.mode) return absl::OkStatus();
  return Unimplemented("change the mode of {} from {:o} to {:o}", wanted.path, info.st_mode & 0777,
                       wanted.mode);
}

absl::Status MakeDirectory(const AllowedRoots& roots, const Wanted& wanted) {
  ASSIGN_OR_RETURN(const AllowedRoots::Place place, roots.Find(wanted.path));
  const kernel::ResolveOptions beneath{.scope = kernel::Scope::kBeneath};
  const auto existing = kernel::OpenInside(place.root, place.below, O_PATH, beneath);
  if (existing) return CheckExisting(existing->get(), wanted);
  if (existing.error().err == EXDEV) {
    return Unimplemented("{} leads out of the directories that mounts may change", wanted.path);
  }
  if (existing.error().err != ENOENT) return ToStatus(existing.error());
  const auto made = kernel::MakeDirectoriesInside(place.root, place.below, wanted.mode);
  if (!made) return ToStatus(made.error());
  // An O_PATH fd changes nothing itself, and the umask has had its say over the mode.
  const std::string path = kernel::PathOfFd(made->get());
  if (wanted.owner && ::chown(path.c_str(), wanted.owner->first, wanted.owner->second) != 0) {
    return FromErrno(errno, "chown " + wanted.path);
  }
  if (::chmod(path.c_str(), wanted.mode) != 0) return FromErrno(errno, "chmod " + wanted.path);
  return absl::OkStatus();
}

class MkdirTransformer final : public Transformer {
 public:
  explicit MkdirTransformer(const AllowedRoots& roots) : roots_(roots) {}

  absl::StatusOr<Mount> Transform(const Context&, Mount mount,
                                  std::span<const ActiveMount>) const override {
    std::vector<std::string> kept;
    for (std::string& word : mount.options) {
      if (!word.starts_with(kPrefix)) {
        kept.push_back(std::move(word));
        continue;
      }
      ASSIGN_OR_RETURN(const Wanted wanted,
                       ParseOption(std::string_view(word).substr(kPrefix.size())));
      RETURN_IF_ERROR(MakeDirectory(roots_, wanted));
    }
    mount.options = std::move(kept);
    return mount;
  }

 private:
  const AllowedRoots& roots_;
};

}  // namespace

std::unique_ptr<Transformer> MakeMkdirTransformer(const AllowedRoots& roots) {
  return std::make_unique<MkdirTransformer>(roots);
}

}  // namespace gantry::mount
