// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/oom_watcher.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/kernel/file.h"
#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {
namespace {

// Version 1 tells of a shortage before it kills, hence later looks at the counter.
constexpr std::chrono::milliseconds kFirstLook(10);
constexpr int kMaxLooks = 5;
constexpr int kLookSpread = 3;  // each wait is that many times the one before

}  // namespace

struct OomWatcher::Container {
  enum class Change { kNone, kKilled, kGone };

  // Whether the counter has grown since the last time.
  Change Look() {
    const KeyedFile file(counter_file);
    if (!file.exists()) {  // unless there is only no fd to read it with
      return ::access(counter_file.c_str(), F_OK) != 0 ? Change::kGone : Change::kNone;
    }
    const auto now = file.Find("oom_kill");
    counts = now.has_value();
    disabled = file["oom_kill_disable"] != 0;
    if (now.value_or(0) <= kills) return Change::kNone;
    kills = *now;
    return Change::kKilled;
  }

  // A shortage announced by the eventfd of version 1 and not read yet.
  bool TakeEvent() const {
    uint64_t count = 0;
    return event && ::read(event.get(), &count, sizeof count) == sizeof count;
  }

  // A shortage is all there is to tell: no counter (Linux before 4.13), or no killing.
  bool only_events() const { return !counts || disabled; }

  std::string counter_file;
  uint64_t kills = 0;
  bool counts = true;
  bool disabled = false;
  std::set<int> descriptors;  // of inotify
  kernel::UniqueFd event;
  std::unique_ptr<FdWatch> event_watch;  // after what it watches
  std::unique_ptr<Timer> look_again;
  int looks = 0;
};

OomWatcher::OomWatcher(Loop& loop, Killed killed) : loop_(loop), killed_(std::move(killed)) {}

OomWatcher::~OomWatcher() = default;

kernel::Result<void> OomWatcher::Watch(const std::string& id, const Location& location) {
  Forget(id);
  const Hierarchy* memory = location.HierarchyOf("memory");
  if (memory == nullptr) return kernel::Error{ENOENT, "find a memory cgroup of " + id};
  if (memory->path == "/") return kernel::Error{EINVAL, "watch the root cgroup for " + id};
  auto container = std::make_unique<Container>();
  const std::string directory = memory->directory();
  // Read before the watch starts: a kill in between is found later, none is lost.
  container->counter_file =
      directory + (location.unified() ? "/memory.events" : "/memory.oom_control");
  if (container->Look() == Container::Change::kGone) {
    return kernel::Error{ENOENT, "read " + container->counter_file};
  }
  auto watched =
      location.unified() ? WatchUnified(*container, directory) : WatchV1(id, *container, directory);
  if (!watched) {
    Unwatch(*container);
    return watched;
  }
  containers_[id] = std::move(container);
  return {};
}

bool OomWatcher::ReadLast(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return false;
  Container& container = *found->second;
  const bool shortage = container.TakeEvent();
  const auto change = container.Look();
  if (change == Container::Change::kGone) return false;
  return change == Container::Change::kKilled || (shortage && container.only_events());
}

void OomWatcher::Forget(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return;
  const auto container = std::move(found->second);
  containers_.erase(found);
  Unwatch(*container);
}

// Stops what wakes us up. `container` may still be in the map, or already out of it.
void OomWatcher::Unwatch(Container& container) {
  container.event_watch.reset();
  container.event.Reset();
  container.look_again.reset();
  const std::set<int> descriptors = std::exchange(container.descriptors, {});
  for (const int descriptor : descriptors) {
    // Containers in one cgroup share the descriptors of its files.
    const bool shared = std::any_of(containers_.begin(), containers_.end(), [&](const auto& entry) {
      return entry.second->descriptors.contains(descriptor);
    });
    if (!shared) ::inotify_rm_watch(inotify_.get(), descriptor);
  }
}

kernel::Result<void> OomWatcher::StartInotify() {
  if (inotify_watch_) return {};
  inotify_.Reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return kernel::LastError("inotify_init");
  auto watch =
      std::make_unique<FdWatch>(loop_, inotify_.get(), [this](uint32_t) { ReadInotify(); });
  if (auto armed = watch->Arm(EPOLLIN); !armed) return armed;
  inotify_watch_ = std::move(watch);
  return {};
}

kernel::Result<void> OomWatcher::WatchUnified(Container& container, const std::string& directory) {
  if (auto started = StartInotify(); !started) return started;
  // The second file changes when the last process goes, after which the first may vanish unseen.
  for (const char* name : {"/memory.events", "/cgroup.events"}) {
    const std::string file = directory + name;
    const int descriptor = ::inotify_add_watch(inotify_.get(), file.c_str(), IN_MODIFY);
    if (descriptor < 0) return kernel::LastError("watch " + file);
    container.descriptors.insert(descriptor);
  }
  return {};
}

void OomWatcher::ReadInotify() {
  std::set<int> changed;
  bool overflow = false;
  alignas(inotify_event) char buffer[4096];
  ssize_t size = 0;
  while ((size = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      at += static_cast<ssize_t>(sizeof event + event.len);
      changed.insert(event.wd);
      overflow = overflow || (event.mask & IN_Q_OVERFLOW) != 0;
    }
  }
  std::vector<std::string> killed;
  for (auto& [id, container] : containers_) {
    const auto& mine = container->descriptors;
    const bool look = overflow || std::any_of(mine.begin(), mine.end(),
                                              [&](int one) { return changed.contains(one); });
    if (!look) continue;
    const auto change = container->Look();
    if (change == Container::Change::kKilled) killed.push_back(id);
    if (change == Container::Change::kGone) Unwatch(*container);
  }
  Report(killed);
}

kernel::Result<void> OomWatcher::WatchV1(const std::string& id, Container& container,
                                         const std::string& directory) {
  container.event.Reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!container.event) return kernel::LastError("eventfd");
  const auto control = kernel::Open(container.counter_file, O_RDONLY);
  if (!control) return control.error();
  const std::string request =
      std::to_string(container.event.get()) + " " + std::to_string(control->get());
  auto asked = kernel::WriteControlFile(directory + "/cgroup.event_control", request);
  if (!asked) return asked;
  container.look_again = std::make_unique<Timer>(loop_, [this, id] { LookAgain(id); });
  container.event_watch = std::make_unique<FdWatch>(loop_, container.event.get(),
                                                    [this, id](uint32_t) { ReadEvent(id); });
  return container.event_watch->Arm(EPOLLIN);
}

void OomWatcher::ReadEvent(const std::string& id) {
  Container& container = *containers_.at(id);
  (void)container.TakeEvent();
  const auto change = container.Look();
  if (change == Container::Change::kGone) return Unwatch(container);  // its end is an event, too
  if (change == Container::Change::kKilled || container.only_events()) return Report({id});
  container.looks = 0;
  container.look_again->After(kFirstLook);
}

void OomWatcher::LookAgain(const std::string& id) {
  Container& container = *containers_.at(id);
  const auto change = container.Look();
  if (change == Container::Change::kGone) return Unwatch(container);
  if (change == Container::Change::kKilled) return Report({id});
  if (++container.looks == kMaxLooks) return;  // it was another container's
  auto wait = kFirstLook;
  for (int look = 0; look < container.looks; ++look) wait *= kLookSpread;
  container.look_again->After(wait);
}

void OomWatcher::Report(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (containers_.contains(id)) killed_(id);
  }
}

}  // namespace gantry::shim::cgroup
