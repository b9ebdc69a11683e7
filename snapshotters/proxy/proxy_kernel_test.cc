// SPDX-License-Identifier: Apache-2.0
// The suite on snapshots that another process keeps: a second daemon without a collector of its
// own, or the program that $GANTRY_PROXYSNAP names, which serves containerd's overlayfs.
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/events/testing/recording_publisher.h"
#include "core/kernel/subprocess.h"
#include "core/snapshots/testing/snapshotter_suite.h"
#include "snapshotters/proxy/proxy_snapshotter.h"

namespace gantry::snapshots {
namespace {

constexpr absl::Duration kStartTime = absl::Seconds(20);

class ProxyTestBed final : public TestBed {
 public:
  // `command` serves snapshots on the socket `root`/s, as snapshotter `name`.
  static absl::StatusOr<std::unique_ptr<TestBed>> Make(const std::filesystem::path& root,
                                                       const std::string& name,
                                                       const std::vector<std::string>& command) {
    auto bed = std::make_unique<ProxyTestBed>();
    const std::string socket = root / "s";
    std::filesystem::remove(socket);
    auto process = kernel::Subprocess::Spawn(
        {.program = command.front(),
         .arguments = command,
         .stdio = {kernel::Stdio::Null(), kernel::Stdio::Inherit(), kernel::Stdio::Inherit()}});
    if (!process) return ToStatus(process.error());
    bed->process_.emplace(*std::move(process));
    for (const absl::Time end = absl::Now() + kStartTime; !std::filesystem::exists(socket);) {
      if (absl::Now() > end) return Unavailable("{} does not serve", command.front());
      if (bed->process_->Wait(10)) return Unavailable("{} ended at once", command.front());
    }
    ASSIGN_OR_RETURN(
        bed->metadata_,
        metadata::Metadata::Open(
            {.db = {.path = root / "db", .map_size_bytes = uint64_t{1} << 28, .no_sync = true}},
            bed->clock_));
    ASSIGN_OR_RETURN(
        bed->snapshotter_,
        proxy::ProxySnapshotter::Open(*bed->metadata_, bed->publisher_, name, {.address = socket}));
    return bed;
  }

  ~ProxyTestBed() override {
    snapshotter_.reset();
    if (process_ && process_->Kill(SIGTERM)) process_->Wait(10'000).ok();
  }

  Snapshotter& snapshotter() override { return *snapshotter_; }

 private:
  base::SystemClock clock_;
  events::RecordingPublisher publisher_;
  std::optional<kernel::Subprocess> process_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<proxy::ProxySnapshotter> snapshotter_;
};

absl::StatusOr<std::unique_ptr<TestBed>> OnSecondDaemon(const std::filesystem::path& root) {
  // Its collector would remove what only this side knows to be in use.
  std::ofstream(root / "config.toml")
      << "version = 3\ndisabled_plugins = ['io.containerd.gc.v1.scheduler']\n";
  return ProxyTestBed::Make(
      root, "overlayfs",
      {GANTRY_DAEMON, "--config", root / "config.toml", "--root", root / "r", "--state", root / "t",
       "--address", root / "s", "--log-level", "error"});
}

absl::StatusOr<std::unique_ptr<TestBed>> OnContainerd(const std::filesystem::path& root) {
  std::filesystem::create_directory(root / "f");
  return ProxyTestBed::Make(root, "overlayfs",
                            {std::getenv("GANTRY_PROXYSNAP"), "-socket", root / "s", "-root",
                             root / "r", "-faults", root / "f", "-driver", "overlay"});
}

std::vector<SuiteParam> Backends() {
  std::vector<SuiteParam> backends = {
      {.name = "second daemon", .make = OnSecondDaemon, .renames_directories = false}};
  if (std::getenv("GANTRY_PROXYSNAP") != nullptr) {
    backends.push_back({.name = "containerd", .make = OnContainerd, .renames_directories = false});
  }
  return backends;
}

INSTANTIATE_TEST_SUITE_P(Proxy, SnapshotterSuite, ::testing::ValuesIn(Backends()));

}  // namespace
}  // namespace gantry::snapshots
