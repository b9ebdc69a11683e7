// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/directory.h"
#include "core/base/identifiers.h"
#include "core/base/kernel_status.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/kernel/tree.h"
#include "core/log/log.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSmallFile = 64UL << 10;
constexpr size_t kMaxSpec = 16UL << 20;  // what a message may have
constexpr mode_t kOpenToPassThrough = 0711;

absl::Status MakeDirectory(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) return FromErrno(errno, "make " + path.string());
  // The umask must not close what is meant to be open.
  if (::chmod(path.c_str(), mode) != 0) return FromErrno(errno, "chmod " + path.string());
  return absl::OkStatus();
}

absl::Status EnsureDirectory(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  if (errno == EEXIST) return absl::OkStatus();
  return FromErrno(errno, "make " + path.string());
}

absl::Status WriteFile(const fs::path& path, std::string_view data, mode_t mode) {
  auto file = kernel::Open(path.string(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  if (!file) return ToStatus(file.error());
  return ToStatus(kernel::WriteAll(file->get(), data, path.string()));
}

absl::StatusOr<std::string> ReadSmallFile(const fs::path& path) {
  auto text = kernel::ReadFile(path.string(), kMaxSmallFile);
  if (!text) return ToStatus(text.error());
  return *std::move(text);
}

// The bundle may lie on tmpfs or on a disk; after a power failure its shim is gone either way.
absl::Status ReplaceFile(const fs::path& path, std::string_view data, mode_t mode) {
  return ToStatus(kernel::WriteFileAtomic(path.string(), data, mode, kernel::Durability::kNone));
}

absl::Status OpenToGroup(const fs::path& path, uint32_t group) {
  if (::chown(path.c_str(), static_cast<uid_t>(-1), group) != 0 ||
      ::chmod(path.c_str(), 0710) != 0) {
    return FromErrno(errno, "open to the mapped group " + path.string());
  }
  return absl::OkStatus();
}

// Renames first: a directory that is half gone must not look like one that is whole.
absl::Status RemoveDirectory(const fs::path& path) {
  const fs::path doomed = path.parent_path() / ("." + path.filename().string());
  RETURN_IF_ERROR(ToStatus(kernel::RemoveTree(doomed.string())));
  if (::rename(path.c_str(), doomed.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FromErrno(errno, "rename " + path.string());
  }
  return ToStatus(kernel::RemoveTree(doomed.string()));
}

absl::Status RemoveRootfs(const fs::path& rootfs, bool may_unmount) {
  // Fails for a mount point and for a directory with anything in it; most often neither is true.
  if (::rmdir(rootfs.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EBUSY && errno != ENOTEMPTY) return FromErrno(errno, "remove " + rootfs.string());
  if (!may_unmount) return Unavailable("{} is still mounted", rootfs.string());
  RETURN_IF_ERROR(ToStatus(kernel::UnmountTree(rootfs.string())));
  if (::rmdir(rootfs.c_str()) != 0) return FromErrno(errno, "remove " + rootfs.string());
  return absl::OkStatus();
}

std::string Name(const fs::directory_entry& entry) { return entry.path().filename().string(); }

}  // namespace

Bundle::Bundle(const BundleRoots& roots, std::string ns, std::string id)
    : ns_(std::move(ns)),
      id_(std::move(id)),
      path_(roots.state / ns_ / id_),
      work_(roots.root / ns_ / id_) {}

absl::StatusOr<Bundle> Bundle::Create(const BundleRoots& roots, std::string ns, std::string id,
                                      std::optional<std::string_view> spec) {
  RETURN_IF_ERROR(ValidateIdentifier(ns));
  RETURN_IF_ERROR(ValidateIdentifier(id));
  Bundle bundle(roots, std::move(ns), std::move(id));
  RETURN_IF_ERROR(EnsureDirectory(bundle.path_.parent_path(), kOpenToPassThrough));
  RETURN_IF_ERROR(MakeDirectory(bundle.path_, 0700));
  if (const absl::Status filled = bundle.Fill(spec); !filled.ok()) {
    bundle.Remove(/*may_unmount=*/false).IgnoreError();  // the reason for failing tells more
    return filled;
  }
  return bundle;
}

absl::Status Bundle::Fill(std::optional<std::string_view> spec) const {
  RETURN_IF_ERROR(WriteFile(path_ / "creating", "", 0600));
  if (spec) {
    if (const std::optional<uint32_t> group = MappedRootGroup(*spec)) {
      RETURN_IF_ERROR(OpenToGroup(path_, *group));
    }
    RETURN_IF_ERROR(WriteFile(path_ / "config.json", *spec, 0666));
  }
  RETURN_IF_ERROR(MakeDirectory(rootfs(), kOpenToPassThrough));
  if (::mkfifo(log().c_str(), 0700) != 0) return FromErrno(errno, "make " + log().string());
  return MakeWork();
}

absl::Status Bundle::MakeWork() const {
  RETURN_IF_ERROR(EnsureDirectory(work_.parent_path(), kOpenToPassThrough));
  absl::Status made = MakeDirectory(work_, kOpenToPassThrough);
  if (absl::IsAlreadyExists(made)) {  // from a container that a reboot or a crash ended
    RETURN_IF_ERROR(ToStatus(kernel::RemoveTree(work_.string())));
    made = MakeDirectory(work_, kOpenToPassThrough);
  }
  RETURN_IF_ERROR(made);
  if (::symlink(work_.c_str(), (path_ / "work").c_str()) != 0) {
    return FromErrno(errno, "link " + (path_ / "work").string());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Bundle::ReadSpec() const {
  auto text = kernel::ReadFile((path_ / "config.json").string(), kMaxSpec);
  if (!text) return ToStatus(text.error());
  return *std::move(text);
}

absl::Status Bundle::WriteShimBinary(const fs::path& program) const {
  return WriteFile(path_ / "shim-binary-path", program.string(), 0600);
}

absl::StatusOr<fs::path> Bundle::ReadShimBinary() const {
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(path_ / "shim-binary-path"));
  return fs::path(std::move(text));
}

absl::Status Bundle::WriteEndpoint(const Endpoint& endpoint) const {
  return ReplaceFile(path_ / "bootstrap.json", EncodeEndpoint(endpoint), 0644);
}

absl::StatusOr<Endpoint> Bundle::ReadEndpoint() const {
  absl::StatusOr<std::string> text = ReadSmallFile(path_ / "bootstrap.json");
  if (text.ok() || !absl::IsNotFound(text.status())) {
    RETURN_IF_ERROR(text.status());
    return ParseEndpoint(*text);
  }
  ASSIGN_OR_RETURN(const std::string address, ReadSmallFile(path_ / "address"));
  ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(address));
  RETURN_IF_ERROR(WriteEndpoint(endpoint));
  return endpoint;
}

absl::Status Bundle::ForgetEndpoint() const {
  const fs::path path = path_ / "bootstrap.json";
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FromErrno(errno, "remove " + path.string());
}

absl::Status Bundle::LinkSocketDirectory(const fs::path& directory) const {
  const fs::path link = path_ / "s";
  if (::unlink(link.c_str()) != 0 && errno != ENOENT) {
    return FromErrno(errno, "remove " + link.string());
  }
  if (::symlink(directory.c_str(), link.c_str()) != 0) {
    return FromErrno(errno, "link " + link.string());
  }
  return absl::OkStatus();
}

absl::Status Bundle::WriteSandbox(std::string_view sandbox_id) const {
  return WriteFile(path_ / "sandbox", sandbox_id, 0600);
}

absl::StatusOr<std::string> Bundle::ReadSandbox() const {
  absl::StatusOr<std::string> text = ReadSmallFile(path_ / "sandbox");
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

absl::Status Bundle::MarkCreated() const {
  const fs::path marker = path_ / "creating";
  if (::unlink(marker.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FromErrno(errno, "remove " + marker.string());
}

bool Bundle::creating() const { return ::access((path_ / "creating").c_str(), F_OK) == 0; }

bool Bundle::removing() const { return ::access((path_ / "removing").c_str(), F_OK) == 0; }

bool Bundle::empty() const {
  std::error_code error;
  return fs::is_empty(path_, error) && !error;
}

absl::Status Bundle::RecordExit(const RecordedExit& exit) const {
  return ReplaceFile(path_ / "exited",
                     fmt::format("{} {}", exit.status, absl::ToUnixNanos(exit.exited_at)), 0600);
}

std::optional<RecordedExit> Bundle::ReadExit() const {
  const absl::StatusOr<std::string> text = ReadSmallFile(path_ / "exited");
  if (!text.ok()) return std::nullopt;
  RecordedExit exit;
  const char* end = text->data() + text->size();
  const auto status = std::from_chars(text->data(), end, exit.status);
  if (status.ec != std::errc() || status.ptr == end) return std::nullopt;
  int64_t nanos = 0;
  if (std::from_chars(status.ptr + 1, end, nanos).ec != std::errc()) return std::nullopt;
  exit.exited_at = absl::FromUnixNanos(nanos);
  return exit;
}

uint32_t Bundle::ReadInitPid() const {
  const absl::StatusOr<std::string> text = ReadSmallFile(path_ / "init.pid");
  uint32_t pid = 0;
  if (!text.ok()) return 0;
  const size_t start = text->find_first_not_of(" \n\t");
  if (start == std::string::npos) return 0;
  std::from_chars(text->data() + start, text->data() + text->size(), pid);
  return pid;
}

absl::Status Bundle::Remove(bool may_unmount) const {
  const absl::Status removed = RemoveAll(may_unmount);
  if (removed.ok() || (!may_unmount && absl::IsUnavailable(removed))) return removed;
  const absl::Status marked = WriteFile(path_ / "removing", "", 0600);
  if (!marked.ok() && !absl::IsNotFound(marked)) {
    log::Warn("cannot mark a bundle as one to remove",
              {{"ns", ns_}, {"container", id_}, {"error", marked}});
  }
  return removed;
}

absl::Status Bundle::RemoveAll(bool may_unmount) const {
  RETURN_IF_ERROR(RemoveRootfs(rootfs(), may_unmount));
  RETURN_IF_ERROR(RemoveDirectory(path_));
  return RemoveDirectory(work_);
}

absl::StatusOr<BundleListing> ListBundles(const fs::path& folder) {
  BundleListing listing;
  std::error_code error;
  const auto add = [&](const fs::directory_entry& ns, const fs::directory_entry& bundle) {
    if (!bundle.is_directory(error)) return;
    if (Name(bundle).starts_with(".")) {
      listing.remains.push_back(bundle.path());
    } else {
      listing.bundles.emplace_back(Name(ns), Name(bundle));
    }
  };
  const absl::Status listed = ForEachEntry(folder, [&](const fs::directory_entry& ns) {
    if (Name(ns).starts_with(".") || !ns.is_directory(error)) return absl::OkStatus();
    return ForEachEntry(ns.path(), [&](const fs::directory_entry& bundle) {
      add(ns, bundle);
      return absl::OkStatus();
    });
  });
  if (!listed.ok() && !absl::IsNotFound(listed)) return listed;
  return listing;
}

std::optional<uint32_t> MappedRootGroup(std::string_view spec) {
  // Parsing a large spec costs; most have no mappings at all.
  if (spec.find("\"gidMappings\"") == std::string_view::npos) return std::nullopt;
  const auto json = nlohmann::json::parse(spec, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("linux")) return std::nullopt;
  const nlohmann::json& linux_part = json["linux"];
  if (!linux_part.is_object() || !linux_part.contains("gidMappings")) return std::nullopt;
  for (const nlohmann::json& mapping : linux_part["gidMappings"]) {
    if (!mapping.is_object()) continue;
    // Absent numbers are 0, as Go's encoder leaves zeros out of some versions of the type.
    const auto number = [&](const char* key) -> uint64_t {
      const auto field = mapping.find(key);
      return field != mapping.end() && field->is_number_unsigned() ? field->get<uint64_t>() : 0;
    };
    if (number("containerID") != 0 || number("size") == 0) continue;
    const uint64_t host = number("hostID");
    if (host == 0 || host > UINT32_MAX) return std::nullopt;
    return static_cast<uint32_t>(host);
  }
  return std::nullopt;
}

}  // namespace gantry::runtime
