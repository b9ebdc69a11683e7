// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/idmap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>

#include "core/kernel/file.h"
#include "core/kernel/subprocess.h"

namespace gantry::kernel {
namespace {

bool TakeNumber(std::string_view& text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool TakeChar(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool TakeEntry(std::string_view& text, IdMapEntry& entry) {
  return TakeNumber(text, entry.container) && TakeChar(text, ':') && TakeNumber(text, entry.host) &&
         TakeChar(text, ':') && TakeNumber(text, entry.size) && entry.size > 0;
}

int SleepWhileParentLives(void* parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the signal was asked for.
  while (::getppid() == *static_cast<pid_t*>(parent)) ::pause();
  return 0;
}

std::string MapText(const IdMap& map) {
  std::string text;
  for (const IdMapEntry& entry : map) {
    text += std::to_string(entry.container) + " " + std::to_string(entry.host) + " " +
            std::to_string(entry.size) + "\n";
  }
  return text;
}

}  // namespace

Result<IdMap> ParseIdMap(std::string_view text) {
  IdMap map;
  std::string_view rest = text;
  do {
    IdMapEntry entry;
    if (!TakeEntry(rest, entry)) return Error{EINVAL, "id map " + std::string(text)};
    map.push_back(entry);
  } while (TakeChar(rest, ','));
  if (!rest.empty()) return Error{EINVAL, "id map " + std::string(text)};
  return map;
}

Result<UniqueFd> MakeUserNamespace(const IdMap& uids, const IdMap& gids) {
  // The namespace needs a process while its maps are written; afterwards the fd keeps it.
  pid_t self = ::getpid();
  auto holder = Subprocess::Fork(CLONE_NEWUSER, SleepWhileParentLives, &self);
  if (!holder) return Error{holder.error().err, "make a user namespace"};
  const std::string proc = "/proc/" + std::to_string(holder->pid());
  if (auto written = WriteControlFile(proc + "/uid_map", MapText(uids)); !written) {
    return written.error();
  }
  if (auto written = WriteControlFile(proc + "/gid_map", MapText(gids)); !written) {
    return written.error();
  }
  return Open(proc + "/ns/user", O_RDONLY);
}

Result<UniqueFd> CloneMountTree(const std::string& path, bool recursive) {
  const unsigned flags =
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(recursive ? AT_RECURSIVE : 0);
  UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), flags));
  if (!tree) return LastError("clone the mount at " + path);
  return tree;
}

Result<void> IdmapTree(int tree, int user_namespace, bool recursive, bool read_only) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  if (read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  attributes.userns_fd = static_cast<uint64_t>(user_namespace);
  const unsigned flags = AT_EMPTY_PATH | static_cast<unsigned>(recursive ? AT_RECURSIVE : 0);
  if (::mount_setattr(tree, "", flags, &attributes, sizeof(attributes)) != 0) {
    return LastError("map the ids of a mount");
  }
  return {};
}

Result<void> AttachTree(int tree, const std::string& target) {
  if (::move_mount(tree, "", AT_FDCWD, target.c_str(),
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return LastError("attach a mount at " + target);
  }
  return {};
}

}  // namespace gantry::kernel
