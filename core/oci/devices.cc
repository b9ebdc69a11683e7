// SPDX-License-Identifier: Apache-2.0
#include "core/oci/devices.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/status.h"

namespace gantry::oci {
namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kMaxDevices = size_t{1} << 16;

// Containers have their own of these, or they hold no device of the machine.
constexpr std::array<std::string_view, 7> kSkippedFolders = {
    "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"};

std::string Join(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder == nullptr) return FromErrno(errno, "open " + path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

absl::Status Collect(const std::string& path, const std::string& container_path, int depth,
                     std::vector<Device>& devices);

absl::Status CollectEntry(const std::string& path, const std::string& name,
                          const std::string& container_path, int depth,
                          std::vector<Device>& devices) {
  const std::string place = container_path.empty() ? "" : Join(container_path, name);
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FromErrno(errno, "stat " + path);
  }
  if (S_ISDIR(status.st_mode)) {
    if (std::ranges::find(kSkippedFolders, name) != kSkippedFolders.end()) return absl::OkStatus();
    return Collect(path, place, depth + 1, devices);
  }
  if (name == "console") return absl::OkStatus();
  if (!S_ISBLK(status.st_mode) && !S_ISCHR(status.st_mode)) return absl::OkStatus();
  absl::StatusOr<Device> device = DeviceAt(path);
  if (!device.ok()) {
    return absl::IsNotFound(device.status()) ? absl::OkStatus() : device.status();
  }
  if (!place.empty()) device->path = place;
  if (devices.size() == kMaxDevices) {
    return ResourceExhausted("{}: more than {} devices", path, kMaxDevices);
  }
  devices.push_back(*std::move(device));
  return absl::OkStatus();
}

absl::Status Collect(const std::string& path, const std::string& container_path, int depth,
                     std::vector<Device>& devices) {
  if (depth > kMaxDepth) return InvalidArgument("{}: nested deeper than {}", path, kMaxDepth);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(path));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(CollectEntry(Join(path, name), name, container_path, depth, devices));
  }
  return absl::OkStatus();
}

Json& Rules(Json& spec) {
  return ArrayMember(ObjectMember(ObjectMember(spec, "linux"), "resources"), "devices");
}

Json CharacterRule(int64_t major, std::optional<int64_t> minor) {
  Json rule = {{"allow", true}, {"type", "c"}, {"major", major}, {"access", "rwm"}};
  if (minor) rule["minor"] = *minor;
  return rule;
}

}  // namespace

absl::StatusOr<Device> DeviceAt(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return FromErrno(errno, "stat " + path);
  Device device{.path = path,
                .major = major(status.st_rdev),
                .minor = minor(status.st_rdev),
                .mode = status.st_mode & ~static_cast<mode_t>(S_IFMT),
                .uid = status.st_uid,
                .gid = status.st_gid};
  if (S_ISBLK(status.st_mode)) {
    device.type = 'b';
  } else if (S_ISCHR(status.st_mode)) {
    device.type = 'c';
  } else if (S_ISFIFO(status.st_mode)) {
    device.type = 'p';
  } else {
    return FailedPrecondition("{}: not a device node", path);
  }
  return device;
}

absl::StatusOr<std::vector<Device>> DevicesBelow(const std::string& path,
                                                 const std::string& container_path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return FromErrno(errno, "stat device " + path);
  std::vector<Device> devices;
  if (S_ISDIR(status.st_mode)) {
    RETURN_IF_ERROR(Collect(path, container_path, 0, devices));
    return devices;
  }
  ASSIGN_OR_RETURN(Device device, DeviceAt(path));
  if (!container_path.empty()) device.path = container_path;
  devices.push_back(std::move(device));
  return devices;
}

void AllowDefaultDevices(Json& spec) {
  Json& rules = Rules(spec);
  for (const int minor : {3, 8, 7}) rules.push_back(CharacterRule(1, minor));  // null random full
  rules.push_back(CharacterRule(5, 0));                                        // tty
  for (const int minor : {5, 9}) rules.push_back(CharacterRule(1, minor));     // zero urandom
  rules.push_back(CharacterRule(5, 1));                                        // console
  rules.push_back(CharacterRule(136, std::nullopt));                           // terminals
  rules.push_back(CharacterRule(5, 2));                                        // ptmx
}

void AllowAllDevices(Json& spec) {
  Rules(spec) = Json::array({{{"allow", true}, {"access", "rwm"}}});
}

void AddDeviceNodes(Json& spec, const std::vector<Device>& devices) {
  Json& nodes = ArrayMember(ObjectMember(spec, "linux"), "devices");
  for (const Device& device : devices) {
    nodes.push_back({{"path", device.path},
                     {"type", std::string(1, device.type)},
                     {"major", device.major},
                     {"minor", device.minor},
                     {"fileMode", device.mode},
                     {"uid", device.uid},
                     {"gid", device.gid}});
  }
}

void AddDevices(Json& spec, const std::vector<Device>& devices, std::string_view access) {
  AddDeviceNodes(spec, devices);
  for (const Device& device : devices) {
    Rules(spec).push_back({{"allow", true},
                           {"type", std::string(1, device.type)},
                           {"major", device.major},
                           {"minor", device.minor},
                           {"access", access}});
  }
}

}  // namespace gantry::oci
