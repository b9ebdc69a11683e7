// SPDX-License-Identifier: Apache-2.0
// io.containerd.cgroups.v2.Metrics, what Stats answers on cgroup v2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::shim::messages::cgroup_v2 {

// Number of tasks.
struct PidsStat {
  uint64_t current = 0;
  uint64_t limit = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.current);
    field(2, m.limit);
  }
};

// One line of a pressure file: percentages over 10, 60 and 300 seconds, total in microseconds.
struct PSIData {
  double avg10 = 0;
  double avg60 = 0;
  double avg300 = 0;
  uint64_t total = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.avg10);
    field(2, m.avg60);
    field(3, m.avg300);
    field(4, m.total);
  }
};

// A pressure file: some tasks stalled, all tasks stalled.
struct PSIStats {
  std::optional<PSIData> some;
  std::optional<PSIData> full;

  static void Fields(auto& m, auto& field) {
    field(1, m.some);
    field(2, m.full);
  }
};

// The fields of cpu.stat.
struct CPUStat {
  uint64_t usage_usec = 0;
  uint64_t user_usec = 0;
  uint64_t system_usec = 0;
  uint64_t nr_periods = 0;
  uint64_t nr_throttled = 0;
  uint64_t throttled_usec = 0;
  std::optional<PSIStats> psi;
  uint64_t nr_bursts = 0;
  uint64_t burst_usec = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.usage_usec);
    field(2, m.user_usec);
    field(3, m.system_usec);
    field(4, m.nr_periods);
    field(5, m.nr_throttled);
    field(6, m.throttled_usec);
    field(7, m.psi);
    field(8, m.nr_bursts);
    field(9, m.burst_usec);
  }
};

// The fields of memory.stat, and usage and limits of memory and swap.
struct MemoryStat {
  uint64_t anon = 0;
  uint64_t file = 0;
  uint64_t kernel_stack = 0;
  uint64_t slab = 0;
  uint64_t sock = 0;
  uint64_t shmem = 0;
  uint64_t file_mapped = 0;
  uint64_t file_dirty = 0;
  uint64_t file_writeback = 0;
  uint64_t anon_thp = 0;
  uint64_t inactive_anon = 0;
  uint64_t active_anon = 0;
  uint64_t inactive_file = 0;
  uint64_t active_file = 0;
  uint64_t unevictable = 0;
  uint64_t slab_reclaimable = 0;
  uint64_t slab_unreclaimable = 0;
  uint64_t pgfault = 0;
  uint64_t pgmajfault = 0;
  uint64_t workingset_refault = 0;
  uint64_t workingset_activate = 0;
  uint64_t workingset_nodereclaim = 0;
  uint64_t pgrefill = 0;
  uint64_t pgscan = 0;
  uint64_t pgsteal = 0;
  uint64_t pgactivate = 0;
  uint64_t pgdeactivate = 0;
  uint64_t pglazyfree = 0;
  uint64_t pglazyfreed = 0;
  uint64_t thp_fault_alloc = 0;
  uint64_t thp_collapse_alloc = 0;
  uint64_t usage = 0;
  uint64_t usage_limit = 0;
  uint64_t swap_usage = 0;
  uint64_t swap_limit = 0;
  uint64_t max_usage = 0;
  uint64_t swap_max_usage = 0;
  std::optional<PSIStats> psi;

