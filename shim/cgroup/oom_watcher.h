// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/cgroup/location.h"
#include "shim/loop/loop.h"

namespace gantry::shim::cgroup {

// Tells when the kernel has killed in a container's cgroup for want of memory.
//
// On version 2 all containers share one inotify instance, made when the first is watched; on
// version 1 each has an eventfd. Kills since Watch() count, by the cgroup's own counter, so that a
// shortage in the cgroup above that was settled in another container is none of this one's. Several
// kills between two looks are reported once. Threads: the loop's.
class OomWatcher {
 public:
  // Called from the loop; may call back.
  using Killed = std::function<void(const std::string& id)>;

  OomWatcher(Loop& loop, Killed killed);
  OomWatcher(const OomWatcher&) = delete;
  ~OomWatcher();

  // In place of an earlier watch under this id. EINVAL for the root cgroup; ENOENT when the memory
  // controller is not there.
  kernel::Result<void> Watch(const std::string& id, const Location& location);

  // Whether there was a kill that was not reported yet; it counts as reported now.
  bool ReadLast(const std::string& id);

  void Forget(const std::string& id);

 private:
  struct Container;

  kernel::Result<void> WatchUnified(Container& container, const std::string& directory);
  kernel::Result<void> WatchV1(const std::string& id, Container& container,
                               const std::string& directory);
  kernel::Result<void> StartInotify();
  void ReadInotify();
  void ReadEvent(const std::string& id);
  void LookAgain(const std::string& id);
  void Report(const std::vector<std::string>& ids);
  void Unwatch(Container& container);

  Loop& loop_;
  const Killed killed_;
  kernel::UniqueFd inotify_;
  std::unique_ptr<FdWatch> inotify_watch_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
};

}  // namespace gantry::shim::cgroup