  static void Fields(auto& m, auto& field) {
    field(1, m.anon);
    field(2, m.file);
    field(3, m.kernel_stack);
    field(4, m.slab);
    field(5, m.sock);
    field(6, m.shmem);
    field(7, m.file_mapped);
    field(8, m.file_dirty);
    field(9, m.file_writeback);
    field(10, m.anon_thp);
    field(11, m.inactive_anon);
    field(12, m.active_anon);
    field(13, m.inactive_file);
    field(14, m.active_file);
    field(15, m.unevictable);
    field(16, m.slab_reclaimable);
    field(17, m.slab_unreclaimable);
    field(18, m.pgfault);
    field(19, m.pgmajfault);
    field(20, m.workingset_refault);
    field(21, m.workingset_activate);
    field(22, m.workingset_nodereclaim);
    field(23, m.pgrefill);
    field(24, m.pgscan);
    field(25, m.pgsteal);
    field(26, m.pgactivate);
    field(27, m.pgdeactivate);
    field(28, m.pglazyfree);
    field(29, m.pglazyfreed);
    field(30, m.thp_fault_alloc);
    field(31, m.thp_collapse_alloc);
    field(32, m.usage);
    field(33, m.usage_limit);
    field(34, m.swap_usage);
    field(35, m.swap_limit);
    field(36, m.max_usage);
    field(37, m.swap_max_usage);
    field(38, m.psi);
  }
};

// RDMA resources of one device.
struct RdmaEntry {
  std::string device;
  uint32_t hca_handles = 0;
  uint32_t hca_objects = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.device);
    field(2, m.hca_handles);
    field(3, m.hca_objects);
  }
};

// RDMA resources by device.
struct RdmaStat {
  std::vector<RdmaEntry> current;
  std::vector<RdmaEntry> limit;

  static void Fields(auto& m, auto& field) {
    field(1, m.current);
    field(2, m.limit);
  }
};

// I/O on one device.
struct IOEntry {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t rbytes = 0;
  uint64_t wbytes = 0;
  uint64_t rios = 0;
  uint64_t wios = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.major);
    field(2, m.minor);
    field(3, m.rbytes);
    field(4, m.wbytes);
    field(5, m.rios);
    field(6, m.wios);
  }
};

// The lines of io.stat.
struct IOStat {
  std::vector<IOEntry> usage;
  std::optional<PSIStats> psi;

  static void Fields(auto& m, auto& field) {
    field(1, m.usage);
    field(2, m.psi);
  }
};

// Huge pages of one size.
struct HugeTlbStat {
  uint64_t current = 0;
  uint64_t max = 0;
  std::string pagesize;
  uint64_t failcnt = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.current);
    field(2, m.max);
    field(3, m.pagesize);
    field(4, m.failcnt);
  }
};

// The counters of memory.events.
struct MemoryEvents {
  uint64_t low = 0;
  uint64_t high = 0;
  uint64_t max = 0;
  uint64_t oom = 0;
  uint64_t oom_kill = 0;
  uint64_t oom_group_kill = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.low);
    field(2, m.high);
    field(3, m.max);
    field(4, m.oom);
    field(5, m.oom_kill);
    field(6, m.oom_group_kill);
  }
};

// Traffic of one network interface.
struct NetworkStat {
  std::string name;
  uint64_t rx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t rx_errors = 0;
  uint64_t rx_dropped = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_packets = 0;
  uint64_t tx_errors = 0;
  uint64_t tx_dropped = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.name);
    field(2, m.rx_bytes);
    field(3, m.rx_packets);
    field(4, m.rx_errors);
    field(5, m.rx_dropped);
    field(6, m.tx_bytes);
    field(7, m.tx_packets);
    field(8, m.tx_errors);
    field(9, m.tx_dropped);
  }
};

// All controllers of one cgroup. Sizes are bytes, CPU times microseconds.
struct Metrics {
  static constexpr std::string_view kTypeName = "io.containerd.cgroups.v2.Metrics";

  std::optional<PidsStat> pids;
  std::optional<CPUStat> cpu;
  std::optional<MemoryStat> memory;
  std::optional<RdmaStat> rdma;
  std::optional<IOStat> io;
  std::vector<HugeTlbStat> hugetlb;
  std::optional<MemoryEvents> memory_events;
  std::vector<NetworkStat> network;

  static void Fields(auto& m, auto& field) {
    field(1, m.pids);
    field(2, m.cpu);
    field(4, m.memory);
    field(5, m.rdma);
    field(6, m.io);
    field(7, m.hugetlb);
    field(8, m.memory_events);
    field(9, m.network);
  }
};

}  // namespace gantry::shim::messages::cgroup_v2
